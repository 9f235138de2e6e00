"""Every loss: TRL's numbers where TRL has it, a value by hand where not, gradients, and what it promises."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from trl.experimental.cpo.cpo_trainer import CPOTrainer
from trl.experimental.orpo.orpo_trainer import ORPOTrainer

from personalization import registry
from personalization.models.logprobs import AnswerLogps, PairLogps
from personalization.training.examples import KINDS, PAIRED
from tests.unit.trl_losses import dpo_loss, kto_losses, rloo_loss

ADAPTERS = [m for m in registry.all_methods() if m.produces == "adapter"]
PAIR_LOSSES = [m for m in ADAPTERS if m.data in PAIRED]

TOKENS = torch.tensor([5.0, 9.0, 3.0, 7.0, 2.0, 8.0])
POLICY = torch.tensor([-9.0, -30.0, -4.0, -12.0, -3.0, -21.0])  # three chosen, then three rejected
REFERENCE = torch.tensor([-10.0, -26.0, -5.5, -11.0, -4.0, -17.0])
nats = st.floats(-60, -0.1)
counts = st.integers(1, 40)


def loss(name: str, *given: object, **parameters: float) -> Tensor:
    method = registry.get(name)
    return method.function(*given, **method.resolve(parameters))


def paired(sums: Tensor, tokens: Tensor = TOKENS) -> PairLogps:
    half = len(sums) // 2
    return PairLogps(sums[:half], sums[half:], tokens[:half], tokens[half:])


def answers(
    sums: Tensor, wanted: list[float], group: list[int] | None = None, weight: list[float] | None = None
) -> AnswerLogps:
    n = len(wanted)
    return AnswerLogps(
        sums,
        torch.arange(1, n + 1, dtype=sums.dtype),
        torch.tensor(wanted, dtype=sums.dtype),
        torch.tensor(group or list(range(n))),
        torch.tensor(weight or [1.0] * n, dtype=sums.dtype),
    )


BOTH = (paired(POLICY), paired(REFERENCE))


@pytest.mark.parametrize(
    ("name", "trls", "parameters", "theirs", "factor"),
    [
        ("dpo", "sigmoid", {"beta": 0.3}, {}, 1),
        ("accelerated", "sigmoid", {"beta": 0.3}, {}, 1),
        ("ipo", "ipo", {"beta": 0.3}, {}, 1),
        ("gpo", "hinge", {"beta": 0.3, "power": 1.0}, {}, 1),
        ("sppo", "sppo_hard", {"beta": 0.04}, {}, 0.04**2),
        ("sppo_iterated", "sppo_hard", {"beta": 0.04}, {}, 0.04**2),
        ("robust_dpo", "robust", {"beta": 0.3, "flipped": 0.2}, {"label_smoothing": 0.2}, 1),
    ],
)
def test_pair_losses_are_trls(name, trls, parameters, theirs, factor):
    expected = dpo_loss(trls, POLICY, REFERENCE, TOKENS, beta=parameters["beta"], **theirs)
    assert loss(name, *BOTH, **parameters).mean().item() == pytest.approx(factor * expected, rel=1e-5)


def test_language_feedback_is_trls_sum_of_both_losses():
    even = torch.full((6,), 5.0)  # TRL's mean is over all tokens, ours over each answer's
    both = (paired(POLICY, even), paired(REFERENCE, even))
    expected = dpo_loss("sigmoid", POLICY, REFERENCE, even, beta=0.3) + 0.7 * dpo_loss(
        "sft", POLICY, REFERENCE, even, beta=0.3
    )
    found = loss("ilf", *both, beta=0.3, imitation=0.7)
    assert found.mean().item() == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(loss("ilf", *BOTH, imitation=0.0), loss("dpo", *BOTH))


def test_a_general_preference_by_hand():
    sums, wanted = torch.tensor([-1.0, -4.0, -6.0]), [0.6, 0.0, -0.6]
    found = answers(sums, wanted, [2, 2, 2])
    zero = answers(torch.zeros(3), wanted, [2, 2, 2])
    by_hand = ((0.1 * -1 - 0.3) ** 2 + (0.1 * -4) ** 2 + (0.1 * -6 + 0.3) ** 2) / 3
    assert loss("gpm", found, zero, beta=0.1).item() == pytest.approx(by_hand, rel=1e-6)


@given(st.floats(1.0, 4.0), st.lists(st.floats(-40, 40), min_size=3, max_size=3, unique=True))
def test_the_generalised_loss_is_convex_falls_and_ends_at_its_margin(power, margins):
    def at(margin: float) -> float:
        sums = torch.tensor([margin, 0.0], dtype=torch.float64)
        given = paired(sums, TOKENS[:2]), paired(torch.zeros(2).double(), TOKENS[:2])
        return float(loss("gpo", *given, beta=0.1, power=power))

    low, middle, high = sorted(margins)
    share = (high - middle) / (high - low)
    assert at(low) >= at(middle) >= at(high) >= 0
    assert at(middle) <= share * at(low) + (1 - share) * at(high) + 1e-9
    assert at(10.0 + abs(high)) == 0


def test_simpo_and_the_odds_ratio_are_trls():
    means = POLICY / TOKENS
    trainer = SimpleNamespace(
        alpha=0.0, loss_type="simpo", simpo_gamma=0.7, beta=2.5, label_smoothing=0.0,
        accelerator=SimpleNamespace(device="cpu"),
    )  # fmt: skip
    theirs, *_ = CPOTrainer.cpo_loss(trainer, means[:3], means[3:])
    torch.testing.assert_close(loss("simpo", *BOTH, beta=2.5, margin=0.7), theirs)
    trainer.beta = 0.4
    odds, *_ = ORPOTrainer.odds_ratio_loss(trainer, means[:3], means[3:])
    torch.testing.assert_close(loss("orpo", *BOTH, weight=0.4), -means[:3] - odds)


@pytest.mark.parametrize("away", [3.0, -3.0])  # a policy that drifted, and one whose divergence is cut at 0
def test_kto_is_trls(away):
    liked = torch.tensor([1, 0, 1, 0, 0, 1])
    strange = torch.stack([REFERENCE + away, REFERENCE])
    expected = kto_losses(
        POLICY, REFERENCE, strange, liked, beta=0.2, desirable_weight=1.5, undesirable_weight=0.5
    )
    # Each judged answer, then the one that belongs to another message.
    wanted = [value for sign in liked.tolist() for value in (2.0 * sign - 1, 0.0)]
    group = [i for i in range(6) for _ in range(2)]
    now = torch.stack([POLICY, strange[0]], dim=1).flatten()
    before = torch.stack([REFERENCE, strange[1]], dim=1).flatten()
    found = loss(
        "kto", answers(now, wanted, group), answers(before, wanted, group),
        beta=0.2, liked_weight=1.5, disliked_weight=0.5,
    )  # fmt: skip
    assert found.mean().item() == pytest.approx(expected, rel=1e-5)


def drawn(wanted: list[float], *, learning: bool = True) -> tuple[AnswerLogps, AnswerLogps]:
    """Return two answers that the policy wrote, how much better each is liked, and the same before."""
    now = torch.tensor([-9.0, -12.0], dtype=torch.float64, requires_grad=learning)
    return answers(now, wanted), answers(torch.tensor([-10.0, -11.5], dtype=torch.float64), wanted)


@pytest.mark.parametrize("liked", [-1.2, 0.0, 40.0])
def test_ipo_on_own_answers_is_trls_in_expectation(liked):
    now, before = drawn([liked, -liked], learning=False)
    one = torch.ones(2)  # TRL divides by an answer's tokens, the paper does not
    first, second = (
        dpo_loss("ipo", now.sums[order].float(), before.sums[order].float(), one, beta=0.3)
        for order in ([0, 1], [1, 0])
    )
    p = 1 / (1 + math.exp(-liked))
    expected = 0.3**2 * (p * first + (1 - p) * second) - p * (1 - p)
    assert loss("ipo_md", now, before, beta=0.3).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_remax_steps_as_trls_rloo_with_the_greedy_answer_as_its_sibling():
    now, before = drawn([0.7, -9.0])
    (mine,) = torch.autograd.grad(loss("remax", now, before, beta=0.2).mean(), now.sums)
    # TRL takes the charge for drifting off the rewards before it subtracts the sibling's.
    advantages = torch.tensor([0.7 - 0.2 * 1.0, -5.0 - 0.2 * -0.5], dtype=torch.float64)
    (theirs,) = torch.autograd.grad(rloo_loss(now.sums, advantages), now.sums)
    torch.testing.assert_close(mine, theirs)


def test_nash_by_hand_and_where_it_rests():
    now, before = drawn([math.log(3), -1.0])
    # Preferred in 0.75, 1 nat likelier: -(0.75 - 0.5 - 0.1 x 1) x -9
    assert loss("nash_md", now, before, tau=0.1)[0].item() == pytest.approx(0.15 * 9)
    (slope,) = torch.autograd.grad(loss("nash_md", now, before, tau=0.25).sum(), now.sums)
    assert slope[0].item() == pytest.approx(0, abs=1e-12)  # as much likelier as it is better: at rest
    assert slope[1].item() > 0


def test_meet_imitates_both_answers():
    found = loss("meet", *BOTH)
    expected = (9 / 5 + 12 / 7) / 2, (30 / 9 + 3 / 2) / 2, (4 / 3 + 21 / 8) / 2
    assert found.tolist() == pytest.approx(expected)


@given(st.lists(st.floats(-6, 6), min_size=2, max_size=2), st.floats(-4, 4))
def test_online_losses_ask_for_more_of_what_is_liked_more(liked, drift):
    """The more an answer is liked, the more its probability is raised, wherever the policy stands."""
    low, high = sorted(liked)
    for name in ("remax", "nash_md", "ipo_md"):
        slopes = []
        for value in (low, high):
            at = torch.tensor([-20.0 + drift, -20.0], dtype=torch.float64, requires_grad=True)
            before = answers(torch.tensor([-20.0, -20.0], dtype=torch.float64), [value, -value])
            given = loss(name, answers(at, [value, -value]), before).sum()
            slopes.append(torch.autograd.grad(given, at)[0][0].item())
        assert slopes[1] <= slopes[0] + 1e-12
        if high - low > 0.01 and abs(low) < 4:  # past 5 an advantage is cut
            assert slopes[1] < slopes[0]


def test_dpop_and_cca_by_hand():
    policy, reference = (
        paired(torch.tensor([-12.0, -11.0]), TOKENS[:2]),
        paired(torch.tensor([-10.0, -8.0]), TOKENS[:2]),
    )
    # chosen lost 2, rejected lost 3: 0.5 (-2 + 3 - 4 x 2) = -3.5; untouched where the chosen one gains
    assert loss("dpop", policy, reference, beta=0.5, anchor=4.0).item() == pytest.approx(
        math.log1p(math.exp(3.5))
    )
    torch.testing.assert_close(
        loss("dpop", reference, policy, beta=0.5), loss("dpo", reference, policy, beta=0.5)
    )
    # mine lost 2, the other's 3
    expected = math.log1p(math.exp(1.0)) + 2 * math.log1p(math.exp(-1.5))
    assert loss("cca", policy, reference, beta=0.5, weight=2.0).item() == pytest.approx(expected)


def test_aft_by_hand_and_its_boundary():
    policy = PairLogps(
        *(torch.tensor([x], requires_grad=True) for x in (-4.0, -12.0)), *torch.tensor([[2.0], [4.0]])
    )
    # means -2 and -3, floor -2 - 1 = -3: log(1 + e^-1 + e^0)
    assert loss("aft", policy, policy, boundary=0.5).item() == pytest.approx(math.log(2 + math.exp(-1)))
    for mean, sign in ((-2.3, 1), (-2.5, 0), (-2.7, -1)):  # above, at and below chosen less boundary
        rejected = torch.tensor([4 * mean], requires_grad=True)
        given = PairLogps(policy.chosen, rejected, policy.chosen_tokens, policy.rejected_tokens)
        (slope,) = torch.autograd.grad(loss("aft", given, given, boundary=0.5).sum(), rejected)
        assert round(float(slope), 5) * sign > 0 or (sign == 0 and abs(float(slope)) < 1e-6)


def test_rankings_by_hand():
    sums = torch.tensor([-1.0, -4.0, -6.0, -5.0])
    found = answers(sums, [1.0, 0.0, 0.0, -1.0], [3, 3, 3, 3])
    zero = answers(torch.zeros(4), [1.0, 0.0, 0.0, -1.0], [3, 3, 3, 3])
    # Picked: the first before all four, then both that are alike before themselves and the last one.
    first = math.log(sum(math.exp(x) for x in sums.tolist())) + 1
    later = math.log(sum(math.exp(x) for x in sums.tolist()[1:]))
    expected = first + (later + 4) + (later + 6)
    assert loss("plackett_luce", found, zero, beta=1.0).item() == pytest.approx(expected, rel=1e-6)
    # Wins of the best with sharpness 1: mean of sigmoid(0, 1, 1, 2); the worst's are what is left of 1.
    best = (0.5 + 2 / (1 + math.exp(-1)) + 1 / (1 + math.exp(-2))) / 4
    by_hand = 0.5 * ((0.1 * -1 - (best - 0.5)) ** 2 + (0.1 * -5 + (best - 0.5)) ** 2)
    assert loss("sppo_soft", found, zero, beta=0.1, sharpness=1.0).item() == pytest.approx(by_hand, rel=1e-5)


def test_bco_by_hand_and_its_shift_over_steps():
    memory: dict[str, float] = {}
    zero, wanted = answers(torch.zeros(3), [1.0, -1.0, 0.0]), [1.0, -1.0, 0.0]
    first = answers(torch.tensor([2.0, -1.0, 50.0]), wanted, weight=[1.0, 3.0, 1.0])
    found = loss("bco", first, zero, memory, beta=1.0)  # mean of 2 and -1: 0.5; nobody judged the third
    expected = [math.log1p(math.exp(-1.5)), 3 * math.log1p(math.exp(-1.5))]
    assert found.tolist() == pytest.approx(expected, rel=1e-6)
    loss("bco", answers(torch.tensor([4.0, 3.0, 0.0]), wanted), zero, memory, beta=1.0)
    assert memory == pytest.approx({"seen": 4.0, "mean": (2 - 1 + 4 + 3) / 4})


def test_sft_is_the_mean_token_loss():
    assert loss("sft", answers(torch.tensor([-3.0, -8.0]), [1.0, 1.0]), None).tolist() == [3.0, 4.0]


def test_preference_oriented_fine_tuning_by_hand():
    policy, reference = (answers(torch.tensor(sums), [1.0, 1.0]) for sums in ([-3.0, -8.0], [-4.0, -8.0]))
    found = loss("poft", policy, reference, beta=2.0)  # one token, then two
    assert found.tolist() == pytest.approx([math.log1p(math.exp(-2.0 * 1.0)), math.log(2)], rel=1e-6)


@given(st.floats(-9, -1), st.floats(0.0, 3.0), st.floats(0.1, 10.0))
def test_what_is_learned_pulls_less_and_at_the_start_it_is_half_of_fine_tuning(nats, learned, beta):
    sums = torch.tensor([nats, nats + learned], dtype=torch.float64, requires_grad=True)
    before = answers(torch.tensor([nats, nats], dtype=torch.float64), [1.0, 1.0])
    now = answers(sums, [1.0, 1.0])
    pulls = []
    for name, parameters in (("poft", {"beta": beta}), ("sft", {})):
        (slope,) = torch.autograd.grad(loss(name, now, before, **parameters).sum(), sums)
        pulls.append(slope * now.tokens)
    assert float(pulls[0][0]) == pytest.approx(beta * float(pulls[1][0]) / 2)
    assert abs(float(pulls[0][1])) <= abs(float(pulls[0][0])) + 1e-12


@pytest.mark.parametrize("method", ADAPTERS, ids=lambda m: m.name)
def test_gradients_are_those_of_finite_differences(method):
    policy, reference = (x.double() for x in (POLICY, REFERENCE))

    def of(sums: Tensor) -> Tensor:
        if method in PAIR_LOSSES:
            given = (paired(sums, TOKENS.double()), paired(reference, TOKENS.double()))
            return method.function(*given, **method.resolve({}))
        wanted = [1.0, 0.2, -1.2, -1.0, 0.3, 0.7] if method.data == "ratings" else [1.0, -1, 0, 1, -1, 0]
        given = (answers(sums, wanted, [0, 0, 0, 1, 1, 1]), answers(reference, wanted, [0, 0, 0, 1, 1, 1]))
        # The shift is a constant by definition: after so many answers one more does not move it.
        memory = ({"seen": 1e9, "mean": 0.1},) if method.remembers else ()
        return method.function(*given, *memory, **method.resolve({}))

    at = policy.clone().requires_grad_()
    if method.name in (
        "aft",
        "aft_ranking",
        "kto",
        "nash_md",
        "remax",
    ):  # hold a detached part: only its absence can be checked so
        (slope,) = torch.autograd.grad(of(at).sum(), at)
        assert torch.isfinite(slope).all()
        assert slope.any()
    else:
        assert torch.autograd.gradcheck(of, (at,), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("method", [m for m in ADAPTERS if m.name != "cca"], ids=lambda m: m.name)
def test_a_step_from_the_reference_raises_what_is_wanted_and_lowers_what_is_not(method):
    wanted = [1.0, -1.0, 1.0, -1.0]
    sums = torch.tensor([-20.0, -18.0, -9.0, -11.0], requires_grad=True)
    given = answers(sums, wanted, [0, 0, 1, 1])
    before = answers(sums.detach(), wanted, [0, 0, 1, 1])
    both = (given.pairs(), before.pairs()) if method in PAIR_LOSSES else (given, before)
    memory: tuple[dict[str, float], ...] = ({},) if method.remembers else ()
    method.function(*both, *memory, **method.resolve({})).sum().backward()
    assert (sums.grad[[0, 2]] < 0).all()
    if method.name not in ("sft", "poft", "meet"):  # which imitate
        assert (sums.grad[[1, 3]] > 0).all() or method.name.startswith("aft")


@given(st.lists(st.tuples(nats, nats, counts, counts), min_size=1, max_size=5), st.randoms())
def test_pairs_are_lossed_one_by_one_in_any_order(rows, rng):
    def of(some: list[tuple[float, float, int, int]]) -> PairLogps:
        return PairLogps(*torch.tensor(some, dtype=torch.float64).T)

    shuffled = rng.sample(range(len(rows)), len(rows))
    for method in PAIR_LOSSES:
        reference = of([(-20.0, -20.0, 1, 1)] * len(rows))
        whole = method.function(of(rows), reference, **method.resolve({}))
        assert whole.shape == (len(rows),)
        assert torch.isfinite(whole).all()
        again = method.function(of([rows[i] for i in shuffled]), reference, **method.resolve({}))
        torch.testing.assert_close(again, whole[torch.tensor(shuffled)])


@given(st.lists(st.tuples(nats, nats), min_size=2, max_size=4))
def test_with_two_answers_rankings_are_pairs(rows):
    sums = torch.tensor(rows, dtype=torch.float64).flatten()
    group = [i // 2 for i in range(len(sums))]
    policy = answers(sums, [1.0, -1.0] * len(rows), group)
    reference = answers(torch.full_like(sums, -9.0), [1.0, -1.0] * len(rows), group)
    for ranking, pair in (("plackett_luce", "dpo"), ("aft_ranking", "aft")):
        expected = loss(pair, policy.pairs(), reference.pairs())
        torch.testing.assert_close(loss(ranking, policy, reference), expected)


@given(st.permutations(range(4)), st.lists(nats, min_size=4, max_size=4))
def test_the_order_in_which_answers_stand_says_nothing(order, sums):
    wanted, at = [1.2, 0.1, 0.1, -1.4], torch.tensor(order)
    for method in (m for m in ADAPTERS if m.data in ("ratings", "choices")):
        made = []
        for some in (torch.arange(4), at):
            now = answers(torch.tensor(sums, dtype=torch.float64)[some], [wanted[i] for i in some], [0] * 4)
            now = AnswerLogps(now.sums, torch.full((4,), 7.0).double(), now.wanted, now.group, now.weight)
            before = AnswerLogps(-torch.ones(4).double(), now.tokens, now.wanted, now.group, now.weight)
            made.append(method.function(now, before, **method.resolve({})))
        torch.testing.assert_close(*made)


def test_every_kind_of_data_that_an_adapter_learns_from_can_be_fed():
    assert {m.data for m in ADAPTERS} == set(KINDS)

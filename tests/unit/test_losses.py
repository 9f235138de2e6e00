"""Every loss: TRL's numbers where TRL has it, a value by hand where not, and what it promises.

Their gradients: `test_loss_slopes`.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from trl.experimental.cpo.cpo_trainer import CPOTrainer
from trl.experimental.orpo.orpo_trainer import ORPOTrainer

from personalization.models.logprobs import AnswerLogps, PairLogps
from personalization.training.examples import KINDS
from tests.unit.losses import ADAPTERS, PAIR_LOSSES, POLICY, REFERENCE, TOKENS, answers, loss, nats, paired
from tests.unit.trl_losses import dpo_loss, kto_losses, rloo_loss

counts = st.integers(1, 40)
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


def test_the_truncated_quadratic_by_hand():
    # the three pairs' changes differ by 1 - (-1), -4 - 1 and 1.5 - (-4), the last one past its margin
    found = loss("gpo", *BOTH, beta=0.2, power=2.0)
    assert found.tolist() == pytest.approx([(1 - 0.2 * 2) ** 2, (1 + 0.2 * 5) ** 2, 0.0])


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


def test_an_alignment_of_many_answers_by_hand():
    a, b, c, d = -2.0, -1.0, -3.0, -2.5  # means of one message's answers: the best, two alike, the worst
    e, f, g = -6.0, -5.0, -5.5  # and of another's, from the best to the worst
    sums = torch.tensor([a, 2 * b, 3 * c, 4 * d, 5 * e, 6 * f, 7 * g])
    found = answers(sums, [1.0, 0.5, 0.5, -1.0, 2.0, 0.0, -0.5], [4, 4, 4, 4, 9, 9, 9])
    # a before b, c and d, then b and c before d; floors half a nat below a, a and c, the least likely above d
    order = [b - a, c - a, d - a, d - b, d - c]
    floor = [-2.5 - b, -2.5 - c] + 3 * [-3.5 - d]
    first = math.log(1 + sum(math.exp(x) for x in order + floor))
    # e before f and g, f before g; e is the least likely above both
    order, floor = [f - e, g - e, g - f], [-6.5 - f, -6.5 - g, -6.5 - g]
    other = math.log(1 + sum(math.exp(x) for x in order + floor))
    made = loss("aft_ranking", found, found, boundary=0.25)
    assert made.tolist() == pytest.approx([first, other], rel=1e-6)


def test_answers_rated_alike_are_not_ranked():
    for name in ("aft_ranking", "plackett_luce"):
        sums = torch.tensor([-2.0, -9.0, -4.0], requires_grad=True)
        found = loss(name, answers(sums, [0.4] * 3, [0] * 3), answers(sums.detach(), [0.4] * 3, [0] * 3))
        found.sum().backward()
        assert found.tolist() == [0.0]
        assert sums.grad.tolist() == [0.0] * 3


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


@settings(max_examples=25)
@given(st.lists(nats, min_size=7, max_size=7))
def test_messages_are_lossed_one_by_one(sums):
    wanted, group = [1.2, 0.1, 0.1, -1.4, 0.5, -0.7, 0.2], [2, 2, 2, 2, 5, 5, 5]
    for method in (m for m in ADAPTERS if m.data in ("ratings", "choices")):
        made = []
        for part in (slice(None), slice(4), slice(4, 7)):
            some = torch.tensor(sums, dtype=torch.float64)[part]
            now, before = (
                answers(x, wanted[part], group[part], tokens=torch.full_like(x, 7.0))
                for x in (some, -torch.ones_like(some))
            )
            made.append(method.function(now, before, **method.resolve({})))
        torch.testing.assert_close(made[0], torch.cat(made[1:]))


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

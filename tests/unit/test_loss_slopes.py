"""The gradient of every loss: that of finite differences, and the sign and the size that it promises."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from personalization import registry
from personalization.registry import Method
from tests.unit.losses import ADAPTERS, PAIR_LOSSES, POLICY, REFERENCE, TOKENS, answers, loss, paired

RATED = [1.0, 0.2, -1.2, -1.0, 0.3, 0.7]
LIKED = [1.0, -1.0, 0.0, 1.0, 0.0, -1.0]
MESSAGES = [0, 0, 0, 1, 1, 1]


def of_sums(method: Method, sums: Tensor, reference: Tensor) -> Tensor:
    """Return the losses of six answers by their summed log-probabilities, double."""
    if method in PAIR_LOSSES:
        given = (paired(sums, TOKENS.double()), paired(reference, TOKENS.double()))
        return method.function(*given, **method.resolve({}))
    wanted = LIKED if method.data == "thumbs" else RATED
    given = tuple(answers(x, wanted, MESSAGES, tokens=TOKENS) for x in (sums, reference))
    # The shift is a constant by definition: after so many answers one more does not move it.
    memory = ({"seen": 1e9, "mean": 0.1},) if method.remembers else ()
    return method.function(*given, *memory, **method.resolve({}))


# Some losses hold a part of themselves constant. Here they are written out once more, in plain arithmetic and
# with that part taken from other sums, so that finite differences leave it where it is.


def held_aft(sums: Sequence[float], held: Sequence[float], boundary: float = 0.5) -> float:
    now, then = ([x / n for x, n in zip(xs, TOKENS.tolist(), strict=True)] for xs in (sums, held))
    return sum(
        math.log(1 + math.exp(now[i + 3] - now[i]) + math.exp(then[i] - 2 * boundary - now[i + 3]))
        for i in range(3)
    )


def held_aft_ranking(sums: Sequence[float], held: Sequence[float], boundary: float = 0.5) -> float:
    now, then = ([x / n for x, n in zip(xs, TOKENS.tolist(), strict=True)] for xs in (sums, held))
    total = 0.0
    for message in ([0, 1, 2], [3, 4, 5]):
        inside = 1.0
        for j in message:
            better = [i for i in message if RATED[i] > RATED[j]]
            inside += sum(math.exp(now[j] - now[i]) for i in better)
            inside += sum(math.exp(min(then[k] for k in better) - 2 * boundary - now[j]) for _ in better)
        total += math.log(inside)
    return total


def held_kto(sums: Sequence[float], held: Sequence[float], beta: float = 0.1) -> float:
    before = REFERENCE.tolist()
    drift = max(0.0, sum(held[i] - before[i] for i in range(6) if LIKED[i] == 0) / 2)
    margins = [LIKED[i] * (sums[i] - before[i] - drift) for i in range(6) if LIKED[i] != 0]
    return sum(1 - 1 / (1 + math.exp(-beta * margin)) for margin in margins)


def held_nash_md(sums: Sequence[float], held: Sequence[float], tau: float = 0.02) -> float:
    rows = zip(sums, held, REFERENCE.tolist(), RATED, strict=True)
    return -sum((1 / (1 + math.exp(-z)) - 0.5 - tau * (then - ref)) * now for now, then, ref, z in rows)


def held_remax(sums: Sequence[float], held: Sequence[float], beta: float = 0.05) -> float:
    rows = zip(sums, held, REFERENCE.tolist(), RATED, strict=True)
    return -sum((z - beta * (then - ref)) * now for now, then, ref, z in rows)


HELD: dict[str, Callable[..., float]] = {
    "aft": held_aft,
    "aft_ranking": held_aft_ranking,
    "kto": held_kto,
    "nash_md": held_nash_md,
    "remax": held_remax,
}


@pytest.mark.parametrize("method", [m for m in ADAPTERS if m.name not in HELD], ids=lambda m: m.name)
def test_gradients_are_those_of_finite_differences(method):
    at = POLICY.double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda sums: of_sums(method, sums, REFERENCE.double()), (at,), eps=1e-6, atol=1e-5
    )


@pytest.mark.parametrize("name", HELD)
@settings(max_examples=25)
@given(st.lists(st.floats(-4, 4), min_size=6, max_size=6))
def test_what_a_loss_holds_has_no_gradient_and_the_rest_that_of_finite_differences(name, moved):
    at = (POLICY.double() + torch.tensor(moved, dtype=torch.float64)).requires_grad_()
    found = of_sums(registry.get(name), at, REFERENCE.double()).sum()
    (slopes,) = torch.autograd.grad(found, at)
    here, by_hand = at.tolist(), []
    for i in range(6):
        above, below = ([x + step * (i == k) for k, x in enumerate(here)] for step in (1e-5, -1e-5))
        by_hand.append((HELD[name](above, here) - HELD[name](below, here)) / 2e-5)
    assert found.item() == pytest.approx(HELD[name](here, here))
    assert slopes.tolist() == pytest.approx(by_hand, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", ["remax", "nash_md"])
@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-9, -1), st.floats(-4, 4)), min_size=4, max_size=4))
def test_in_expectation_own_answers_teach_what_is_liked_less_the_divergence(name, rows):
    """Of all four answers there are, a step is down E[strength log(p / p_ref) - an answer's worth]."""
    logits, before, liked = torch.tensor(rows, dtype=torch.float64).T
    logits = logits.clone().requires_grad_()
    logps = logits.log_softmax(dim=0)
    worth = liked.sigmoid() if name == "nash_md" else liked
    (theirs,) = torch.autograd.grad((logps.exp() * (0.3 * (logps - before) - worth)).sum(), logits)
    now = logits.log_softmax(dim=0)
    strength = {"tau" if name == "nash_md" else "beta": 0.3}
    each = loss(name, answers(now, liked.tolist()), answers(before, liked.tolist()), **strength)
    (mine,) = torch.autograd.grad((now.detach().exp() * each).sum(), logits)
    torch.testing.assert_close(mine, theirs)


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

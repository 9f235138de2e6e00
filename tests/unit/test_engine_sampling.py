"""Tokens are drawn as the rules say, each row from its own random numbers."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.engine.requests import Sampling
from personalization.engine.sampling import draw, generator, penalised

VOCABULARY = 700  # more than two blocks


def logits(seed: int, rows: int) -> torch.Tensor:
    return torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 3


def allowed(row: torch.Tensor, rule: Sampling) -> torch.Tensor:
    """The sorted textbook form: temperature, top_k, top_p."""
    p = (row / rule.temperature).softmax(-1)
    order = p.argsort(descending=True)
    if rule.top_k:
        order = order[: rule.top_k]
    kept = p[order] / p[order].sum()
    return order[(kept.cumsum(0) - kept) < rule.top_p]


rules = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    top_p=st.sampled_from([0.05, 0.5, 0.9, 1.0]),
    top_k=st.sampled_from([0, 1, 5, 2000]),
    seed=st.integers(0, 2**31 - 1),
)


@given(st.lists(rules, min_size=1, max_size=5), st.integers(0, 1000))
@settings(max_examples=200, deadline=None)
def test_a_row_draws_allowed_tokens_and_the_same_ones_alone(rows: list[Sampling], seed: int) -> None:
    steps = [logits(seed + k, len(rows)) for k in range(3)]
    together_generators = [generator(r.seed) for r in rows]
    together = [draw(step, rows, together_generators) for step in steps]
    for i, rule in enumerate(rows):
        own = [generator(rule.seed)]
        alone = [draw(step[i : i + 1], [rule], own)[0] for step in steps]
        assert [tokens[i] for tokens in together] == alone
        for step, token in zip(steps, alone, strict=True):
            if rule.temperature == 0 or rule.top_k == 1:
                assert token == int(step[i].argmax())
            else:
                assert token in allowed(step[i], rule)


def test_frequencies_follow_the_distribution_cut_at_top_p() -> None:
    # 20,000 draws: a correct sampler is off by 0.02 in one of these with a probability below 1e-6.
    row = torch.full((1, VOCABULARY), -30.0)
    row[0, [3, 300, 600]] = torch.log(torch.tensor([0.5, 0.3, 0.2]))
    for top_p, expected in ((1.0, (0.5, 0.3, 0.2)), (0.7, (0.625, 0.375, 0.0))):
        drawn = draw(row.expand(20_000, -1), [Sampling(top_p=top_p)] * 20_000, [generator(9)] * 20_000)
        shares = [drawn.count(token) / 20_000 for token in (3, 300, 600)]
        assert all(abs(a - b) < 0.02 for a, b in zip(shares, expected, strict=True))


def test_a_certain_token_is_drawn_whatever_the_seed() -> None:
    row = torch.full((1, VOCABULARY), -torch.inf)
    row[0, VOCABULARY - 1] = 0.0
    assert all(draw(row, [Sampling(seed=s)], [generator(s)]) == [VOCABULARY - 1] for s in range(50))


penalties = st.sampled_from([-2.0, -0.5, 0.0, 0.25, 2.0])


@given(
    st.lists(
        st.tuples(penalties, penalties, st.lists(st.integers(0, 9), max_size=12)), min_size=1, max_size=5
    )
)
@settings(max_examples=40, deadline=None)
def test_each_row_pays_for_what_it_wrote_itself(rows) -> None:
    rules = [Sampling(presence_penalty=once, frequency_penalty=each) for once, each, _ in rows]
    plain = logits(3, len(rows))
    before = plain.clone()
    found = penalised(plain, rules, [written for *_, written in rows])
    for i, (once, each, written) in enumerate(rows):
        for token in range(12):
            times = written.count(token)
            expected = before[i, token] - each * times - (once if times else 0.0)
            torch.testing.assert_close(found[i, token], expected)
    assert torch.equal(plain, before)  # nobody else's logits, nor the model's own

"""Evidence that is looked at after every comparison: few false alarms, however often; power; its interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.sequential import capital_below, win_rate_anytime

OUTCOMES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=60)
SHARES = st.floats(0.05, 0.95)


def alarms_at(rate: float, share: float, level: float, *, runs: int, n: int) -> list[int]:
    """Return for each run after how many comparisons it first alarmed, looked at after each; 0 for never."""
    generator, found = np.random.default_rng(0), []
    table = np.array(
        [[capital_below([1.0] * w + [0.0] * k, share) for k in range(n + 1)] for w in range(n + 1)]
    )
    for _ in range(runs):
        won = (generator.random(n) < rate).cumsum()
        seen = np.arange(1, n + 1)
        crossed = np.flatnonzero(table[won, seen - won] >= 1 / level)
        found.append(int(crossed[0]) + 1 if len(crossed) else 0)
    return found


@pytest.mark.parametrize(("rate", "share"), [(0.5, 0.5), (0.55, 0.5), (0.4, 0.4)])
def test_looking_after_every_comparison_alarms_no_more_often_than_stated(rate, share):
    alarms = sum(at > 0 for at in alarms_at(rate, share, 0.05, runs=2000, n=100))
    assert alarms / 2000 <= 0.05


def test_a_version_that_loses_is_found_soon():
    at = alarms_at(0.2, 0.5, 0.05, runs=500, n=60)
    assert sum(each > 0 for each in at) / 500 > 0.9
    assert np.median([each for each in at if each]) <= 20


def test_the_evidence_is_a_fair_bet_at_the_boundary():
    """The expected capital after any number of comparisons is one, whatever was bet: computed exactly."""
    for n, share in [(1, 0.5), (6, 0.5), (9, 0.3)]:
        expected = sum(
            math.comb(n, wins) * share**wins * (1 - share) ** (n - wins)
            * capital_below([1.0] * wins + [0.0] * (n - wins), share)
            for wins in range(n + 1)
        )  # fmt: skip
        assert expected == pytest.approx(1.0, abs=1e-9)


def test_seven_lost_in_a_row_are_enough_at_five_per_cent_and_six_are_not():
    assert capital_below([0.0] * 6, 0.5) < 20 <= capital_below([0.0] * 7, 0.5)


@given(OUTCOMES, SHARES, st.randoms())
def test_the_order_does_not_matter_and_a_win_never_adds_evidence(outcomes, share, random):
    capital = capital_below(outcomes, share)
    mixed = list(outcomes)
    random.shuffle(mixed)
    assert capital_below(mixed, share) == pytest.approx(capital)
    assert capital > 0
    assert capital_below([*outcomes, 1.0], share) <= capital * (1 + 1e-9)
    assert capital_below([*outcomes, 0.0], share) >= capital * (1 - 1e-9)


@given(OUTCOMES, SHARES, SHARES)
def test_what_is_refuted_at_a_share_is_refuted_above_it(outcomes, one, two):
    low, high = sorted((one, two))
    assert capital_below(outcomes, low) <= capital_below(outcomes, high) * (1 + 1e-9)


@given(OUTCOMES, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_interval_holds_the_mean_and_agrees_with_the_evidence(outcomes, level):
    found = win_rate_anytime(outcomes, level=level)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.n == len(outcomes)
    if 0 < found.high < 0.99:
        assert capital_below(outcomes, min(found.high + 0.005, 0.999)) >= 2 / level


@given(OUTCOMES)
def test_swapping_wins_and_losses_mirrors_the_interval(outcomes):
    found = win_rate_anytime(outcomes)
    mirrored = win_rate_anytime([1 - each for each in outcomes])
    assert mirrored.value == pytest.approx(1 - found.value)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-6)


def test_the_interval_covers_at_every_look_at_once():
    generator, missed = np.random.default_rng(1), 0
    for _ in range(60):
        outcomes = (generator.random(40) < 0.35).astype(float).tolist()
        looks = (win_rate_anytime(outcomes[:n]) for n in range(2, 41, 2))
        missed += any(not look.low <= 0.35 <= look.high for look in looks)
    assert missed / 60 <= 0.05


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, math.nan])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(ValueError, match="cannot be tested"):
        capital_below([1.0], share)


def test_what_is_no_outcome_and_no_level_is_refused():
    with pytest.raises(ValueError, match="Not an outcome"):
        capital_below([2.0], 0.5)
    with pytest.raises(ValueError, match="impossible"):
        win_rate_anytime([1.0], level=1.0)
    assert (win_rate_anytime([]).low, win_rate_anytime([]).high) == (0.0, 1.0)

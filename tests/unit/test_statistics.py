"""Intervals: published values, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.statistics import (
    Estimate,
    Z,
    best_agreement,
    clustered_mean,
    clustered_share,
    comparisons_needed,
    effective_count,
    holm,
    mean_of,
    p_value,
    share_p_value,
    sign_flip_p_value,
    wilson,
    win_rate,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3 (score, no correction)
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(successes, n, low, high):
    estimate = wilson(successes, n)
    assert estimate.value == successes / n
    assert (estimate.low, estimate.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_mirrors_and_stays_inside(case):
    successes, n = case
    one, other = wilson(successes, n), wilson(n - successes, n)
    assert 0 <= one.low <= one.value + 1e-12
    assert one.value - 1e-12 <= one.high <= 1
    assert (one.low, one.high) == (pytest.approx(1 - other.high), pytest.approx(1 - other.low))


def test_nothing_observed_is_one_half_with_the_whole_range():
    assert wilson(0, 0) == win_rate([]) == Estimate(0.5, 0, 0.0, 1.0)


@pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3), (math.nan, 3)])
def test_impossible_counts_are_refused(successes, n):
    with pytest.raises(ValueError, match=f"{successes} successes of {n} is impossible"):
        wilson(successes, n)


def test_a_tie_is_half_a_win():
    assert win_rate([1, 0.5, 0, 0.5]) == wilson(2, 4)


def test_the_clustered_interval_holds_the_truth_about_as_often_as_it_says():
    """200 samples of 40 clusters; the plain interval, which forgets the clusters, is far too narrow."""
    rng, held, plain_held = np.random.default_rng(1), 0, 0
    for seed in range(200):
        sizes = rng.integers(1, 7, size=40)
        clusters = np.repeat(np.arange(40), sizes)
        values = (0.3 + rng.normal(size=40)[clusters] + 0.3 * rng.normal(size=len(clusters))).tolist()
        estimate = clustered_mean(values, clusters.tolist(), seed=seed)
        plain = clustered_mean(values, range(len(values)), seed=seed)
        held += estimate.low <= 0.3 <= estimate.high
        plain_held += plain.low <= 0.3 <= plain.high
        assert estimate.value == pytest.approx(np.mean(values))
    assert 0.89 <= held / 200 <= 0.99  # four standard errors around 0.94
    assert plain_held / 200 < 0.85


def test_the_clustered_interval_depends_on_values_and_seed_only():
    values, clusters = [0.0, 1.0, 1.0, 0.0, 1.0], ["a", "a", "b", "c", "c"]
    assert clustered_mean(values, clusters, seed=3) == clustered_mean(values, list("xxyzz"), seed=3)
    assert clustered_mean([1.0] * 4, "abcd") == Estimate(1.0, 4, 1.0, 1.0)


def test_one_cluster_says_nothing_about_others():
    assert clustered_mean([0.0, 1.0], "aa") == Estimate(0.5, 2, -math.inf, math.inf)


@pytest.mark.parametrize(("values", "clusters"), [([], []), ([1.0], "ab"), ([1.0, 2.0], "a")])
def test_values_without_clusters_are_refused(values, clusters):
    with pytest.raises(ValueError, match="both must be equal and not 0"):
        clustered_mean(values, clusters)


def test_the_mean_of_independent_values_has_students_interval():
    """Student 1908, table of the hours of sleep gained by ten patients; R: t.test(extra, group 2)."""
    sleep = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = mean_of(10, float(np.mean(sleep)), float(np.mean(np.square(sleep))))
    assert (found.low, found.high) == (pytest.approx(0.8976775), pytest.approx(3.7623225))
    assert (found.value, found.n) == (pytest.approx(2.33), 10)
    assert mean_of(1, 0.3, 0.09) == Estimate(0.3, 1, -math.inf, math.inf)
    with pytest.raises(ValueError, match="0 values have no mean"):
        mean_of(0, 0.0, 0.0)


def test_a_few_right_answers_from_a_few_conversations_prove_nothing():
    assert clustered_share([1.0, 1.0], ["a", "b"]).low < 0.5
    assert clustered_share([1.0] * 30, ["only one"] * 30) == Estimate(1.0, 30, 0.0, 1.0)
    assert clustered_share([1.0] * 60, [i % 12 for i in range(60)]).low > 0.5


def test_the_interval_of_a_share_holds_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        # Ten conversations of six comparisons; how easy each is differs, so its outcomes are alike.
        easy = np.clip(rng.normal(0.7, 0.15, size=10), 0, 1)
        outcomes = [float(rng.random() < p) for p in easy for _ in range(6)]
        estimate = clustered_share(outcomes, [c for c in range(10) for _ in range(6)])
        held += estimate.low <= 0.695 <= estimate.high  # the clipped normal's mean
    assert 0.92 <= held / 400 <= 0.99


@pytest.mark.parametrize(("share", "count"), [(0.6, 194), (0.7, 47), (0.75, 29), (0.55, 783)])
def test_how_many_comparisons_are_needed_agrees_with_the_tables(share, count):
    """The counts that every sample-size table gives for one share against one half."""
    assert math.ceil(comparisons_needed(share)) == count
    assert comparisons_needed(share) == pytest.approx(comparisons_needed(1 - share))
    assert comparisons_needed(0.5) == math.inf


def test_as_many_comparisons_as_needed_show_the_effect_four_times_in_five():
    rng, n = np.random.default_rng(5), math.ceil(comparisons_needed(0.65))
    shares = rng.binomial(n, 0.65, size=4000) / n
    found = np.abs(shares - 0.5) / math.sqrt(0.25 / n) > Z
    assert 0.75 < found.mean() < 0.85


@given(st.integers(2, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_effective_count_of_independent_comparisons_is_their_number(case):
    successes, n = case
    assert effective_count(wilson(successes, n)) == pytest.approx(n, rel=1e-6)


def test_alike_comparisons_are_worth_less():
    values = [float(i % 3 > 0) for i in range(12) for _ in range(5)]
    estimate = clustered_share(values, [i for i in range(12) for _ in range(5)])
    assert 5 < effective_count(estimate) < 20 < estimate.n
    assert effective_count(Estimate(0.5, 30, 0.0, 1.0)) == 0.0


def test_holm_gives_the_adjusted_values_of_r():
    """p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") in R."""
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert list(found) == ["a", "b", "c", "d"]
    assert list(found.values()) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm({}) == {}
    with pytest.raises(ValueError, match="Not a p value"):
        holm({"a": 1.2})


def test_holm_rarely_alarms_when_nothing_is_there():
    rng = np.random.default_rng(2)
    alarms = sum(
        min(holm({str(i): float(p) for i, p in enumerate(row)}).values()) < 0.05
        for row in rng.random((2000, 8))
    )
    assert 0.03 < alarms / 2000 < 0.07


def test_an_interval_that_touches_the_null_has_a_p_value_of_five_percent():
    assert p_value(Estimate(0.2, 10, 0.0, 0.4)) == pytest.approx(0.05)
    assert p_value(Estimate(0.7, 10, 0.5, 0.9), null=0.5) == pytest.approx(0.05)
    assert p_value(Estimate(0.2, 1, -math.inf, math.inf)) == 1.0
    assert p_value(Estimate(1.0, 4, 1.0, 1.0)) == 1.0


@given(st.integers(2, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_p_value_of_a_share_and_its_interval_say_the_same(case):
    estimate = wilson(*case)
    if min(abs(estimate.low - 0.5), abs(estimate.high - 0.5)) > 1e-9:
        assert (share_p_value(estimate) < 0.05) == (not estimate.low <= 0.5 <= estimate.high)
    assert share_p_value(Estimate(0.9, 30, 0.0, 1.0)) == 1.0


def test_the_best_model_agrees_with_a_noisy_person_more_often_than_they_do():
    rng = np.random.default_rng(8)
    first, second = rng.random((2, 200_000)) < 0.9  # each judgement is the true taste nine times in ten
    consistency = float((first == second).mean())
    assert consistency == pytest.approx(0.82, abs=0.005)
    assert best_agreement(consistency) == pytest.approx(0.9, abs=0.005)
    assert (best_agreement(1.0), best_agreement(0.3)) == (1.0, 0.5)
    with pytest.raises(ValueError, match="impossible"):
        best_agreement(1.1)


def test_flipping_signs_is_honest_about_few_clusters():
    assert sign_flip_p_value([1.0] * 30, [i // 10 for i in range(30)]) == pytest.approx(2 / 8, abs=0.03)
    assert sign_flip_p_value([1.0, 0.9, 1.1] * 4, range(12)) < 0.002
    assert sign_flip_p_value([0.0] * 8, range(8)) == 1.0


def test_flipping_signs_alarms_as_often_as_it_says():
    rng = np.random.default_rng(6)
    alarms = 0
    for _ in range(300):
        topic = rng.normal(size=10)
        values = [float(topic[i] + rng.normal()) for i in range(10) for _ in range(3)]
        alarms += sign_flip_p_value(values, [i for i in range(10) for _ in range(3)]) < 0.05
    assert alarms / 300 < 0.09

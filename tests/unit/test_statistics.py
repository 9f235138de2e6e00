"""Intervals: published values, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.statistics import Estimate, clustered_mean, clustered_share, wilson, win_rate


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

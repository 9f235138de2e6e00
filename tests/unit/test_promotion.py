"""Promoting with a guarantee: of those promoted at most a stated share is wrong, whatever the scores are."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.promotion import conformal_p_values, promoted, promoted_by_best, select

scores = st.lists(st.floats(-5, 5), max_size=20)
known = st.lists(st.tuples(st.floats(-5, 5), st.booleans()), max_size=40)
p_values = st.lists(st.floats(0, 1), max_size=30)
levels = st.floats(0.01, 0.99)


def test_a_p_value_counts_the_bad_ones_that_score_as_high():
    known, good = [0.9, 0.6, 0.6, 0.2], [True, False, False, False]
    assert conformal_p_values([1.0, 0.6, 0.1], known, good) == [1 / 5, 3 / 5, 4 / 5]


def test_benjamini_and_hochberg_by_hand():
    assert select([0.01, 0.9, 0.04, 0.03], 0.05) == [0]
    assert select([0.01, 0.9, 0.04, 0.03], 0.06) == [0, 2, 3]
    assert select([], 0.1) == []


@pytest.mark.parametrize(("values", "level"), [([0.1], 0.0), ([0.1], 1.0), ([1.2], 0.1)])
def test_what_is_no_level_or_no_p_value_is_refused(values, level):
    with pytest.raises(ValueError):
        select(values, level)


@given(scores, known)
def test_p_values_are_valid_and_fall_with_the_score(new, old):
    values = conformal_p_values(new, [s for s, _ in old], [g for _, g in old])
    assert all(1 / (1 + len(old)) <= p <= 1 for p in values)
    ordered = [p for _, p in sorted(zip(new, values, strict=True))]
    assert ordered == sorted(ordered, reverse=True)


@given(p_values, levels, levels)
def test_a_stricter_level_selects_no_more_and_never_over_a_better_one(values, one, other):
    strict, loose = (set(select(values, level)) for level in sorted((one, other)))
    assert strict <= loose
    worst = max((values[i] for i in loose), default=0.0)
    assert {i for i, p in enumerate(values) if p < worst} <= loose


@given(scores, st.floats(0.01, 0.5))
def test_few_known_ones_promote_nothing(new, level):
    few = max(0, math.ceil(1 / level) - 2)  # then no p value is at or below the level
    assert promoted(new, [0.0] * few, [True] * few, level=level) == []


@pytest.mark.parametrize("level", [0.1, 0.3])
def test_the_level_is_kept_over_many_crowds(level):
    """Half do not help; scores are noisy. The mean share of wrong ones is at most the level, and not idle."""
    rng = np.random.default_rng(0)
    shares, powers = [], []
    for _ in range(400):
        good = rng.random(140) < 0.5
        score = good * 1.5 + rng.normal(size=140)
        chosen = promoted(score[100:].tolist(), score[:100].tolist(), good[:100].tolist(), level=level)
        wrong = sum(not good[100 + i] for i in chosen)
        shares.append(wrong / max(1, len(chosen)))
        powers.append((len(chosen) - wrong) / max(1, good[100:].sum()))
    margin = 2 * np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= level + margin
    assert np.mean(powers) > 0.2


def crowd(
    rng: np.random.Generator, strengths: tuple[float, ...], n: int
) -> tuple[np.ndarray, list[list[float]]]:
    """Return who is good, half of them, and a score of each kind, which says so much of it."""
    good = rng.random(n) < 0.5
    return good, [[g * s + rng.normal() for s in strengths] for g in good]


@pytest.mark.parametrize("level", [0.1, 0.3])
def test_the_level_is_kept_though_the_best_of_many_scores_is_chosen(level):
    """Nine kinds say nothing, one does, and nobody knows which; the choice is made by the same artifacts."""
    rng = np.random.default_rng(1)
    shares, powers = [], []
    for _ in range(120):
        good, score = crowd(rng, (*[0.0] * 9, 2.5), 70)
        chosen = promoted_by_best(score[50:], score[:50], good[:50].tolist(), level=level)
        wrong = sum(not good[50 + j] for j in chosen)
        shares.append(wrong / max(1, len(chosen)))
        powers.append((len(chosen) - wrong) / max(1, good[50:].sum()))
    assert np.mean(shares) <= level + 2 * np.std(shares) / np.sqrt(len(shares))
    assert np.mean(powers) > 0.4


def test_choosing_the_best_score_without_more_ado_breaks_the_level():
    """Of scores that say nothing the one that promotes most promotes too many wrong ones."""
    rng = np.random.default_rng(2)
    naive, careful = [], []
    for _ in range(120):
        good, score = crowd(rng, (0.0,) * 30, 40)
        known, truth = score[:30], good[:30].tolist()
        each = [
            promoted([row[k] for row in score[30:]], [row[k] for row in known], truth, level=0.2)
            for k in range(30)
        ]
        best = promoted_by_best(score[30:], known, truth, level=0.2)
        for shares, chosen in ((naive, max(each, key=len)), (careful, best)):
            shares.append(sum(not good[30 + j] for j in chosen) / max(1, len(chosen)))
    assert np.mean(naive) > 0.3
    assert np.mean(careful) <= 0.2 + 2 * np.std(careful) / np.sqrt(len(careful))


@given(scores, known, levels)
def test_with_one_kind_of_score_as_many_are_promoted_as_by_it_alone(new, old, level):
    good = [g for _, g in old]
    alone = promoted(new, [s for s, _ in old], good, level=level)
    assert promoted_by_best([[s] for s in new], [[s] for s, _ in old], good, level=level) == alone


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), max_size=8), known, levels, st.randoms())
def test_who_is_promoted_does_not_depend_on_the_order(new, old, level, rng):
    rows, good = [[s, -s] for s, _ in old], [g for _, g in old]
    order = rng.sample(range(len(new)), len(new))
    first = set(promoted_by_best(new, rows, good, level=level))
    again = promoted_by_best([new[i] for i in order], rows, good, level=level)
    assert {order[j] for j in again} == first


def by_definition(
    scores: list[list[float]], known: list[list[float]], good: list[bool], level: float
) -> list[int]:
    """Return the same as `promoted_by_best`, word for word as it says, one candidate after the other."""
    if not scores:
        return []
    sizes, stay = [], []
    for j, own in enumerate(scores):
        of_kinds = []
        for kind in range(len(own)):
            column = [row[kind] for row in scores]
            bad = [row[kind] for row, g in zip(known, good, strict=True) if not g]
            others = [sum(b >= s for b in (*bad, own[kind])) / (1 + len(known)) for s in column]
            others[j] = 0.0
            ranked = sorted(others)
            fits = [k for k, p in enumerate(ranked, 1) if p <= level * k / len(ranked)]
            of_kinds.append((max(fits), (1 + sum(b >= own[kind] for b in bad)) / (1 + len(known))))
        size, p = max(of_kinds, key=lambda one: one[0])
        sizes.append(size)
        if p <= level * size / len(scores):
            stay.append(j)
    most = max((r for r in range(1, len(stay) + 1) if sum(sizes[j] <= r for j in stay) >= r), default=0)
    return [j for j in stay if sizes[j] <= most]


coarse = st.integers(-3, 3).map(float)  # so that many scores are alike
some = st.floats(-5, 5) | coarse


@given(
    st.lists(st.tuples(some, some), max_size=14),
    st.lists(st.tuples(some, some, st.booleans()), max_size=30),
    levels,
)
def test_all_candidates_at_once_are_promoted_as_one_after_the_other(new, old, level):
    rows, known, good = [list(row) for row in new], [[a, b] for a, b, _ in old], [g for *_, g in old]
    found = promoted_by_best(rows, known, good, level=level)
    assert found == by_definition(rows, known, good, level)


def test_ten_thousand_candidates_take_a_moment():
    rng = np.random.default_rng(4)
    good, score = crowd(rng, (2.0, 0.5), 10_600)
    begun = time.process_time()
    chosen = promoted_by_best(score[600:], score[:600], good[:600].tolist(), level=0.2)
    assert time.process_time() - begun < 1
    assert sum(not good[600 + j] for j in chosen) / len(chosen) < 0.25


def test_known_ones_without_a_truth_are_refused():
    with pytest.raises(ValueError, match="2 known scores and 1 truths"):
        promoted_by_best([[1.0]], [[1.0], [0.0]], [True], level=0.2)

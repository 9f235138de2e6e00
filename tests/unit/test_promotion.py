"""Promoting with a guarantee: of those promoted at most a stated share is wrong, whatever the scores are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.promotion import conformal_p_values, promoted, select

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

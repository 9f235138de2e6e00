"""The prior that people share: what it must not depend on, and that it helps where there is something."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.steering.shared import FEWEST_PEOPLE, alike, share, unit

FEATURES = 20


def tastes(seed: int, people: int) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(size=(people, FEATURES)))


@given(st.integers(0, 30), st.permutations(range(7)), st.floats(0.1, 9))
@settings(deadline=None, max_examples=20)
def test_neither_order_nor_length_of_the_tastes_matters(seed, order, factor):
    plain = tastes(seed, 7)
    one, other = share(plain), share([factor * plain[i] for i in order])
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-12)


@given(st.integers(0, 30), st.integers(0, 6))
@settings(deadline=None, max_examples=20)
def test_whoever_leaves_is_out_of_the_next_prior_exactly(seed, who):
    people = tastes(seed, 7)
    rest = [each for i, each in enumerate(people) if i != who]
    without = share(people, [float(i != who) for i in range(7)])
    np.testing.assert_allclose(without.mean, share(rest).mean, atol=1e-12)


def test_without_a_rating_the_taste_is_the_mean():
    prior = share(tastes(1, 8))
    np.testing.assert_allclose(prior.taste(np.zeros((0, FEATURES))), unit(prior.mean))


def test_a_prior_without_weight_is_the_closed_form_alone():
    rows = np.random.default_rng(2).normal(size=(4, FEATURES))
    found = share(tastes(1, 8)).taste(rows, worth=0.0)
    np.testing.assert_allclose(found, unit(rows.sum(axis=0)))


def test_few_noisy_prompts_find_a_taste_that_others_have_too():
    generator = np.random.default_rng(3)
    common = unit(generator.normal(size=FEATURES))
    others = [common + 0.2 * generator.normal(size=FEATURES) for _ in range(12)]
    prior, gains = share(others), []
    for _ in range(40):
        mine = unit(common + 0.2 * generator.normal(size=FEATURES))
        rows = mine + generator.normal(size=(2, FEATURES))
        gains.append(prior.taste(rows) @ mine - unit(rows.sum(axis=0)) @ mine)
    assert np.mean(gains) > 0.1


def test_many_ratings_outvote_the_mean():
    prior = share(tastes(1, 8))
    rows = np.tile(np.random.default_rng(2).normal(size=FEATURES), (400, 1))
    assert prior.taste(rows) @ unit(rows[0]) > 0.999


def test_too_few_people_and_wrong_weights_are_refused():
    with pytest.raises(ValueError, match="a prior takes"):
        share(tastes(0, FEWEST_PEOPLE - 1))
    for weights in ([1.0], [0.0] * 6, [-1.0, 1, 1, 1, 1, 1]):
        with pytest.raises(ValueError, match="weight"):
            share(tastes(0, 6), weights)


def test_people_are_alike_by_the_words_of_what_they_state():
    brief, plain, both = ("Be brief.",), ("Use simple, everyday words.",), ("Be brief.", "Use simple words.")
    assert alike(brief, brief) == pytest.approx(1.0)
    assert alike(brief, plain) == 0.0 == alike(brief, ())
    assert 0 < alike(brief, both) == alike(both, brief) < 1

"""A person's reward: what it must not depend on, what it equals, and that its accuracy is honest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.steering.reward import (
    MOST_PROMPTS,
    Prior,
    RatedPrompt,
    features,
    learn_reward,
    mean_norms,
    raw,
)

LAYERS, HIDDEN = 2, 6


def person(seed: int, prompts: int, *, noise: float = 0.1, answers: int = 4) -> list[RatedPrompt]:
    """Return prompts of a person whose ratings follow the first hidden unit of the first layer."""
    generator = np.random.default_rng(seed)
    found = []
    for i in range(prompts):
        states = (generator.normal(size=(answers, LAYERS, HIDDEN)) + 3).astype(np.float32)
        felt = states[:, 0, 0] + noise * generator.normal(size=answers)
        found.append(RatedPrompt(str(i), states, tuple(float(50 + 10 * each) for each in felt)))
    return found


def order(reward, prompt: RatedPrompt) -> list[int]:
    return list(np.argsort(reward.of(prompt.states)))


def test_it_orders_answers_that_it_never_saw_as_the_person_does():
    reward = learn_reward(person(0, 24))
    right = [
        (a > b) == (x > y)
        for p in person(1, 30)
        for a, x in zip(reward.of(p.states), p.scores, strict=True)
        for b, y in zip(reward.of(p.states), p.scores, strict=True)
        if x != y
    ]
    assert np.mean(right) > 0.9
    assert reward.is_useful
    assert reward.accuracy.value == pytest.approx(np.mean(right), abs=0.1)


def test_ratings_at_random_are_not_called_useful():
    useful = []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        rated = [
            RatedPrompt(p.conversation, p.states, tuple(generator.normal(size=4))) for p in person(seed, 12)
        ]
        useful.append(learn_reward(rated).is_useful)
    assert np.mean(useful) < 0.15  # the lower bound of a 95 % interval: one in forty by chance


@given(st.integers(0, 50), st.floats(0.5, 20), st.floats(-100, 100))
@settings(deadline=None, max_examples=20)
def test_the_units_of_the_slider_and_a_prompts_level_do_not_matter(seed, unit, level):
    plain = person(seed, 5)
    moved = [
        RatedPrompt(p.conversation, p.states, tuple(unit * s + level * i for s in p.scores))
        for i, p in enumerate(plain)
    ]
    np.testing.assert_allclose(learn_reward(plain).weights, learn_reward(moved).weights, atol=1e-4)


@given(st.integers(0, 50), st.permutations(range(6)))
@settings(deadline=None, max_examples=20)
def test_the_order_of_the_prompts_does_not_matter(seed, shuffled):
    plain = person(seed, 6)
    one, other = learn_reward(plain), learn_reward([plain[i] for i in shuffled])
    np.testing.assert_allclose(one.weights, other.weights, atol=1e-5)


@given(st.integers(0, 50))
@settings(deadline=None, max_examples=20)
def test_who_turns_all_ratings_round_gets_the_opposite(seed):
    plain = person(seed, 5)
    turned = [RatedPrompt(p.conversation, p.states, tuple(-s for s in p.scores)) for p in plain]
    np.testing.assert_allclose(learn_reward(plain).weights, -learn_reward(turned).weights, atol=1e-6)


def test_it_is_a_ridge_regression_on_centred_states():
    rated = person(3, 8)
    norms = mean_norms(rated)
    rows = np.concatenate([(f := features(p.states, norms)) - f.mean(axis=0) for p in rated])
    ratings = np.concatenate([np.asarray(p.scores) - np.mean(p.scores) for p in rated])
    ratings /= np.sqrt((ratings**2).mean())
    kernel = rows @ rows.T
    usual = np.trace(kernel) / len(rows)
    reward = learn_reward(rated)
    candidates = [
        np.linalg.solve(rows.T @ rows + c * usual * np.eye(rows.shape[1]), rows.T @ ratings)
        for c in np.geomspace(0.03, 100.0, 15)
    ]
    assert any(np.allclose(raw(head, norms), reward.weights, atol=1e-5) for head in candidates)


def test_a_prior_that_knows_the_taste_makes_few_ratings_go_further():
    few, fresh = person(5, 3, noise=3.0), person(6, 40)
    norms = mean_norms(few)
    head = raw(np.eye(LAYERS * HIDDEN)[0], norms)  # in states: the first unit of the first layer
    basis = np.zeros((1, LAYERS * HIDDEN))
    basis[0, 0] = 1.0
    assert head[0, 0] > 0

    def accuracy(reward) -> float:
        return float(np.mean([order(reward, p)[-1] == int(np.argmax(p.scores)) for p in fresh]))

    without = accuracy(learn_reward(few))
    along = accuracy(learn_reward(few, Prior(np.zeros(LAYERS * HIDDEN), basis, along=30.0)))
    assert along > without + 0.1


def test_a_prior_that_says_nothing_changes_nothing():
    rated = person(7, 6)
    nothing = Prior(np.zeros(LAYERS * HIDDEN), np.zeros((0, LAYERS * HIDDEN)))
    np.testing.assert_allclose(learn_reward(rated).weights, learn_reward(rated, nothing).weights, atol=1e-6)


def test_too_few_prompts_have_no_reward():
    assert learn_reward(person(0, 2)) is None
    alike = [RatedPrompt(p.conversation, p.states, (50.0,) * 4) for p in person(0, 10)]
    assert learn_reward(alike) is None


def test_one_conversation_alone_proves_nothing():
    rated = [RatedPrompt("one", p.states, p.scores) for p in person(0, 20, noise=0.0)]
    reward = learn_reward(rated)
    assert not reward.is_useful


def test_what_is_older_than_the_last_prompts_does_not_count():
    rated = person(0, MOST_PROMPTS + 2, answers=2)
    assert learn_reward(rated).prompts == MOST_PROMPTS


def test_the_odds_of_a_difference_are_bradley_and_terrys():
    reward = learn_reward(person(0, 24, noise=1.0))
    assert reward.beats(0.0) == 0.5
    assert reward.beats(0.3) + reward.beats(-0.3) == pytest.approx(1.0)
    assert reward.beats(1.0) > reward.beats(0.1)

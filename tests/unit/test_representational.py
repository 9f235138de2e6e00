"""Representational similarity: what it must not depend on, planted people, and intervals that are honest."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

from personalization.agreement import representational
from personalization.agreement.representational import (
    FEWEST_CONVERSATIONS,
    FEWEST_PEOPLE,
    missing_conversations,
    rank_correlation,
    similarities,
    similarity_to_states,
)
from personalization.statistics import clustered_mean
from personalization.steering.reward import RatedPrompt, learn_reward

LAYERS = 2
numbers = st.lists(st.integers(0, 9), min_size=3, max_size=30)


def rated(
    seed: int, prompts: int, *, spread: float = 1.0, taste: bool = True, answers: int = 4, width: int = 8
):
    """Return prompts whose scores follow the first hidden unit of each layer (`taste`) or nothing.

    The other units differ `spread` times as much as the first between two answers.
    """
    generator = np.random.default_rng(seed)
    found = []
    for i in range(prompts):
        states = spread * generator.normal(size=(answers, LAYERS, width)) + 3
        liked = generator.normal(size=answers)
        states[:, :, 0] = 3 + liked[:, None]
        scores = liked if taste else generator.normal(size=answers)
        found.append(
            RatedPrompt(str(i), states.astype(np.float32), tuple(float(50 + 10 * one) for one in scores))
        )
    return found


def people(seed: int, count: int, *, common: float = 1.0) -> dict[str, np.ndarray]:
    """Return dissimilarities of the same people by words and by judgements, which share something."""
    generator = np.random.default_rng(seed)
    nature = common * generator.normal(size=(count, 3))
    names = ("words", "judgements")
    return {name: squareform(pdist(nature + generator.normal(size=(count, 3)))) for name in names}


@given(numbers, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_it_is_scipys_spearman_with_ties(first, random):
    second = [random.randint(0, 9) for _ in first]
    found = rank_correlation(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)


def test_two_dissimilarities_have_no_order_and_other_things_cannot_be_compared():
    assert rank_correlation([1, 2], [1, 2]) is None
    with pytest.raises(ValueError, match="no common order"):
        rank_correlation([1, 2, 3], [1, 2])


@given(st.integers(0, 1000), st.permutations(range(8)))
@settings(deadline=None, max_examples=20)
def test_neither_a_monotone_change_nor_the_order_of_people_matters(seed, order):
    plain = people(seed, 8)
    changed = {
        "words": np.exp(plain["words"])[np.ix_(order, order)],
        "judgements": plain["judgements"][np.ix_(order, order)] ** 3,
    }
    found, again = similarities(plain), similarities(changed)
    assert found.keys() == again.keys() == {("words", "judgements")}
    pair = "words", "judgements"
    assert again[pair].value == pytest.approx(found[pair].value, abs=1e-12)
    monotone = similarities({"words": np.exp(plain["words"]), "judgements": plain["judgements"]})
    assert monotone[pair].as_dict() == pytest.approx(found[pair].as_dict(), abs=1e-12)


def test_every_two_names_are_compared_and_what_is_the_same_is_one():
    both = people(0, 10)
    found = similarities({**both, "again": 2 * both["words"], "nothing": np.zeros((10, 10))})
    assert len(found) == 6
    same = found["words", "again"]
    assert (same.value, same.n, same.low, same.high) == pytest.approx((1, 10, 1, 1))
    assert [found[name, "nothing"] for name in ("words", "judgements", "again")] == [None] * 3
    alone = found["words", "judgements"]
    assert alone == similarities(both)["words", "judgements"]
    assert -1 <= alone.low < alone.value < alone.high <= 1


def test_few_people_give_nothing_and_other_people_cannot_be_compared():
    assert similarities(people(0, FEWEST_PEOPLE - 1)) == {("words", "judgements"): None}
    assert similarities({"words": np.zeros((9, 9))}) == {}
    square = people(0, 8)["words"]
    with pytest.raises(ValueError, match="same people"):
        similarities({"words": square, "judgements": square[:7, :7]})
    for wrong in (np.triu(square), np.full((8, 8), np.nan)):
        with pytest.raises(ValueError, match="symmetric matrix of numbers: judgements"):
            similarities({"words": square, "judgements": wrong})


@pytest.mark.parametrize("common", [0.0, 1.0])
def test_the_interval_over_people_holds_the_truth_of_many(common, monkeypatch):
    everybody, upper = people(0, 1000, common=common), np.triu_indices(1000, 1)
    true = rank_correlation(*(matrix[upper] for matrix in everybody.values()))
    monkeypatch.setattr(representational, "RESAMPLES", 200)
    held = []  # 77 of a hundred without anything in common, if pairs with oneself counted
    for seed in range(1, 101):
        found = similarities(people(seed, 16, common=common), seed=seed)["words", "judgements"]
        held.append(found.low <= true <= found.high)
    assert np.mean(held) >= 0.92  # 95 at the least, less two standard errors of a hundred draws


def test_a_taste_that_is_most_of_what_differs_is_clearly_seen():
    clear = similarity_to_states(rated(0, 24, spread=0.1))
    assert clear.low > 0.5
    assert clear.n == 24


def test_a_taste_that_is_little_of_what_differs_is_hardly_seen_but_can_be_learned():
    hidden = rated(0, 48, spread=1.0, width=64)
    assert similarity_to_states(hidden).high < 0.3
    assert learn_reward(hidden).accuracy.low > 0.6


@pytest.mark.parametrize(("prompts", "answers"), [(6, 4), (20, 3)])
def test_scores_at_random_hold_0_in_95_of_a_hundred_where_resampling_would_not(prompts, answers):
    student, resampled = [], []
    for seed in range(400):
        noise = rated(seed, prompts, taste=False, answers=answers)
        found = similarity_to_states(noise)
        student.append(found.low <= 0 <= found.high)
        if prompts == FEWEST_CONVERSATIONS and seed < 200:
            means = [fmean(each) for each in representational._by_conversation(noise).values()]
            other = clustered_mean(means, range(prompts), seed=seed)
            resampled.append(other.low <= 0 <= other.high)
    assert np.mean(student) == pytest.approx(0.95, abs=0.025)
    if resampled:
        assert np.mean(resampled) < 0.91


@given(st.integers(0, 1000), st.floats(0.5, 20), st.floats(-100, 100))
@settings(deadline=None, max_examples=20)
def test_units_of_scores_and_states_and_the_order_of_answers_do_not_matter(seed, unit, level):
    plain = rated(seed, 7)
    turned = np.random.default_rng(seed).permutation(4)
    moved = [
        RatedPrompt(
            p.conversation, unit * p.states[turned], tuple(level - unit * p.scores[i] for i in turned)
        )
        for p in plain
    ]
    found, again = similarity_to_states(plain), similarity_to_states(moved)
    assert again.as_dict() == pytest.approx(found.as_dict(), abs=1e-9)


def test_what_a_prompt_has_in_common_does_not_matter():
    plain = [RatedPrompt(p.conversation, p.states[:, :1], p.scores) for p in rated(3, 8)]
    moved = [RatedPrompt(p.conversation, p.states + 64 * i, p.scores) for i, p in enumerate(plain)]
    assert similarity_to_states(moved).value == pytest.approx(similarity_to_states(plain).value, abs=0.02)


def test_a_conversation_counts_once_and_what_says_nothing_not_at_all():
    base = rated(5, 6)
    found = similarity_to_states(base)
    longer = [*base, *[base[0]] * 9]
    assert similarity_to_states(longer) == found
    silent = [
        RatedPrompt("two answers", base[0].states[:2], (10.0, 90.0)),
        RatedPrompt("all alike", base[0].states, (50.0,) * 4),
        RatedPrompt("the same text", np.ones((4, LAYERS, 8), dtype=np.float32), (1.0, 2.0, 3.0, 4.0)),
    ]
    assert similarity_to_states([*base, *silent]).n == 6
    assert missing_conversations(silent) == FEWEST_CONVERSATIONS


def test_with_too_few_conversations_it_says_how_many_are_missing():
    one_long = [RatedPrompt("the same", p.states, p.scores) for p in rated(0, 20)]
    assert similarity_to_states(one_long) is None
    assert missing_conversations(one_long) == FEWEST_CONVERSATIONS - 1
    assert similarity_to_states([]) is None
    assert missing_conversations(rated(0, FEWEST_CONVERSATIONS)) == 0

"""Simulated people: their features measure what they say, and their ratings follow their taste."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.simulation.features import FEATURES, standardise
from personalization.simulation.people import TEMPERAMENTS, SimulatedPerson, draw_person, population
from personalization.simulation.prompts import PROMPTS, draw_prompts
from personalization.text import list_share, sentence_length

PLAIN = "Put the egg in hot water. Wait six minutes. Take it out."
LEARNED = (
    "The preparation of hard-boiled eggs necessitates approximately twelve uninterrupted minutes of "
    "continuous immersion, notwithstanding considerable regional variation regarding temperature."
)


def test_the_features_of_a_hand_counted_answer():
    assert sentence_length(PLAIN) == pytest.approx((6 + 3 + 3) / 3)
    assert list_share("To do:\n- one\n- two\n3) three") == pytest.approx(3 / 4)
    assert FEATURES["questions"]("Why? Because of it.") == pytest.approx(25.0)


@given(st.text(), st.sampled_from(sorted(FEATURES)))
def test_every_feature_is_finite_for_any_text(text, name):
    assert -3.0 <= standardise(name, text) <= 3.0


def test_somebody_who_likes_simple_words_rates_them_higher():
    person = draw_person(0)
    assert person.description == "simple words and short sentences"
    ratings = [(person.rate(PLAIN, rng), person.rate(LEARNED, rng)) for rng in map(random.Random, range(50))]
    assert all(1 <= r <= 100 for pair in ratings for r in pair)
    assert all(plain > learned for plain, learned in ratings)


def test_a_seed_is_one_person_and_the_next_seed_another():
    assert draw_person(3) == draw_person(3)
    assert len({draw_person(seed).description for seed in range(5)}) == len(TEMPERAMENTS)


def test_fresh_prompts_were_never_rated():
    rated, fresh = draw_prompts(7, rated=42, fresh=24)
    assert not set(rated) & set(fresh)
    assert len(set(rated) | set(fresh)) == 66
    with pytest.raises(ValueError, match="were asked for"):
        draw_prompts(0, rated=len(PROMPTS), fresh=1)


def test_the_population_has_twelve_different_people():
    people = population()
    assert len({person.description for person in people}) == len(people) == 12
    assert sum(person.notices is not None for person in people) == 2
    for person in people:
        ratings = person.rate_together([PLAIN, LEARNED, PLAIN], random.Random(1))
        assert len(ratings) == 3
        assert all(1 <= rating <= 100 for rating in ratings)


def test_who_chooses_in_circles_really_does():
    """Each text is shorter and a little less plain than the one before, the last much less than the first."""
    person = SimulatedPerson("", {"word_length": -1.0, "word_count": -1.0}, (), 0.0, notices=1.0)
    first = "four " * 34 + "fives " * 51
    second = "fives " * 75
    third = "fives " * 39 + "sixsix " * 26
    assert (
        person.prefers(second, first) == person.prefers(third, second) == person.prefers(first, third) == 1.0
    )
    assert person.prefers(first, first) == 0.5

"""The warm-start benchmark compares people with themselves, and its attack works where it must."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.people.pool import Pool
from benchmarks.warm_start.attack import membership
from benchmarks.warm_start.page import write_page
from benchmarks.warm_start.study import (
    ARMS,
    KEYS,
    SIZES,
    Crowd,
    Seed,
    difference,
    mean_of,
    starts,
    temperament,
)
from personalization.simulation.people import SimulatedPerson, population
from personalization.steering.shared import FEWEST_PEOPLE, axes_of, unit


def row(person: str, arm: str, prompts: int, accuracy: float) -> dict[str, object]:
    return {"person": person, "seed": 0, "prompts": prompts, "arm": arm, "accuracy": accuracy}


def test_each_person_is_compared_with_themselves():
    rows = [row("anna", "stated", 2, 0.7), row("bert", "stated", 2, 0.6)]
    rows += [row("anna", "alone", 8, 0.6), row("bert", "alone", 8, 0.6)]
    assert mean_of(rows, "stated", 2).value == pytest.approx(0.65)
    assert difference(rows, ("stated", 2), ("alone", 8)).value == pytest.approx(0.05)


def seed_of(width: int = 24) -> Seed:
    """32 prompts with answers of different lengths, and states of which one axis tells the length."""
    texts = [["One word more. " * n for n in (5, 30, 15, 20)]] * 32
    states = np.random.default_rng(0).normal(size=(128, 4, width)).astype(np.float32)
    states[:, :, 0] += np.tile([4.0, -4.0, 1.0, -1.0], 32)[:, None]
    return Seed(Pool(0, ["p"] * 32, [], texts, []), states, (1, 2, 3, 4))


def test_strangers_hold_nobody_of_ones_own_temperament():
    seed, people = seed_of(), population()
    rng = np.random.default_rng(1)
    directions = {key: unit(rng.normal(size=4 * 24)) for key in set(KEYS.values())}
    crowd = Crowd.of(seed, people, 24)
    assert len(crowd.tastes) == 24
    for person in people:
        own = crowd.temperaments.count(temperament(person))
        assert own >= 2
        assert len(crowd.without(temperament(person))) == 24 - own
    found = starts(seed, people, directions)
    assert found.keys() == {person.description for person in people}
    for by_arm in found.values():
        assert by_arm["alone"] is None
        both = by_arm["stated"].direction + by_arm["strangers"].direction
        np.testing.assert_allclose(by_arm["stated_and_strangers"].direction, both)


def test_every_word_that_a_simulated_person_states_has_a_value():
    stated = {words for person in population() for words in person.stated_values}
    assert stated == KEYS.keys()


def test_a_taste_that_states_tell_orders_answers():
    seed, brief = seed_of(), SimulatedPerson("brief", {"word_count": -1.0}, (), 0.1)
    taste = seed.taste(brief, range(8))
    assert seed.accuracy(brief, taste) > 0.75
    assert seed.accuracy(brief, -taste) < 0.25


def test_who_is_in_a_mean_of_unrelated_tastes_is_found_and_noise_hides_them():
    rng, count = np.random.default_rng(0), 2 * FEWEST_PEOPLE
    tastes = list(rng.normal(size=(count, 2000)))
    axes = axes_of({str(i): unit(each) for i, each in enumerate(rng.normal(size=(9, 2000)))})
    asked = {"inside": FEWEST_PEOPLE, "splits": 10}
    plain, found = membership(tastes, tastes, axes, is_private=False, **asked)
    hidden, hardly = membership(tastes, tastes, axes, is_private=True, **asked)
    other, _ = membership(tastes, list(rng.normal(size=(count, 2000))), axes, is_private=False, **asked)
    assert plain.value > 0.9
    assert found == 1
    assert abs(hidden.value - 0.5) < 0.03
    assert hardly < 0.5
    assert abs(other.value - 0.5) < 0.03
    assert plain.n == count


def test_the_page_says_what_was_found(tmp_path):
    value = {"value": 0.61, "low": 0.5, "high": 0.7, "n": 9}
    found = {
        "grid": [{"arm": arm, "prompts": size, **value} for arm in ARMS for size in SIZES],
        "less_eight_alone": {arm: {1: value, 2: value} for arm in ARMS},
        "alike": {"words and values": value}, "seen": value,
        "fresh": [{"arm": "alone", "prompts": 8, **value, "relevance": value, "less_eight_alone": value}],
        "membership": [
            {"known": "ratings", "inside": 3, "people": 9, "noise": True, "detected": 0.06, **value}
        ],
        "attack_bound": 0.542, "privacy": 0.15, "machine": "m", "dtype": "d", "commit": "c", "seeds": 1,
    }  # fmt: skip
    write_page(tmp_path, found)
    page = (tmp_path / "warm_start.md").read_text()
    assert "| stated and strangers | 0.61 [0.50, 0.70]" in page
    assert "| ratings | 3 of 9 | yes | 0.61 [0.50, 0.70] | 0.06 |" in page
    assert "0.54" in page
    assert (tmp_path / "warm_start.svg").exists()

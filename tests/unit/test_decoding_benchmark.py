"""The decoding benchmark's summary counts people and compares each with themselves."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.decoding.results import summary, table, write_page
from benchmarks.decoding.study import Cell
from benchmarks.people.pool import Pool
from benchmarks.warm_start.study import Seed, difference, mean_of, membership
from personalization.simulation.people import SimulatedPerson


def cell(person: str, arm: str, wins: list[float], cost: float = 1.0) -> Cell:
    return Cell(person, 0, 8, arm, wins, 0.6, 0.61, 70.0, cost, 0.7, 0.55)


def test_each_person_is_compared_with_themselves_and_the_cost_is_told(tmp_path):
    cells = [cell(name, "base", wins) for name, wins in (("anna", [1.0, 0.0]), ("bert", [0.0, 0.0]))]
    cells += [cell("anna", "best_of_4", [1.0, 1.0], 4.1), cell("bert", "best_of_4", [1.0, 0.0], 3.9)]
    found = summary(cells)
    (difference,) = found["differences"]
    assert (difference["arm"], difference["beside"]) == ("best_of_4", "base")
    assert difference["value"] == pytest.approx(0.5)
    assert "| 8 | best of 4 | 0.75" in table(found)
    assert "| 4.0 |" in table(found)
    write_page(tmp_path, found | {"machine": "m", "dtype": "d", "commit": "c"})
    assert "100 % of the people" in (tmp_path / "decoding.md").read_text()


def test_a_warm_start_is_compared_person_by_person():
    rows = [
        {"person": p, "seed": 0, "prompts": n, "arm": arm, "accuracy": value}
        for p, arm, n, value in (
            ("anna", "alike", 2, 0.7), ("bert", "alike", 2, 0.6),
            ("anna", "alone", 8, 0.6), ("bert", "alone", 8, 0.6),
        )
    ]  # fmt: skip
    assert mean_of(rows, "alike", 2).value == pytest.approx(0.65)
    assert difference(rows, ("alike", 2), ("alone", 8)).value == pytest.approx(0.05)


def test_who_is_in_a_prior_of_unrelated_tastes_is_found_and_by_other_ratings_less():
    """The attack works where it must: tastes that share nothing stick out."""
    generator = np.random.default_rng(0)
    texts = [["a", "bb cc", "dd ee ff", "g h i j k"]] * 32
    people = [SimulatedPerson(str(i), {"word_count": 1.0}, (), 3.0) for i in range(24)]
    states = generator.normal(size=(128, 4, 30)).astype(np.float32)
    seed = Seed.of(Pool(0, ["p"] * 32, [], texts, []), states)
    same = membership(seed, people, inside=8, splits=5, same_ratings=True)
    other = membership(seed, people, inside=8, splits=5, same_ratings=False)
    assert same.value > 0.8
    assert abs(other.value - 0.5) < 0.25
    assert same.n == 24

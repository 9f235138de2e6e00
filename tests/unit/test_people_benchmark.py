"""The people benchmark keeps what it computed, and its summary counts people, not answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.people.arms import Rated, Shape, gated, in_context
from benchmarks.people.page import write_page
from benchmarks.people.pool import Pool, pool_of, usual_relevance
from benchmarks.people.results import Cell, Cells, by_person, summary, table
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Intervention
from personalization.models.relevance import relevance
from personalization.simulation.people import population
from tests import tiny
from tests.gates import gate_of


def cell(
    person: str,
    arm: str,
    wins: list[float],
    prompts: int = 8,
    *,
    relevance: float = 0.64,
    ratio: float = 1.02,
    gated_to: float = 1.0,
) -> Cell:
    return Cell(person, 0, prompts, arm, wins, relevance, 0.65, 0.01, 0.0, 70.0, ratio, 3.0, gated_to)


def test_what_is_computed_is_kept_and_not_asked_for_again(tmp_path):
    made = cell("anna", "vector", [1.0, 0.5])
    Cells(tmp_path / "new" / "cells.jsonl").add(made)
    again = Cells(tmp_path / "new" / "cells.jsonl")
    assert made.key in again
    assert ("anna", 0, 8, "adapter") not in again
    assert again.all() == [made]


def test_the_best_method_is_no_control_and_the_interval_is_over_people():
    cells = [cell(name, "random_vector", [1.0] * 4) for name in ("anna", "bert", "cleo")]
    cells += [
        cell("anna", "vector", [1.0] * 4),
        cell("bert", "vector", [1.0] * 4),
        cell("cleo", "vector", [0.0] * 4),
    ]
    found = summary(cells)
    assert found["best"]["method"] == "vector"
    assert found["best"]["win_rate"] == pytest.approx(2 / 3)
    assert found["best"]["low"] == 0.0  # three people, one of whom lost everything
    assert by_person(cells[3:])["cleo"].high < 0.5
    assert "| vector | 0.67 [0.00, 1.00] |" in table(found)


def test_a_method_that_breaks_text_is_not_the_best_and_an_unfinished_one_is_not_shown():
    people = ("anna", "bert")
    cells = [
        *(cell(p, "vector", [1.0, 0.0]) for p in people),
        *(cell(p, "both", [1.0, 1.0], ratio=1.5) for p in people),
        *(cell(p, "in_context", [1.0, 1.0], relevance=0.5) for p in people),
        cell("anna", "adapter", [1.0, 1.0]),
    ]
    found = summary(cells)
    assert found["best"]["method"] == "vector"
    assert {row["arm"] for row in found["grid"]} == {"vector", "both", "in_context"}


def test_people_of_one_seed_rate_the_same_answers_differently():
    texts = [
        ["Boil it.", "The preparation necessitates considerable perseverance."],
        ["Yes!", "- one\n- two"],
    ]
    pool = Pool(3, ["How?", "What?"], ["Why?"], texts, ["Because."])
    rated = [Rated.by(person, pool) for person in population()]
    assert rated[0] == Rated.by(population()[0], pool)
    assert len({r.scores for r in rated}) > 6
    pairs = rated[0].pairs(2)
    assert all(pair.chosen != pair.rejected and 0 < pair.margin <= 1 for pair in pairs)
    shown = in_context(rated[0], 1).head
    best = texts[0][max(range(2), key=lambda i: rated[0].scores[0][i])]
    assert [m.content for m in shown] == ["How?", best]


def test_the_relevance_that_others_are_compared_with_is_of_many_draws_and_kept(tmp_path):
    engine = LocalEngine(tiny.base())
    try:
        pool = pool_of(3, engine, tmp_path, rated_prompts=1, fresh_prompts=2)
        found = usual_relevance(pool, engine, tmp_path)
    finally:
        engine.close()
    single = relevance(pool.fresh, pool.base)
    assert found != pytest.approx(sum(single) / len(single))
    assert usual_relevance(pool, engine, tmp_path) == found  # a closed engine answers nothing


def test_what_the_gate_holds_back_is_counted_and_compared_with_a_gate_that_says_yes_or_no(tmp_path):
    cells = [
        *(cell(p, "vector", [1.0, 1.0]) for p in ("anna", "bert", "cleo")),
        cell("anna", "gated_vector", [1.0, 1.0]),
        cell("bert", "gated_vector", [1.0, 0.5], gated_to=0.4),
        cell("cleo", "gated_vector", [0.5, 0.5], gated_to=0.0),
    ]
    (row,) = summary(cells)["gate"]
    assert (row["prompts"], row["n"], row["weakened"], row["nothing"], row["share"]) == (8, 3, 1, 1, 0.4)
    assert row["less_full"]["value"] == pytest.approx(-0.25)
    assert row["less_refused"]["value"] == pytest.approx((0 + 0.25 + 0) / 3)
    write_page(tmp_path, {**summary(cells), "machine": "", "dtype": "", "commit": ""})
    assert "| 8 | 1 of 3 | 1, 0.40 on average | 1 | -0.25 [" in (tmp_path / "people.md").read_text()


def test_a_gated_shape_acts_as_strongly_as_the_gate_lets_each_part():
    strong, harmful = (Intervention("vector", Path(name), name) for name in ("strong", "harmful"))
    falls = {"strong": -0.2, "harmful": -5.0}
    found = gated(Shape((), (strong, harmful)), lambda part: gate_of(falls[part.digest] * part.strength))
    assert [(part.digest, part.strength) for part in found.interventions] == [("strong", pytest.approx(0.45))]
    assert found.gated_to == 0

"""The methods benchmark gives the same ratings in every kind, and compares only what is complete."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.methods.advice import adviser_regret
from benchmarks.methods.feedback import KINDS, MOST_EPOCHS, records_of, settings_of
from benchmarks.methods.page import write_page
from benchmarks.methods.results import Cell, Cells, key_of, summary
from benchmarks.methods.study import method_of
from benchmarks.people.arms import Rated
from benchmarks.people.pool import Pool
from benchmarks.priors import of_methods
from personalization.simulation.people import population


def cell(
    person: str,
    method: str,
    wins: list[float],
    *,
    kind: str = "pairs",
    taught: bool = False,
    prompts: int = 8,
    dtype: str = "bfloat16",
):
    return Cell(
        person, 0, kind, method, prompts, taught, {"beta": 0.1}, wins, 0.01, 70.0, 1.02, 0.03, 1.0, -2.0,
        None if kind == "edits" else 0.4, 120, 60.0, dtype,
    )  # fmt: skip


def test_a_cell_of_other_parameters_is_another_cell(tmp_path):
    made = cell("anna", "dpo", [1.0])
    Cells(tmp_path / "cells.jsonl").add(made)
    found = Cells(tmp_path / "cells.jsonl").found
    assert found == {made.key: made}
    assert key_of("anna", 0, "pairs", "dpo", 8, False, "bfloat16", {"beta": 0.1}) in found
    assert key_of("anna", 0, "pairs", "dpo", 8, False, "bfloat16", {"beta": 0.2}) not in found
    assert key_of("anna", 0, "pairs", "dpo", 8, False, "float32", {"beta": 0.1}) not in found


def test_the_best_of_a_kind_is_compared_with_the_next_person_by_person(tmp_path):
    cells = [
        *(cell(p, "dpo", w) for p, w in (("anna", [1.0, 1.0]), ("bert", [1.0, 0.0]))),
        *(cell(p, "ipo", w) for p, w in (("anna", [1.0, 0.0]), ("bert", [0.0, 0.0]))),
        # Not yet computed for bert: neither is one of the methods of which most are asked for.
        *(cell("anna", name, [1.0, 1.0]) for name in ("sppo", "dpop", "simpo")),
        cell("cleo", "dpo", [0.0, 0.0]),  # whom no other method knows yet
        cell("anna", "kto", [1.0, 1.0], kind="thumbs"),  # of one person there is no interval
        *(cell(p, "dpo", [1.0, 1.0], taught=True) for p in ("anna", "bert")),
        *(cell(p, "dpo", [1.0, 1.0], prompts=4) for p in ("anna", "bert")),
        *(cell(p, "sft", [0.5, 0.5], kind="edits") for p in ("anna", "bert")),
    ]
    found = summary(cells)
    best = found["best_by_kind"]["pairs"]
    assert (best["method"], best["runner_up"], best["prompts"]) == ("dpo", "ipo", 8)
    assert (best["win_rate"], best["difference"]) == pytest.approx((0.75, 0.5))
    assert best["low"] <= 0.75 <= best["high"]
    assert best["difference_low"] == pytest.approx(0.5)  # both are ahead by the same
    assert found["best_by_kind"]["edits"]["runner_up"] is None
    assert set(found["best_by_kind"]) == {"pairs", "edits"}
    amounts = [(row["kind"], row["prompts"], row["method"]) for row in found["best"]]
    assert amounts == [("edits", 8, "sft"), ("pairs", 4, "dpo"), ("pairs", 8, "dpo")]
    assert "sppo" not in {row["method"] for row in found["grid"]}
    gaps = {(r["kind"], r["method"], r["prompts"], r["taught"]): r["less_dpo"] for r in found["grid"]}
    assert gaps["pairs", "dpo", 8, False] is None
    assert gaps["pairs", "ipo", 8, False]["value"] == pytest.approx(-0.5)
    assert gaps["edits", "sft", 8, False]["value"] == pytest.approx(0.5 - 0.75)
    found |= {"machine": "m", "commit": "c"}
    write_page(tmp_path, found | adviser_regret(cells))
    page = (tmp_path / "methods.md").read_text()
    assert {file.name for file in tmp_path.glob("*.svg")} == {"methods-pairs.svg", "methods-edits.svg"}
    assert "| pairs | `dpo` | 0.40 [0.40, 0.40] |" in page
    assert "Too few people or methods" in page
    assert "`dpo`, 0.75 [" in page
    assert "| pairs | `dpo` and the vector | 8 | 2 | 1.00 [1.00, 1.00] |" in page
    assert "nothing else was measured" in page
    assert json.loads((tmp_path / "methods.json").read_text())["best_by_kind"]["pairs"] == best


def test_one_computed_in_two_precisions_counts_once_and_shows_what_they_change(tmp_path):
    people = ("anna", "bert")
    cells = [cell(p, "dpo", [1.0, 0.0], dtype="float32") for p in people]
    cells += [cell(p, name, [1.0, 1.0]) for p in people for name in ("dpo", "ipo")]
    cells += [cell(p, "gpo", [0.0, 0.0], dtype="float32") for p in people]
    cells += [cell(p, "kto", [0.0, 0.0], kind="thumbs") for p in people]
    found = summary(cells)
    assert {(row["method"], row["dtype"], row["n"]) for row in found["grid"]} == {
        ("dpo", "bfloat16", 4), ("ipo", "bfloat16", 4), ("gpo", "float32", 4), ("kto", "bfloat16", 4),
    }  # fmt: skip
    assert found["precision"]["difference"] == pytest.approx(0.5)
    gaps = {row["method"]: row["less_dpo"]["value"] for row in found["grid"] if row["less_dpo"]}
    assert gaps == {"ipo": 0.0, "gpo": -0.5, "kto": -1.0}  # each beside DPO of its own precision
    write_page(tmp_path, found | adviser_regret(cells) | {"machine": "m", "commit": "c"})
    page = (tmp_path / "methods.md").read_text()
    assert "| pairs | `gpo` (float32) | 8 |" in page
    assert "held out" not in page.lower()  # nobody was asked
    asked = [replace(c, held_out=0.5 + 0.1 * (c.person == "anna")) for c in cells]
    write_page(tmp_path, summary(asked) | adviser_regret(asked) | {"machine": "m", "commit": "c"})
    assert "| 0.55 [0.50, 0.60] |" in (tmp_path / "methods.md").read_text()
    assert "`dpo` in both, 2 cells of 2 people: bfloat16 wins +0.500 more than float32" in page
    assert summary([c for c in cells if c.dtype == "bfloat16"])["precision"] is None


def test_the_page_says_what_following_the_adviser_loses(tmp_path):
    names = ("anna", "bert", "cleo", "dora")
    cells = [cell(name, "dpo", [1.0] * 6 + [0.0] * 2) for name in names]
    cells += [cell(name, "ipo", [1.0, 0.0, 0.0, 0.0] * 2) for name in names]
    cells.append(cell("anna", "sppo", [1.0] * 8))  # of one person, which keeps nobody from being compared
    advice = adviser_regret(cells)
    assert advice["adviser_regret"]["n"] == 8  # both halves of the prompts
    assert advice["adviser_regret_by_kind"]["pairs"]["advised"] == ["dpo"]
    write_page(tmp_path, summary(cells) | advice | {"machine": "m", "commit": "c"})
    assert "- pairs: +0.000 [+0.000, +0.000], advised: dpo" in (tmp_path / "methods.md").read_text()


def test_the_same_ratings_are_every_kind_of_feedback_on_about_equal_compute():
    texts = [["Boil it.", "The preparation necessitates perseverance.", "Yes!", "- one\n- two"]] * 6
    pool = Pool(3, [f"How {i}?" for i in range(6)], ["Why?"], texts, ["Because."])
    rated = Rated.by(population()[0], pool)
    pairs = records_of(rated, "pairs", 6)
    told = records_of(rated, "critiques", 6)
    assert told.pairs == pairs.pairs
    assert {critique.text for critique in told.critiques} == {" ".join(rated.person.stated_values)}
    assert all(c.completion == min(texts[0], key=rated.person.taste) for c in told.critiques)
    read = {}
    for kind in set(KINDS) - {"critiques"}:  # what they teach is written by the model first
        given = records_of(rated, kind, 6)
        assert sum(map(bool, (given.pairs, given.thumbs, given.groups, given.edits))) == 1
        settings, read[kind] = settings_of(given, kind, pairs, system_message="Be plain.", taught=False)
        assert 1 <= settings.epochs <= MOST_EPOCHS
        assert settings.teaching == 0
    assert all(0.6 <= count / read["pairs"] <= 1.5 for kind, count in read.items() if kind != "edits")
    assert read["edits"] == MOST_EPOCHS * 6
    for thumb in records_of(rated, "thumbs", 6).thumbs:
        place = texts[0].index(thumb.completion)
        assert thumb.desirable == (rated.scores[int(thumb.conversation)][place] > 50)
    assert all(e.edited != e.original for e in records_of(rated, "edits", 6).edits)


def test_what_learns_from_a_selection_is_compared_with_what_learns_from_all_and_never_advised():
    method, kept_by = method_of("dpo:similarity")
    assert (method.name, kept_by) == ("dpo", "similarity")
    assert method_of("dpo")[1] == ""
    cells = [cell(p, m, [1.0, 0.0]) for p in ("anna", "bert") for m in ("dpo", "dpo:similarity")]
    rows = {row["method"]: row for row in summary(cells)["grid"]}
    assert rows["dpo:similarity"]["less_dpo"]["value"] == 0
    assert {trial.method for trial in of_methods(cells)} == {"dpo"}

"""What ships with the adviser comes from published cells; what is lost by following it is told fairly."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks import priors
from benchmarks.adviser import promotions
from benchmarks.people.results import Cell
from benchmarks.priors import Trial, joined, table_of
from benchmarks.regret import follow, regret
from personalization.adviser import Measured
from personalization.registry import all_methods

PEOPLE = ("anna", "bert", "cleo", "dora", "emil", "fina")


def trial(person: str, method: str, wins: list[float], *, seed: int = 0, taught: bool = True) -> Trial:
    return Trial(method, "pairs", 8, taught, person, seed, wins, 0.001 * len(person), 1.01, 60.0)


def test_the_shipped_file_is_what_the_command_writes(tmp_path):
    priors.ship(target=tmp_path / "priors.json")
    assert priors.SHIPPED.read_text() == (tmp_path / "priors.json").read_text(), (
        "run python -m benchmarks.adviser --ship"
    )
    rows = json.loads(priors.SHIPPED.read_text())["rows"]
    known = {method.name for method in all_methods()} | set(priors.ARMS.values())
    assert {Measured.of(row).method for row in rows} <= known
    places = [(row["method"], row["amount"]) for row in rows]
    assert len(set(places)) == len(places)  # else the page would say two things of one method


def test_two_benchmarks_are_compared_through_what_both_measured():
    wins = {"dpo": [1.0] * 8, "robust_dpo": [1.0] * 7 + [0.0]}
    easier = [trial(who, method, won) for who in PEOPLE for method, won in wins.items()]
    easier += [trial(who, "ipo", [1.0, 0.0], taught=False) for who in PEOPLE]
    usual = [trial(who, "dpo", [1.0] * 5 + [0.0] * 3, seed=seed) for who in PEOPLE for seed in (1, 2, 3)]
    usual = [replace(one, relevance_change=one.relevance_change - 0.01) for one in usual]
    found = {row["method"]: row for row in joined(usual, easier)}
    assert {name: row["win_rate"]["value"] for name, row in found.items()} == {
        "dpo": 0.625,
        "robust_dpo": 0.5,  # 0.125 less than dpo, as where both were measured
        "ipo": 0.5,  # no dpo without a teacher to compare it through
    }
    assert found["dpo"]["win_rate"]["n"] == 8 * 3 * len(PEOPLE)
    assert found["robust_dpo"]["relevance"]["anna"] == pytest.approx(0.004 - 0.01)


def test_what_was_taught_stands_for_a_method_and_what_is_not_complete_for_nothing():
    trials = [trial(who, "dpo", [1.0, 0.0], taught=taught) for who in PEOPLE for taught in (False, True)]
    trials += [trial(who, "dpo", [1.0, 1.0]) for who in PEOPLE]  # another seed of the taught
    trials += [trial(who, "ipo", [1.0, 1.0], taught=False) for who in PEOPLE]
    trials += [trial(who, "kto", [1.0, 1.0]) for who in PEOPLE[:5]]
    # Untaught ones that all have do not make whole what was taught to some.
    trials += [replace(trial(who, "bco", [1.0]), amount=4) for who in PEOPLE[:5]]
    trials += [replace(trial(who, "sft", [1.0], taught=False), amount=4) for who in PEOPLE]
    found = {row["method"]: row for row in table_of(trials)}
    assert set(found) == {"dpo", "ipo", "sft"}
    assert found["dpo"]["taught"]
    assert found["dpo"]["win_rate"]["value"] == 0.75
    assert found["dpo"]["people"] == dict.fromkeys(PEOPLE, 0.75)


def test_following_the_adviser_loses_nothing_where_one_method_is_everybodys_best():
    wins = {"dpo": [1.0] * 6 + [0.0] * 2, "ipo": [1.0, 1.0, 0.0, 0.0] * 2}
    trials = [trial(who, method, won) for who in PEOPLE for method, won in wins.items()]
    followed = follow(trials)
    assert {one.advised for one in followed} == {"dpo"}
    assert len(followed) == 2 * len(PEOPLE)  # one seed: even and odd prompts
    assert regret(followed).value == pytest.approx(0)
    spoiling = [replace(one, relevance_change=-0.2) if one.method == "dpo" else one for one in trials]
    left = follow(spoiling)
    assert {one.advised for one in left} == {None}  # ipo wins one half
    assert regret(left, any_method=True).value == pytest.approx(0.25)
    assert regret(left).value == pytest.approx(0)


def test_whoever_lacks_a_method_is_left_out_of_the_regret():
    trials = [trial(who, method, [1.0, 0.0]) for who in PEOPLE for method in ("dpo", "ipo")]
    missing = [one for one in trials if (one.person, one.method) != (PEOPLE[0], "ipo")]
    assert {one.person for one in follow(missing)} == set(PEOPLE[1:])


def test_of_one_method_or_two_people_no_regret_is_told():
    assert follow([trial(who, "dpo", [1.0]) for who in PEOPLE]) == []
    assert follow([trial(who, m, [1.0]) for who in PEOPLE[:2] for m in ("dpo", "ipo")]) == []


def test_promotion_counts_wrong_ones_among_the_promoted():
    good, bad = [1.0, 1.0] * 12, [0.0, 0.0] * 12
    cells = [
        Cell(f"{who} {i}", 0, 32, arm, wins, 0.6, 0.6, 0.0, 0.0, 70.0, 1.0, 60.0)
        for i in range(4)
        for who in PEOPLE
        for arm, wins in (("vector", good), ("random_vector", bad))
    ]
    found = promotions(cells, 0.2)
    assert found["conformal"].wrong < 0.01  # where by chance hardly any known one is bad, all are promoted
    assert found["conformal"].power > 0.5
    assert found["optcs"].wrong < 0.01
    assert found["interval"].power == 1.0

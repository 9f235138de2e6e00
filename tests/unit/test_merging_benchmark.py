"""The merging benchmark ranks by the goal that is served worst, and leaves out what not every seed has."""

from __future__ import annotations

from benchmarks.merging.page import write_page
from benchmarks.merging.results import Cell, Cells, summary, table


def cell(seed: int, arm: str, plain: float, brief: float) -> Cell:
    wins = {"plain words": [plain] * 4, "brief": [brief] * 4}
    return Cell(seed, arm, wins, -0.01, 70.0, 16 if arm == "ties" else None, 0.1, 2.0)


def test_the_best_arm_is_the_one_whose_worst_goal_is_served_best(tmp_path):
    cells = Cells(tmp_path / "cells.jsonl")
    for seed in (0, 1):
        cells.add(cell(seed, "plain words", 1.0, 0.25))
        cells.add(cell(seed, "ties", 0.75, 0.5))
    cells.add(cell(0, "cat", 1.0, 1.0))
    cells.keep_conflicts(0, [{"layer": 3, "cosine": 0.1, "sign_conflict": 0.4, "overlap": 0.2}])
    again = Cells(tmp_path / "cells.jsonl")
    found = summary(again)
    assert [row["arm"] for row in found["rows"]] == ["ties", "plain words"]
    assert found["rows"][1]["worst"] == {"goal": "brief", "value": 0.25, "low": 0.25, "high": 0.25, "n": 8}
    assert found["conflict"]["sign_conflict"] == 0.4
    assert "| ties | 0.75 [0.75, 0.75] | 0.50 [0.50, 0.50] |" in table(found)
    found |= {"machine": "m", "dtype": "float32", "commit": "c", "rated": 32}
    write_page(tmp_path / "page", found)
    assert "8 comparisons for each goal" in (tmp_path / "page" / "merging.md").read_text()

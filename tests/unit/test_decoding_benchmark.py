"""The decoding benchmark's summary counts people and compares each with themselves."""

from __future__ import annotations

import pytest

from benchmarks.decoding.cells import Cell
from benchmarks.decoding.results import summary, table, write_page


def cell(person: str, arm: str, wins: list[float], cost: float = 1.0) -> Cell:
    return Cell(person, 0, 8, arm, wins, 0.6, 0.61, 70.0, cost, 0.7, 0.55)


def test_each_person_is_compared_with_themselves_and_the_cost_is_told(tmp_path):
    cells = [cell(name, "base", wins) for name, wins in (("anna", [1.0, 0.0]), ("bert", [0.0, 0.0]))]
    cells += [cell("anna", "best_of_4", [1.0, 1.0], 4.1), cell("bert", "best_of_4", [1.0, 0.0], 3.9)]
    found = summary(cells)
    (difference,) = found["differences"]
    assert (difference["arm"], difference["beside"]) == ("best_of_4", "base")
    assert difference["value"] == pytest.approx(0.5)
    assert "| 8 | best of 4 | 2 x 1 | 0.75" in table(found)
    assert "| 4.0 |" in table(found)
    write_page(tmp_path, found | {"machine": "m", "dtype": "d", "commit": "c"})
    assert "100 % of the people" in (tmp_path / "decoding.md").read_text()
    assert "*Value sampling*" not in (tmp_path / "decoding.md").read_text()
    found = summary([*cells, *(cell(name, "value_sampling", [1.0, 1.0], 20.0) for name in ("anna", "bert"))])
    write_page(tmp_path, found | {"machine": "m", "dtype": "d", "commit": "c"})
    page = (tmp_path / "decoding.md").read_text()
    assert "| 8 | value sampling | 2 x 1 | 1.00" in page
    assert "tilts each token" in page

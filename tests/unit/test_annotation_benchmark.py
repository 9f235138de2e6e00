"""The annotation benchmark's figures, bars and page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.annotation.page import words, write_page
from benchmarks.annotation.results import bars, figures

ROWS: list[dict[str, Any]] = [
    *({"what": "submit", "phase": "paced", "at": float(n), "seconds": 0.05} for n in range(11)),
    *({"what": "wait", "phase": "paced", "at": float(n), "seconds": 0.01 * n} for n in range(11)),
    *({"what": "submit", "phase": "flat out", "at": 20 + n / 10, "seconds": 0.3} for n in range(11)),
    {"what": "told", "at": 1.0, "seconds": 0.0, "submission": "s", "assignment": "a"},
]
NOTHING = ("lost", "doubled", "over_assigned", "miscounted", "under_assigned")
COUNTED = ("told", "items", "wanted", "judged", "versions", "repeats", "gold", "skipped")
CHECKED = dict.fromkeys(NOTHING, 0) | dict.fromkeys(COUNTED, 7)


def test_rates_and_spreads_are_those_of_their_phase():
    found = figures(ROWS)
    assert found["paced"]["a_second"] == pytest.approx(1.0)
    assert found["flat out"]["a_second"] == pytest.approx(10.0)
    assert found["paced"]["acts"]["wait"] == {"n": 11, "p50": 0.05, "p95": pytest.approx(0.095), "most": 0.1}
    assert found["flat out"]["acts"]["wait"]["n"] == 0


@pytest.mark.parametrize("key", NOTHING)
def test_one_of_anything_that_must_not_be_misses_its_bar(key):
    fine = bars(figures(ROWS), CHECKED, 0)
    assert {bar["verdict"] for bar in fine} == {"PASS", "stated"}
    wrong = bars(figures(ROWS), CHECKED | {key: 1}, 0)
    assert [bar["verdict"] for bar in wrong].count("MISSED") == 1


@pytest.mark.parametrize("hand", [None, {"pair": {"keys": 2.0, "seconds": [0.1, 0.2]}}])
def test_the_page_and_the_words_say_what_was_measured(tmp_path, hand):
    hand = hand and hand | {"four": {"keys": 5.0, "seconds": [0.1]}}
    found: dict[str, Any] = {
        "figures": figures(ROWS), "checked": CHECKED, "bars": bars(figures(ROWS), CHECKED, 1), "hand": hand,
        "errors": ["GET /x: 500"], "machine": "m", "commit": "c", "total_seconds": 9.0, "people": 20,
        "paced_seconds": 60.0, "load_average_before": 0.1, "quick": True,
    }  # fmt: skip
    assert "MISSED  answers that were errors: 1" in words(found)
    assert "GET /x: 500" in words(found)
    write_page(tmp_path, found)
    text = (tmp_path / "annotation.md").read_text()
    assert "| next item after Submit, p95 | 200 ms | 95 ms | PASS |" in text
    assert ("2: `1`, Ctrl+Enter" in text) == bool(hand)
    assert json.loads((tmp_path / "annotation.json").read_text())["checked"]["told"] == 7
    assert (tmp_path / "annotation.svg").read_text().startswith("<svg")

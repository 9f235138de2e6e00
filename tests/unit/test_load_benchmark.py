"""The load benchmark's figures, bars and page, and the events that its people read."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from benchmarks.load.page import words, write_page
from benchmarks.load.results import as_json, bars, figures, queue, spread
from benchmarks.load.wire import events


def row(what: str, role: str, seconds: float, at: float = 0.0, name: str = "chat") -> dict[str, Any]:
    return {"what": what, "role": role, "name": name, "at": at, "seconds": seconds}


def sample(**changed: float) -> dict[str, float]:
    usual = {
        "at": 1.0,
        "queued": 2,
        "queued_of_one": 1,
        "running": 3,
        "jobs_queued": 4,
        "jobs_running": 1,
        "messages": 0,
        "load_average": 1.5,
    }
    return {**usual, **changed}


CHECKED: dict[str, Any] = {
    "replies": {
        "written": 9,
        "by_host": {"a": 5, "b": 4},
        "twice": 0,
        "kept": 9,
        "done": 9,
        "done_but_by_nobody": 0,
        "other_text_than_streamed": 0,
        "failed": 0,
        "open": 0,
    },
    "jobs": {"states": {"done": 2}, "by_host": {"a": 1, "b": 1}, "twice": 0, "tried_again": 0},
    "feedback": {"told": 4, "lost": 0},
    "turns": {"told": 2, "lost": 0},
    "faults": [],
}
ROWS = [
    *(row("page", "person", 0.05 + 0.01 * i, name="/") for i in range(10)),
    *(row("first", "person", 1.0, at=at) for at in (5.0, 15.0)),
    row("first", "heavy", 2.0, at=15.0),
    row("reply", "program", 3.0, name="api"),
    row("limited", "heavy", 0.1),
]


def run(
    rows: list[dict[str, Any]] = ROWS,
    *,
    light: float = 0.1,
    heavy: float = 2.0,
    is_long: bool = True,
    **changed: Any,
) -> dict[str, Any]:
    """Return what a run with these measurements would have returned; light and heavy ones waited so long."""
    found, checked = figures(rows, heavy_at=10.0), CHECKED | changed
    found["waits"] = {"light": spread([light] * 30), "heavy": spread([heavy] * (30 if is_long else 3))}
    queued = queue([sample(), sample(at=2.0, queued=7)]) | {"bound": 1000, "bound_of_one": 60}
    return {
        "bars": as_json(bars(found, checked, queued)),
        "figures": found,
        "checked": checked,
        "queue": queued,
        "samples": [sample(), sample(at=20.0)],
        "first": [[5.0, 1.0, "person"], [15.0, 2.0, "heavy"]],
        "people": 50,
        "seconds": 30,
        "heavy_after": 10.0,
        "answer_tokens": 64,
        "machine": "two cores",
        "commit": "abc",
        "load_average_before": 3.0,
        "was_idle": False,
    }


def missed(found: dict[str, Any]) -> set[str]:
    return {bar["what"] for bar in found["bars"] if bar["verdict"] == "MISSED"}


def test_a_spread_is_median_95th_percentile_and_maximum():
    assert spread(range(101)) == {"n": 101, "p50": 50.0, "p95": 95.0, "most": 100.0}
    assert spread([])["n"] == 0


def test_a_sound_run_meets_every_bar_and_states_the_rest():
    found = run()
    assert missed(found) == set()
    assert {b["what"] for b in found["bars"] if b["verdict"] == "stated"} == {
        "first text, p95",
        "whole answer, p95",
    }
    assert (found["figures"]["light_before"]["n"], found["figures"]["light_beside"]["n"]) == (1, 1)
    assert found["figures"]["limited"] == {"person": 0, "program": 0, "heavy": 1}
    assert found["queue"]["queued"] == 7


@pytest.mark.parametrize(
    ("part", "field", "what"),
    [
        ("replies", "failed", "errors"),
        ("replies", "open", "errors"),
        ("replies", "twice", "replies written twice or unlike shown"),
        ("replies", "done_but_by_nobody", "replies written twice or unlike shown"),
        ("replies", "other_text_than_streamed", "replies written twice or unlike shown"),
        ("jobs", "twice", "jobs trained twice"),
        ("jobs", "tried_again", "jobs trained twice"),
        ("feedback", "lost", "messages and feedback lost"),
        ("turns", "lost", "messages and feedback lost"),
    ],
)
def test_one_fault_misses_its_bar(part, field, what):
    assert missed(run(**{part: CHECKED[part] | {field: 1}})) == {what}


def test_slow_pages_an_unfair_queue_and_an_idle_host_miss_their_bars():
    slow = [row("page", "person", 0.5, name="/") for _ in range(10)]
    assert missed(run([*ROWS, *slow])) == {"page, p95"}
    unfair = {"light ones' wait for a worker beside a heavy one, p95"}
    assert missed(run(light=9.0)) == unfair
    assert missed(run(light=0.2, heavy=0.1)) == set()  # nobody really waits
    assert missed(run(light=9.0, is_long=False)) == set()  # and too little to judge by
    replies = CHECKED["replies"] | {"by_host": {"a": 9, "b": 0}}
    assert missed(run(replies=replies)) == {"hosts that wrote replies"}
    fault = {**row("error", "person", 0.1), "status": 500, "detail": "Server Error"}
    found = run([*ROWS, fault])
    assert missed(found) == {"errors"}
    assert "chat 500: Server Error" in words(found)


def test_the_page_says_that_the_machine_was_not_idle_and_shows_its_plots(tmp_path):
    write_page(tmp_path, run())
    page = (tmp_path / "load.md").read_text()
    assert "**The machine was not idle** (load average 3.00 before it began)" in page
    assert "| page, p95 | 200 ms | 136 ms | PASS |" in page
    plots = re.findall(r"\]\((load-\w+\.svg)\)", page)
    assert len(plots) == 3
    for name in plots:
        assert (tmp_path / name).read_text().startswith("<svg")
    assert json.loads((tmp_path / "load.json").read_text())["people"] == 50


def test_events_are_read_whatever_the_pieces_in_which_they_come():
    wire = (
        b"retry: 1500\n\n: still here\n\nid: a=1-0\nevent: token\n"
        b'data: {"text": "\xc3\xa9"}\n\ndata: [DONE]\n\ndata: {"half'
    )
    whole = [("token", {"text": "é"}), ("message", "[DONE]")]
    for size in (1, 2, 7, len(wire)):
        pieces = [wire[i : i + size] for i in range(0, len(wire), size)]
        assert list(events(pieces)) == whole

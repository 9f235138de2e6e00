"""What the demonstration prints: the promised keys, and words that follow the intervals."""

from __future__ import annotations

import json

from alignapp.demo import report
from alignapp.demo.study import ARMS, Result
from personalization.simulation.people import draw_person
from personalization.statistics import win_rate

CARD = {
    "accuracy": {
        arm: {"value": v, "n": 40, "low": v - 0.1, "high": v + 0.1}
        for arm, v in (("base", 0.5), ("system_message", 0.52), ("artifact", 0.75))
    }
}


def result(wins: dict[str, int]) -> Result:
    made = Result(1, draw_person(1), "demo@example.org")
    made.steps = {"candidates": 100.0}
    made.cards = {"steer": CARD, "adapter": CARD}
    made.proven = {"steer": False, "adapter": True}
    made.fresh = {f"{arm}_vs_base": win_rate([1.0] * wins[arm] + [0.0] * (24 - wins[arm])) for arm in ARMS}
    made.words = dict.fromkeys(["base", *ARMS], 60.0)
    return made


def test_the_json_has_the_promised_keys():
    data = json.loads(json.dumps(report.as_json(result(dict.fromkeys(ARMS, 20)), 321.0)))
    assert data["seconds"] == 321.0
    assert set(data["held_out"]) == {"base", "system_message", "steer", "adapter"}
    assert set(data["held_out"]["adapter"]) == {"accuracy", "n", "low", "high"}
    assert set(data["fresh"]) == {
        "system_message_vs_base",
        "steer_vs_base",
        "adapter_vs_base",
        "both_vs_base",
    }
    assert set(data["fresh"]["adapter_vs_base"]) == {"win_rate", "n", "low", "high"}


def test_what_did_not_help_is_said():
    text = report.as_text(result({"system_message": 12, "steer": 20, "adapter": 2, "both": 13}), 321.0)
    assert "system message: no effect that this run could show (0.50" in text
    assert "vector from ratings: helped (0.83" in text
    assert "adapter: HURT (0.08" in text

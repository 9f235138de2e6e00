"""The adviser: follows what was measured, listens to the person's own evidence, and can say no."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from personalization.adviser import Measured, advise
from personalization.statistics import Estimate, wilson


def measured(method: str, value: float, amount: int = 8, *, data: str = "ratings", seconds: float = 60.0):
    return Measured(method, data, amount, Estimate(value, 800, value - 0.03, value + 0.03), seconds)


TABLE = [
    measured("vector", 0.70, seconds=0),
    measured("vector", 0.78, 32, seconds=0),
    measured("both", 0.9, 32),
]


def test_the_best_that_was_measured_for_so_much_feedback_is_advised():
    assert advise({"ratings": 8}, TABLE).method == "vector"
    found = advise({"ratings": 40}, TABLE, current="vector")
    assert found.method == "both"
    assert math.isclose(found.gain, 0.12)
    assert "12 more wins" in found.reason


def test_what_is_hardly_better_is_not_advised_over_what_acts():
    found = advise({"ratings": 32}, [*TABLE[:2], measured("dpo", 0.80, 32)], current="vector")
    assert found.method is None
    assert found.reason.startswith("Nothing beats what you have: dpo")


def test_a_persons_own_evidence_outweighs_other_people():
    lost = wilson(30, 100)
    assert advise({"ratings": 32}, TABLE, current="vector", own={"both": lost}).method is None
    won = wilson(96, 100)
    alike = [*TABLE[:2], measured("dpo", 0.78, 32)]
    assert advise({"ratings": 32}, alike, current="vector").method is None
    assert advise({"ratings": 32}, alike, current="vector", own={"dpo": won}).method == "dpo"


def test_what_takes_longer_than_there_is_time_is_left_out():
    assert advise({"ratings": 32}, TABLE, current="vector", budget_seconds=10).method is None
    assert advise({"ratings": 32}, TABLE, budget_seconds=10).method == "vector"


def test_without_enough_feedback_nothing_is_claimed():
    for feedback in ({}, {"ratings": 7}, {"pairs": 500}):
        assert advise(feedback, TABLE).method is None


@given(st.dictionaries(st.sampled_from(["ratings", "pairs"]), st.integers(0, 64)), st.floats(0.3, 0.95))
def test_never_what_is_expected_to_lose(feedback, value):
    found = advise(feedback, [measured("vector", value), measured("dpo", 0.6, data="pairs")])
    assert found.method is None or found.gain > 0
    assert 0 <= found.chance <= 1

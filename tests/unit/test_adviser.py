"""The adviser: follows what was measured, listens to people's own evidence, and can say no."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from personalization.adviser import Measured, advise
from personalization.beliefs import ATTENUATION, LEAST_PEOPLE, Outcome, believe
from personalization.statistics import Estimate, wilson

PEOPLE = [f"person {i}" for i in range(12)]


def measured(
    method: str,
    value: float,
    amount: int = 8,
    *,
    data: str = "ratings",
    seconds: float = 60.0,
    spread: float = 0.0,
    relevance: float = 0.0,
):
    """A row; with `spread` it was measured person by person, who differ by so much, alike in every method."""
    people = {who: value + spread * (i / 5.5 - 1) for i, who in enumerate(PEOPLE)} if spread else {}
    changes = {who: relevance + 0.001 * (-1) ** i for i, who in enumerate(PEOPLE)} if relevance else {}
    win_rate = Estimate(value, 800, value - 0.03, value + 0.03)
    return Measured(method, data, amount, win_rate, seconds, people, changes)


TABLE = [
    measured("vector", 0.70, seconds=0),
    measured("vector", 0.78, 32, seconds=0),
    measured("both", 0.9, 32),
]


def test_the_best_that_was_measured_for_so_much_feedback_is_advised():
    assert advise({"ratings": 8}, TABLE).method == "vector"
    found = advise({"ratings": 40}, TABLE, current="vector")
    assert (found.method, found.why) == ("both", "better")
    assert math.isclose(found.gain, 0.12)
    assert (found.nearest, found.now) == (TABLE[2], TABLE[1])


def test_what_is_hardly_better_is_not_advised_over_what_acts():
    found = advise({"ratings": 32}, [*TABLE[:2], measured("dpo", 0.79, 32)], current="vector")
    assert (found.method, found.why, found.nearest.method) == (None, "nothing_beats", "dpo")


def test_a_small_gain_is_advised_where_it_was_everybodys():
    """Twelve people who differ, but each gains alike: the difference is sure although the means are not."""
    table = [measured(name, value, 32, spread=0.2) for name, value in (("vector", 0.74), ("dpo", 0.78))]
    found = advise({"ratings": 32}, table, current="vector")
    assert (found.method, round(found.gain, 2)) == ("dpo", 0.04)
    assert found.chance > 0.99


def test_a_persons_own_evidence_outweighs_other_people():
    lost = [Outcome("me", "both", wilson(30, 100))]
    assert advise({"ratings": 32}, TABLE, current="vector", own=lost).method is None
    won = [Outcome("me", "dpo", wilson(96, 100))]
    alike = [*TABLE[:2], measured("dpo", 0.78, 32)]
    assert advise({"ratings": 32}, alike, current="vector").method is None
    assert advise({"ratings": 32}, alike, current="vector", own=won).method == "dpo"


def test_what_came_of_a_method_for_others_counts_from_five_people_on():
    alike = [*TABLE[:2], measured("dpo", 0.80, 32)]
    won = [Outcome(who, "dpo", wilson(36, 40)) for who in PEOPLE]
    few = advise({"ratings": 32}, alike, current="vector", others=won[: LEAST_PEOPLE - 1])
    assert few == advise({"ratings": 32}, alike, current="vector")
    many = advise({"ratings": 32}, alike, current="vector", others=won)
    assert many.gain > few.gain
    assert many.chance > few.chance


def test_one_outcome_tells_of_the_methods_that_people_like_alike():
    table = [measured(name, 0.7, spread=0.2) for name in ("vector", "dpo")]
    belief = believe(table, own=[Outcome("me", "vector", wilson(5, 40))])
    assert belief.of("dpo")[0] < 0.65
    assert belief.of("dpo")[1] < believe(table).of("dpo")[1]


def test_held_out_comparisons_tell_less_than_fresh_answers_do():
    shown = Outcome.held_out("me", "dpo", Estimate(0.5 + ATTENUATION / 4, 40, 0.5, 0.75))
    assert math.isclose(shown.win_rate.value, 0.75)
    assert shown.variance > Outcome("me", "dpo", Estimate(0.62, 40, 0.5, 0.75)).variance
    assert Outcome.held_out("me", "dpo", Estimate(0.6, 2, -math.inf, math.inf)).variance == math.inf
    belief = believe(TABLE[:1], own=[Outcome("me", "vector", Estimate(0.0, 2, -math.inf, math.inf))])
    assert belief.mean[0] == 0.7


def test_what_leaves_the_question_is_not_advised_however_often_it_wins():
    table = [TABLE[1], measured("both", 0.95, 32, relevance=-0.16)]
    found = advise({"ratings": 32}, table, current="vector")
    assert (found.method, found.why) == (None, "unsound")
    assert advise({"ratings": 32}, [TABLE[1], measured("both", 0.95, 32, relevance=-0.01)]).method == "both"


def test_what_takes_longer_than_there_is_time_is_left_out():
    found = advise({"ratings": 32}, TABLE, current="vector", budget_seconds=10)
    assert (found.method, found.why) == (None, "too_slow")
    assert advise({"ratings": 32}, TABLE, budget_seconds=10).method == "vector"
    assert advise({"ratings": 32}, TABLE, budget_seconds=10, seconds={"both": 5.0}).method == "both"


def test_without_evidence_it_says_what_is_missing():
    assert advise({}, TABLE).why == "unmeasured"
    assert advise({"pairs": 500}, TABLE).why == "unmeasured"
    few = advise({"ratings": 7}, TABLE)
    assert (few.why, few.nearest.amount) == ("too_few", 8)
    only_both = advise({"ratings": 9}, TABLE, current="vector", candidates=["both"])
    assert (only_both.why, only_both.nearest.method, only_both.now) == ("too_few", "both", TABLE[0])
    assert advise({"ratings": 32}, TABLE, current="ipo").why == "unmeasured_now"


def test_only_what_may_be_chosen_is_advised():
    assert advise({"ratings": 32}, TABLE, candidates=["vector"]).method == "vector"
    assert advise({"ratings": 32}, TABLE, candidates=["kto"]).why == "unmeasured"
    alone = advise({"ratings": 32}, TABLE, current="vector", candidates=["vector", "kto"])
    assert (alone.method, alone.why, alone.now) == (None, "nothing_else", TABLE[1])


def test_a_row_of_the_shipped_file_is_read_as_it_was_written():
    row = {
        "method": "dpo",
        "data": "ratings",
        "amount": 32,
        "taught": True,
        "seconds": 181.0,
        "people": {"anna": 0.8},
        "relevance": {"anna": -0.02},
        "perplexity_ratio": 1.01,
        "win_rate": Estimate(0.8, 24, 0.7, 0.9).as_dict(),
    }
    found = Measured.of(json.loads(json.dumps(row)))
    assert (found.win_rate, found.people, found.seconds) == (Estimate(0.8, 24, 0.7, 0.9), {"anna": 0.8}, 181)


@given(st.dictionaries(st.sampled_from(["ratings", "pairs"]), st.integers(0, 64)), st.floats(0.3, 0.95))
def test_never_what_is_expected_to_lose(feedback, value):
    found = advise(feedback, [measured("vector", value), measured("dpo", 0.6, data="pairs")])
    assert found.method is None or found.gain > 0
    assert 0 <= found.chance <= 1


@given(st.lists(st.tuples(st.sampled_from(["vector", "dpo"]), st.integers(0, 20)), max_size=12))
def test_evidence_never_makes_less_sure(seen):
    table = [measured(name, 0.7, spread=0.2) for name in ("vector", "dpo")]
    outcomes = [Outcome(f"p{i}", method, wilson(wins, 20)) for i, (method, wins) in enumerate(seen)]
    before = believe(table)
    for after in (believe(table, others=outcomes), believe(table, own=outcomes)):
        for name in ("vector", "dpo"):
            assert 0 < after.of(name)[1] <= before.of(name)[1] + 1e-9

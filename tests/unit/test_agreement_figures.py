"""What the figures say of planted people: steady ones, noisy ones, left-handed ones, hasty ones."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.agreement.biases import left_figure, left_share, length_figure
from personalization.agreement.care import gold_figure, straight_figure, ties_figure
from personalization.agreement.contradictions import contradictions, contradictions_figure
from personalization.agreement.judgements import Judgement, comparisons, units
from personalization.agreement.pace import fast_figure, is_too_fast, skips_figure, time_figure
from personalization.agreement.people import alpha_figure, concordance_figure
from personalization.agreement.ratings import own_ratings_figure, ratings_figure
from personalization.agreement.repeats import consistency, consistency_figure, taste_figure, taste_or_noise
from personalization.agreement.report import figures
from personalization.agreement.standardised import standardised


def _rating(person, item, a, b, **fields):
    return Judgement(
        person, str(item), "rating", {f"{item}a": float(a), f"{item}b": float(b)}, "slider", **fields
    )


def _pick(person, item, picked, **fields):
    """`picked` is "a", "b", "ab" for a tie or "" for neither."""
    values = {f"{item}{name}": float(name in picked) for name in "ab"}
    return Judgement(person, str(item), "pick", values, "pick", **fields)


def test_a_choice_is_one_thing_with_four_outcomes_and_a_rating_one_for_each_candidate():
    marks = [_pick("anna", 1, picked).marks() for picked in ("a", "b", "ab", "")]
    assert {key for one in marks for key in one} == {("1", ("1a", "1b"))}
    assert len({value for one in marks for value in one.values()}) == 4
    assert _rating("anna", 1, 20, 80).marks() == {("1", "1a"): 20.0, ("1", "1b"): 80.0}


def test_what_was_not_picked_is_not_compared_with_its_like():
    four = Judgement("anna", "1", "pick", {"a": 0, "b": 1, "c": 0, "d": 0}, uncompared=frozenset("acd"))
    found = {(one.first, one.second): one.preferred for one in comparisons([four])}
    assert found == {("a", "b"): -1, ("b", "c"): 1, ("b", "d"): 1}


def test_a_repeat_counts_for_consistency_and_for_nothing_else():
    said = [_pick("anna", 1, "a"), _pick("anna", 1, "b", is_repeat=True), _pick("bert", 1, "a")]
    assert len(list(comparisons(said))) == 2
    assert set(units(said)[("1", ("1a", "1b"))]) == {"anna", "bert"}
    assert consistency(said).value == 0.0


def test_own_scales_have_mean_0_and_deviation_1_and_keep_every_order():
    said = [_rating("anna", i, 60 + i, 80) for i in range(5)] + [_rating("flat", 1, 50, 50)]
    own = standardised(said)
    values = [value for one in own if one.person == "anna" for value in one.values.values()]
    assert sum(values) == pytest.approx(0)
    assert sum(v * v for v in values) == pytest.approx(len(values))
    assert list(own[-1].values.values()) == [0.0, 0.0]
    assert [c.preferred for c in comparisons(own)] == [c.preferred for c in comparisons(said)]


def _team(slip, tastes, items=40, seed=0):
    """People judge pairs by their taste ("a" or "b"), and slip with this chance; all items are repeated."""
    draw = random.Random(seed)
    other = {"a": "b", "b": "a"}
    said = []
    for item in range(items):
        turn = other if draw.random() < 0.5 else {"a": "a", "b": "b"}
        for person, taste in tastes.items():
            for is_repeat in (False, True):
                wanted = turn[taste]
                picked = other[wanted] if draw.random() < slip else wanted
                said.append(_pick(person, item, picked, is_repeat=is_repeat))
    return said


def test_steady_people_who_differ_show_taste():
    found = taste_or_noise(_team(0.05, {"anna": "a", "bert": "b", "cleo": "a"}))
    assert found.verdict == "taste"
    assert found.within.value > 0.85 > 0.5 > found.between.value
    assert found.gap.low > 0.3
    assert "settle nothing by majority" in taste_figure(_team(0.05, {"anna": "a", "bert": "b"})).words


def test_people_of_one_taste_who_slip_show_noise():
    found = taste_or_noise(_team(0.25, {"anna": "a", "bert": "a", "cleo": "a"}, items=300))
    assert found.verdict == "noise"
    assert abs(found.gap.value) < 0.1
    assert "this is noise" in taste_figure(_team(0.25, dict.fromkeys("xyz", "a"), items=300)).words


def test_few_repeats_decide_nothing():
    assert taste_or_noise(_team(0.1, {"anna": "a", "bert": "b"}, items=4)) is None
    assert "Fewer than 5 items" in taste_figure([]).words


def test_somebody_who_answers_anything_the_second_time_is_flagged():
    said = _team(0.5, {"lots": "a"}, seed=1) + _team(0.0, {"anna": "a"})
    figure = consistency_figure(said)
    assert {row.label: row.flagged for row in figure.rows} == {"anna": False, "lots": True}
    assert "talk to lots" in figure.words


def test_somebody_steady_with_few_repeats_is_not_taken_for_a_coin():
    few = [one for one in _team(0.0, {"anna": "a"}) if int(one.item) < 6]
    both = [*few, *(replace(one, protocol="other") for one in few)]  # twelve comparisons of six items
    figure = consistency_figure(both)
    assert [(row.estimate.value, row.flagged) for row in figure.rows] == [(1.0, False)]


def test_protocols_that_hardly_contradict_each_other_need_not_be_kept_apart():
    said = [one for n in range(40) for one in (_rating("anna", n, 80, 20), _pick("anna", n, "a"))]
    assert "either may be learned from" in contradictions_figure(said).words


def test_a_maker_that_only_a_generous_person_rated_is_best_as_given_but_not_on_own_scales():
    makers = {}
    for n in range(12):
        makers |= {f"{n}a": "plain" if n % 2 else "good", f"{n}b": "poor"}
    kind = [_rating("kind", n, 90, 85, makers=makers) for n in range(1, 12, 2)]  # rates "plain" only
    stern = [_rating("stern", n, 60, 10, makers=makers) for n in range(0, 12, 2)]  # rates "good" only
    kind.append(_rating("kind", 20, 100, 20, makers={"20a": "other", "20b": "other"}))
    raw, own = ratings_figure([*kind, *stern]), own_ratings_figure([*kind, *stern])
    assert raw.rows[0].label == "plain (slider)"
    assert raw.rows[0].estimate.value == 90
    assert own.rows[0].label == "good (slider)"
    assert own.rows[0].estimate.value == pytest.approx(1.0)
    assert "read this one" in own.words
    assert "say it with them" in ratings_figure([_rating("anna", 1, 2, 3)]).words


def test_a_tie_against_a_preference_is_a_contradiction_but_no_opposite():
    said = [
        *(_rating("anna", 1, 80, 20), _pick("anna", 1, "a")),  # alike
        *(_rating("anna", 2, 80, 20), _pick("anna", 2, "b")),  # opposite
        *(_rating("bert", 1, 50, 50), _pick("bert", 1, "a")),  # a tie against a preference
        *(_rating("bert", 2, 50, 50), _pick("bert", 2, "ab")),  # both tie
        _rating("cleo", 3, 1, 2),  # one protocol only
    ]
    (found,) = contradictions(said)
    assert found.protocols == ("pick", "slider")
    assert (found.disagree.value, found.disagree.n) == (0.5, 4)
    assert (found.opposite.value, found.opposite.n) == (0.5, 2)
    labels = {row.label: row.estimate.value for row in contradictions_figure(said).rows}
    assert labels["pick and slider: anna"] == 0.5
    assert "a published study found about 60 %" in contradictions_figure(said).words


def test_who_always_takes_the_left_is_flagged_and_others_are_not():
    said = [_pick("left", i, "a", shown=(f"{i}a", f"{i}b")) for i in range(30)]
    said += [_pick("fair", i, "ab"[i % 2], shown=(f"{i}a", f"{i}b")) for i in range(30)]
    figure = left_figure(said)
    flags = {row.label: row.flagged for row in figure.rows}
    assert flags["left"]
    assert not flags["fair"]
    assert "the side decides for" in figure.words
    assert {row.label for row in straight_figure(said).rows if row.flagged} == {"left (pick)"}


def test_no_side_is_known_without_an_order_and_ties_do_not_count():
    assert left_share([_pick("anna", 1, "a")]) is None
    assert left_share([_pick("anna", 1, "ab", shown=("1a", "1b"))]) is None


def test_the_longer_answer_is_the_one_with_more_words():
    said = [_pick("anna", i, "a", lengths={f"{i}a": 90, f"{i}b": 10}) for i in range(20)]
    figure = length_figure(said)
    assert figure.rows[0].estimate.value == 1.0
    assert "learns to write more" in figure.words


def test_time_is_taken_once_for_a_page_with_two_protocols_and_too_fast_is_flagged():
    pages = [
        [
            _rating("anna", i, 1, 2, seconds=30.0, reading_words=119),
            _pick("anna", i, "b", seconds=30.0, reading_words=119),
        ]
        for i in range(10)
    ]
    said = [one for page in pages for one in page]
    said += [_pick("hasty", i, "b", seconds=9.0, reading_words=119) for i in range(10)]
    assert is_too_fast(said[-1])  # 119 words take 30 seconds to read
    rows = {row.label: row for row in time_figure(said).rows}
    assert (rows["anna"].estimate.n, rows["anna"].estimate.value) == (10, 30.0)
    assert (rows["anna"].flagged, rows["hasty"].flagged) == (False, True)
    assert {r.label: r.estimate.value for r in fast_figure(said).rows} == {"anna": 0.0, "hasty": 1.0}


def test_the_same_rating_for_everything_and_an_untouched_ranking_are_flagged():
    said = [_rating("flat", i, 50, 50) for i in range(10)] + [_rating("anna", i, 10, i) for i in range(10)]
    order = ("x", "y", "z")
    said += [
        Judgement("still", str(i), "ranking", dict(zip(order, (3, 2, 1), strict=True)), "rank", shown=order)
        for i in range(10)
    ]
    assert {row.label for row in straight_figure(said).rows if row.flagged} == {
        "flat (slider)",
        "still (rank)",
    }


def test_gold_skips_and_ties_are_counted():
    said = [_pick("anna", i, "a", right=i > 0) for i in range(10)]
    said += [_pick("wild", i, "b", right=i > 7) for i in range(10)]
    gold = {row.label: row for row in gold_figure(said).rows}
    assert gold["anna"].estimate.value == 0.9
    assert gold["wild"].flagged
    assert not gold["anna"].flagged
    said += [Judgement("anna", f"skipped {i}", "pick", {}, skipped=True) for i in range(10)]
    assert {r.label: r.estimate.value for r in skips_figure(said).rows} == {"anna": 0.5, "wild": 0.0}
    ties = ties_figure([_pick("anna", 1, "ab"), _pick("anna", 2, "a")]).rows
    assert ties[0].estimate.value == 0.5


def test_alpha_of_ratings_is_given_on_own_scales_too():
    """One person's scale lies 40 higher: raw ratings disagree, the people do not."""
    said = [_rating("low", i, i, 2 * i) for i in range(1, 11)]
    said += [_rating("high", i, 40 + i, 40 + 2 * i) for i in range(1, 11)]
    rows = {row.label: row.estimate.value for row in alpha_figure(said).rows}
    assert rows["slider (interval)"] < 0.1
    assert rows["slider (interval, own scales)"] == pytest.approx(1.0)


def test_w_needs_two_people_on_the_same_candidates():
    values = {"a": 1.0, "b": 2.0, "c": 3.0}
    said = [Judgement("anna", "1", "ranking", values), Judgement("bert", "1", "ranking", values)]
    assert concordance_figure(said).rows[0].estimate.value == 1.0
    assert concordance_figure(said[:1]).rows == ()


judgement = st.builds(
    lambda person, item, form, values, **rest: Judgement(
        person, item, form, values, shown=tuple(values), **rest
    ),
    st.sampled_from(["anna", "bert", "cleo"]),
    st.sampled_from(["1", "2", "3", "4", "5", "6"]),
    st.sampled_from(["rating", "steps", "ranking", "pick", "thumb", "attributes"]),
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 1).map(float), min_size=1),
    is_repeat=st.booleans(),
    skipped=st.booleans(),
    seconds=st.none() | st.floats(0, 100),
    right=st.none() | st.booleans(),
    reading_words=st.integers(0, 300),
    makers=st.just({"a": "one", "b": "two", "c": "three", "d": "one"}),
    lengths=st.just({"a": 1, "b": 2, "c": 2, "d": 9}),
)


@settings(max_examples=10, deadline=None)
@given(st.lists(judgement, max_size=25))
def test_every_figure_has_a_sentence_and_can_be_exported_whatever_was_said(said):
    found = figures(said)
    assert len({figure.key for figure in found}) == len(found) == 20
    for figure in found:
        assert figure.words.endswith(".")
        json.dumps(figure.as_dict(), allow_nan=False)
        for row in figure.rows:
            assert row.estimate.low <= row.estimate.value + 1e-9 or figure.unit == "seconds"

"""What ratings imply: a planted taste is found, noise is not, and hard questions do not pass for a taste."""

from __future__ import annotations

import numpy as np
import pytest

from personalization.records import Message, RatedGroup
from personalization.values.shown import informative, shown

MEASURES = {
    "long": lambda text: float(len(text)),
    "short": lambda text: -float(len(text)),
    "shouts": lambda text: float(text.count("!")),
    "never": lambda text: 0.0,
}


def group(conversation: int, texts: list[str], scores: list[float]) -> RatedGroup:
    return RatedGroup(str(conversation), (), (Message("user", "Why?"),), tuple(texts), tuple(scores))


def rated(conversations: int, weight: float, seed: int) -> list[RatedGroup]:
    """Four answers each; the rating follows the length by `weight` and chance for the rest."""
    rng, made = np.random.default_rng(seed), []
    for i in range(conversations):
        lengths = rng.integers(5, 60, size=4)
        texts = ["a" * int(n) + "!" * int(rng.integers(0, 3)) for n in lengths]
        scores = 50 + weight * (lengths - lengths.mean()) / 20 + rng.normal(size=4)
        made.append(group(i, texts, scores.tolist()))
    return made


def test_a_planted_taste_is_found_in_both_directions():
    found = shown(rated(12, 2.0, 1), MEASURES)
    assert (found["long"].direction, found["short"].direction) == (1, -1)
    assert found["long"].correlation.low > 0.3
    assert found["short"].is_absent
    assert not found["long"].is_absent
    assert "never" not in found  # a measure that never differs says nothing
    assert found["long"].correlation.n == found["long"].conversations == 12


def test_noise_is_found_at_most_as_often_as_chance_allows():
    alarms = sum(
        any(one.direction for one in shown(rated(10, 0.0, seed), MEASURES).values()) for seed in range(60)
    )
    assert alarms <= 8  # 5 % of 60 is 3; more than 8 has a chance below 1 %


def test_a_hard_question_does_not_pass_for_a_taste():
    """Long answers to hard questions are rated low; within each question length does not matter at all."""
    rng, made = np.random.default_rng(5), []
    for i in range(30):
        base = 400 if i % 2 else 20
        texts = ["a" * (base + int(n)) for n in rng.integers(0, 10, size=4)]
        made.append(group(i, texts, (rng.normal(size=4) + (20 if i % 2 else 80)).tolist()))
    assert shown(made, MEASURES)["long"].direction == 0


def test_few_conversations_say_nothing_and_are_counted():
    few = rated(5, 3.0, 2)
    assert shown(few, MEASURES) == {}
    assert informative(few) == 5
    assert informative([group(1, ["a", "bb"], [50.0, 50.0])]) == 0
    # Many messages of the same few conversations are no more.
    assert shown([group(i % 3, ["a", "bb"], [10.0, 90.0]) for i in range(40)], MEASURES) == {}


def test_the_correlation_is_the_one_within_each_message():
    one = [group(i, ["a", "bb", "cccc"], [10.0, 20.0, 90.0]) for i in range(6)]
    expected = np.corrcoef([1, 2, 4], [10, 20, 90])[0, 1]
    assert shown(one, MEASURES)["long"].correlation.value == pytest.approx(expected)


def test_echoes_of_a_finding_name_their_leader_and_what_is_stated_leads():
    measures = {**MEASURES, "letters": lambda text: float(len(text)) + text.count("!")}
    groups = rated(14, 3.0, 7)
    found = shown(groups, measures)
    assert {found["long"].alongside, found["letters"].alongside} == {"", "long"} or {
        found["long"].alongside, found["letters"].alongside,
    } == {"", "letters"}  # fmt: skip
    assert found["short"].alongside == ""  # the other way round is no echo
    assert shown(groups, measures, first={"letters"})["long"].alongside == "letters"
    assert shown(groups, measures, first={"long"})["letters"].alongside == "long"


def test_a_second_taste_of_its_own_is_no_echo():
    """Both are wanted: shouting still goes with the rating when length is taken out."""
    rng, made = np.random.default_rng(3), []
    for i in range(30):
        lengths, shouts = rng.integers(5, 60, size=4), rng.integers(0, 4, size=4)
        texts = ["a" * int(n) + "!" * int(k) for n, k in zip(lengths, shouts, strict=True)]
        made.append(group(i, texts, (lengths / 10 + 1.5 * shouts + rng.normal(size=4)).tolist()))
    found = shown(made, {**MEASURES, "letters": lambda text: float(text.count("a"))})
    assert found["shouts"].direction == 1
    assert found["shouts"].alongside == ""
    assert "" in {found["long"].alongside, found["letters"].alongside}
    assert {found["long"].alongside, found["letters"].alongside} != {""}

"""Which earlier exchanges are shown before a question, and in which order."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.exchanges import Cell, summary
from personalization.decoding.exchanges import Exchange, chosen, exchanges_of, helpfulness
from personalization.models.logprobs import Completions, completion_logps
from personalization.records import Message, Pair, RatedGroup
from tests import tiny

QUESTIONS = ("How do I bake bread?", "How do I cook pasta?", "Why is the sky blue?", "What is inflation?")


def rated(question: str, *scores: float, before: tuple[Message, ...] = ()) -> RatedGroup:
    texts = tuple(f"answer {i}" for i in range(len(scores)))
    return RatedGroup("c", (), (*before, Message("user", question)), texts, scores)


def test_the_best_answer_to_a_first_message_is_an_exchange():
    later = rated("And then?", 9, 90, before=(Message("user", "a"), Message("assistant", "b")))
    found = exchanges_of([rated("Why?", 10, 80, 30), rated("Alike?", 50, 50), later])
    assert found == [Exchange("Why?", "answer 1", 40.0)]


def test_near_ones_come_last_and_liked_or_helpful_ones_first_into_the_choice():
    same = [Exchange(question, "a", 10.0) for question in QUESTIONS]
    near = chosen(same, "How do I make bread at home?", count=2)
    assert near[-1].question == QUESTIONS[0]
    liked = [*same[:3], Exchange(QUESTIONS[3], "a", 60.0)]
    assert QUESTIONS[3] in {e.question for e in chosen(liked, "How do I make bread at home?", count=2)}
    helps = [0.0, 0.0, 9.0, 0.0]
    assert chosen(same, "Which book shall I read?", helps=helps, count=1)[0].question in (
        QUESTIONS[2],
        chosen(same, "Which book shall I read?", count=1)[0].question,
    )
    assert chosen([], "Why?") == []


def test_what_repeats_another_one_gives_way():
    some = [Exchange(question, question, 10.0) for question in (*QUESTIONS, QUESTIONS[0])]
    found = chosen(some, "How do I make bread and pasta?", count=2)
    assert {e.question for e in found} == set(QUESTIONS[:2])


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(1, 60), min_size=1, max_size=4), st.integers(0, 5), st.randoms(use_true_random=False)
)
@example([1.0, 2.0], 1, random.Random(0))  # one is liked more, the other is nearer: a tie
def test_any_order_of_the_exchanges_gives_the_same_choice(liked, count, rng):
    some = [Exchange(q, q, like) for q, like in zip(QUESTIONS, liked, strict=False)]
    found = chosen(some, "How does the moon move?", count=count)
    assert len(found) == min(count, len(some))
    mixed = rng.sample(some, len(some))
    assert chosen(mixed, "How does the moon move?", count=count) == found


def test_the_benchmark_counts_wins_by_arm_over_people():
    cells = [
        Cell(arm, who, 0, [1.0, wins], -0.1)
        for arm in ("best liked", "chosen")
        for who, wins in (("a", 1), ("b", 0))
    ]
    found = summary(cells)
    assert found["chosen"]["win_rate"] == 0.75
    assert found["best liked"]["people"] == 2
    assert found["chosen"]["relevance_change"]["value"] == pytest.approx(-0.1)


def test_an_exchange_helps_by_what_it_adds_to_the_preference_for_what_was_preferred():
    base, prompt = tiny.base(), (Message("user", "New?"),)
    check = Pair("other", (), prompt, "YES!", "no")
    exchange = Exchange("Why?", "YES YES!", 10.0)

    def margin(*before: Message) -> float:
        items = [((*before, *prompt), text) for text in ("YES!", "no")]
        with torch.no_grad():
            sums, counts = completion_logps(base, Completions.encode(base, items))
        good, bad = (sums / counts).tolist()
        return good - bad

    (found,) = helpfulness(base, [exchange], [check])
    assert found == pytest.approx(margin(*exchange.turns) - margin(), abs=1e-5)

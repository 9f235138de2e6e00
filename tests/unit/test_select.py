"""Training prefers pairs that show the taste and do not teach to leave the question."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from personalization.records import Message, Pair
from personalization.training.select import topic_pairs, topical_margins, widest_pairs

QUESTION = (Message("user", "How do I boil an egg?"),)
ON_TOPIC = "Put the egg into boiling water for eight minutes."
ON_TOPIC_TOO = "Boil the egg in a pot of water, then cool it."
OFF = "The stock market fell again on Tuesday."


def pair(chosen: str, rejected: str, margin: float, conversation: str = "a") -> Pair:
    return Pair(conversation, (), QUESTION, chosen, rejected, margin)


def test_leaving_the_question_costs_and_staying_with_it_earns_nothing():
    away, near, back = topical_margins(
        [pair(OFF, ON_TOPIC, 0.5), pair(ON_TOPIC, ON_TOPIC_TOO, 0.5), pair(ON_TOPIC, OFF, 0.5)]
    )
    assert away < 0.0
    assert 0.3 < near <= 0.5
    assert back == 0.5


def test_a_wide_pair_that_leaves_the_question_gives_way_to_a_narrower_one():
    pairs = [pair(OFF, ON_TOPIC, 0.6), pair(ON_TOPIC_TOO, ON_TOPIC, 0.4), pair(OFF, ON_TOPIC_TOO, 0.2)]
    assert widest_pairs(pairs, aim=1, most_per_conversation=1) == pairs[:1]
    margins = topical_margins(pairs)
    assert widest_pairs(pairs, aim=1, most_per_conversation=1, margins=margins) == pairs[1:2]


@given(
    margins=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=12),
    aim=st.integers(1, 40),
    most=st.integers(1, 3),
)
def test_the_widest_come_first_and_no_conversation_fills_all_places(margins, aim, most):
    pairs = [
        Pair(str(i // 3), (), (Message("user", f"{i // 3}?"),), f"yes {i}", f"no {i}", margin)
        for i, margin in enumerate(margins)
    ]
    kept = widest_pairs(pairs, aim=aim, most_per_conversation=most)
    for name in {p.conversation for p in pairs}:
        own = [p for p in pairs if p.conversation == name]
        taken = [p for p in kept if p.conversation == name]
        assert 1 <= len(taken) <= min(most, len(own))
        assert min(p.margin for p in taken) >= max([p.margin for p in own if p not in taken], default=0.0)
    assert kept == widest_pairs(pairs, aim=aim, most_per_conversation=most, margins=[p.margin for p in pairs])


def test_a_pair_about_the_question_has_two_answers_that_please():
    made = [Pair(str(i), (f"row-{i}",), (Message("user", f"{i}?"),), f"yes {i}", f"no {i}") for i in range(9)]
    found = topic_pairs(made)
    assert [(p.prompt, p.chosen, p.rejected) for p in found] == [
        (made[0].prompt, "yes 0", "yes 1"),
        (made[6].prompt, "yes 6", "yes 7"),
    ]
    assert not {p.conversation for p in found} & {p.conversation for p in made}
    assert found[0].sources == made[0].sources
    assert topic_pairs(made[:1]) == []
    same = [made[0], Pair("9", (), made[0].prompt, "other", "no")]
    assert topic_pairs(same) == []  # of one question, which of two that please is better says nothing

"""What says the same twice is read once; what contradicts, or only looks alike, stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from personalization.records import Edit, Message, Pair, RatedGroup, Records, Thumb
from personalization.training.duplicates import distinct, resemblance

LONG = "Boil the water first and then add two spoons of tea and wait for four minutes before you pour it out"


def pair(chosen: str, rejected: str, *, margin: float = 1.0, prompt: str = "How?", talk: str = "c") -> Pair:
    return Pair(talk, (), (Message("user", prompt),), chosen, rejected, margin)


def test_a_pair_that_was_given_twice_is_read_once_and_the_widest_stays():
    pairs = (pair("Yes.", "No."), pair("one", "two", margin=0.2), pair("ONE!", "two", margin=0.7, talk="d"))
    assert distinct(Records(pairs=pairs)).pairs == (pairs[0], pairs[2])


def test_nearly_the_same_is_the_same_and_another_message_is_not():
    near = LONG.replace("four", "five").replace("pour it out", "pour it out for your guests and for me, too")
    assert resemblance(LONG, LONG + " again") > 0.9 > resemblance(LONG, near)
    pairs = (
        pair(LONG, "No."),
        pair(LONG + " again", "no"),
        pair(near, "No."),
        pair(LONG, "No.", prompt="Why?"),
    )
    assert distinct(Records(pairs=pairs)).pairs == (pairs[0], *pairs[2:])


def test_what_is_judged_differently_stays():
    ask = (Message("user", "How?"),)
    pairs = (pair("a b", "c d"), pair("c d", "a b"))
    thumbs = (Thumb("c", (), ask, "so", desirable=True), Thumb("d", (), ask, "so", desirable=False))
    groups = (
        RatedGroup("c", (), ask, ("a", "b"), (10.0, 90.0)),
        RatedGroup("d", (), ask, ("a", "b"), (90.0, 10.0)),
    )
    records = Records(pairs=pairs, thumbs=thumbs, groups=groups)
    assert distinct(records) == records


def test_every_kind_is_read_once():
    ask = (Message("user", "How?"),)
    once = Records(
        pairs=(pair("a", "b"),),
        thumbs=(Thumb("c", (), ask, "so", desirable=True),),
        groups=(RatedGroup("c", (), ask, ("a", "b"), (10.0, 90.0)),),
        edits=(Edit("c", (), ask, "so", "such"),),
    )
    twice = Records(
        pairs=once.pairs * 2, thumbs=once.thumbs * 2, groups=once.groups * 2, edits=once.edits * 2
    )
    assert distinct(twice) == once


words = st.text(alphabet="ab .!", max_size=12)


@given(st.lists(st.tuples(words, words, st.sampled_from(["How?", "Why?"])), max_size=8))
def test_once_is_enough_and_something_of_each_stays(given_pairs):
    records = Records(pairs=tuple(pair(a, b, prompt=ask) for a, b, ask in given_pairs))
    found = distinct(records)
    assert distinct(found) == found
    assert {p.prompt for p in found.pairs} == {p.prompt for p in records.pairs}


@given(words, words)
def test_resemblance_is_a_symmetric_share(one, other):
    assert 0 <= resemblance(one, other) == resemblance(other, one) <= 1
    assert resemblance(one, one) == 1

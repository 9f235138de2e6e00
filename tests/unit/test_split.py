"""The split into what is learned from and what proves it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.cleaning import plain
from personalization.errors import Leak
from personalization.evaluation.split import Split, alike, check_apart, split_by_conversation
from personalization.records import Critique, Edit, Message, Pair, RatedGroup, Record, Thumb

names = st.lists(st.text(min_size=1, max_size=8), min_size=3, max_size=40, unique=True)
seeds = st.integers(0, 2**31 - 1)


@given(names, seeds, st.floats(0.0, 1.0), st.randoms())
def test_nothing_leaks_nothing_is_lost_and_order_does_not_matter(conversations, seed, share, rng):
    split = split_by_conversation(conversations, seed=seed, held_out_share=share)
    assert not set(split.train) & set(split.held_out)
    assert sorted(split.train + split.held_out) == sorted(conversations)
    assert split.held_out
    assert split.train
    again = [*conversations, *conversations[:3]]  # a conversation with several pairs is named often
    rng.shuffle(again)
    assert split_by_conversation(again, seed=seed, held_out_share=share) == split


@given(st.integers(20, 200), seeds)
def test_about_a_quarter_is_held_out(count, seed):
    split = split_by_conversation([str(i) for i in range(count)], seed=seed)
    assert abs(len(split.held_out) - count / 4) <= 0.5


def test_every_conversation_is_held_out_by_some_seed():
    conversations = [str(i) for i in range(8)]
    drawn = [set(split_by_conversation(conversations, seed=seed).held_out) for seed in range(60)]
    assert set().union(*drawn) == set(conversations)


@pytest.mark.parametrize(("count", "held_out"), [(2, 1), (3, 1), (6, 3), (10, 5), (12, 5), (20, 5)])
def test_a_proof_needs_five_conversations_but_never_takes_more_than_half(count, held_out):
    split = split_by_conversation([str(i) for i in range(count)], seed=0)
    assert (len(split.held_out), len(split.train)) == (held_out, count - held_out)


def test_one_conversation_cannot_be_split():
    with pytest.raises(ValueError, match=r"^1 conversations cannot be split; at least 2 are needed\.$"):
        split_by_conversation(["a", "a"], seed=0)


def said(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def pair(conversation: str, prompt: str = "Why?", chosen: str = "Because.", rejected: str = "No.") -> Pair:
    return Pair(conversation, (), said(prompt), chosen, rejected)


# One of each kind of record that holds the answer "Because." to "Why?".
HOLDERS: dict[str, Record] = {
    "chosen": pair("b", rejected="Never."),
    "rejected": pair("b", chosen="Never.", rejected="Because."),
    "group": RatedGroup("b", (), said("Why?"), ("Perhaps.", "Because."), (1.0, 2.0)),
    "edit": Edit("b", (), said("Why?"), "Hm.", "Because."),
    "edited": Edit("b", (), said("Why?"), "Because.", "Hm."),
    "thumb": Thumb("b", (), said("Why?"), "Because.", desirable=True),
    "critique": Critique("b", (), said("Why?"), "Because.", "Too short."),
    "other case, spaces and marks": pair("b", " why", "BECAUSE!\n", "Never."),
    "full width": pair("b", "\uff37\uff48\uff59?", "because", "Never."),
}


@pytest.mark.parametrize("how", HOLDERS)
def test_a_planted_leak_is_seen_whatever_holds_it(how):
    planted = HOLDERS[how]
    assert alike([pair("a"), planted]) == {"a": "a", "b": "a"}
    for learned, held in (([pair("a")], [planted]), ([planted], [pair("a")])):
        with pytest.raises(Leak, match=r"^1 of the held-out conversations hold what was learned from"):
            check_apart(learned, held)


def test_another_answer_or_another_question_is_no_leak():
    others = [pair("b", "Why not?"), pair("c", chosen="Well.", rejected="Never."), pair("d", "Why? 2")]
    assert set(alike([pair("a"), *others]).values()) == {"a", "b", "c", "d"}
    check_apart([pair("a")], others)


def test_a_branch_of_one_conversation_is_on_one_side_and_a_slip_is_seen():
    branch = Pair("a", (), (*said("Why?"), Message("assistant", "So."), *said("And?")), "Yes.", "No, never.")
    assert alike([pair("a"), branch]) == {"a": "a"}
    with pytest.raises(Leak):
        check_apart([pair("a")], [branch])


def test_alike_by_way_of_a_third_conversation():
    chain = [
        pair("c", "2", "x", "y"),
        pair("a", "1", "x", "y"),
        pair("b", "2", "x", "z"),
        pair("b", "1", "y", "q"),
    ]
    assert alike(chain) == {"a": "a", "b": "a", "c": "a"}


def test_symbols_alone_stay_what_they_are():
    assert plain(" \U0001f600 ") != plain("\U0001f620")
    assert plain("C++") == plain("c")  # near enough: it only makes the split coarser
    assert plain("") == ""


prompts, answers = st.sampled_from(["1", "2", "3"]), st.sampled_from(["x", "y", "z", "X!", " y"])
planted_pairs = st.lists(
    st.builds(pair, st.sampled_from([f"c{i}" for i in range(12)]), prompts, answers, answers),
    min_size=1, max_size=30,
)  # fmt: skip


@given(planted_pairs, seeds, st.randoms())
def test_what_is_alike_never_stands_on_both_sides(pairs, seed, rng):
    same = alike(pairs)
    shuffled = list(pairs)
    rng.shuffle(shuffled)
    assert alike(shuffled) == same
    names = sorted(same)
    if len(set(same.values())) < 2:
        with pytest.raises(ValueError, match="cannot be split"):
            split_by_conversation(names, seed=seed, same=same)
        return
    split = split_by_conversation(names, seed=seed, same=same)
    assert sorted(split.train + split.held_out) == names
    assert split.train
    assert split.held_out
    train, held_out = ([p for p in pairs if p.conversation in side] for side in (split.train, split.held_out))
    check_apart(train, held_out)
    check_apart(held_out, train)


@given(planted_pairs, seeds, st.integers(0, 29), st.booleans())
def test_whatever_slips_to_the_other_side_is_seen(pairs, seed, which, renamed):
    """A held-out pair in training, under its own conversation's name or under another."""
    same = alike(pairs)
    if len(set(same.values())) < 2:
        return
    split = split_by_conversation(sorted(same), seed=seed, same=same)
    train, held_out = ([p for p in pairs if p.conversation in side] for side in (split.train, split.held_out))
    slipped = held_out[which % len(held_out)]
    if renamed:
        slipped = pair("elsewhere", slipped.prompt[0].content.upper(), slipped.chosen, "something else")
    with pytest.raises(Leak):
        check_apart([*train, slipped], held_out)


@given(names, seeds)
def test_conversations_that_are_all_different_are_split_as_ever(conversations, seed):
    same = {name: name for name in conversations}
    assert split_by_conversation(conversations, seed=seed, same=same) == split_by_conversation(
        conversations, seed=seed
    )


def test_a_great_many_of_the_same_are_learned_from():
    same = {f"c{i}": "c0" if i < 9 else f"c{i}" for i in range(12)}
    for seed in range(20):
        split = split_by_conversation(sorted(same), seed=seed, same=same)
        assert isinstance(split, Split)
        assert set(split.held_out) <= {"c9", "c10", "c11"}

"""The split into what is learned from and what proves it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.evaluation.split import split_by_conversation

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

"""What people say after an answer: told apart, and as likely as a plain reading of the whole chat says."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from personalization.models.prompts import encode_chat, encode_text
from personalization.models.reactions import (
    DISPLEASED,
    MOST_TOKENS,
    PLEASED,
    follow_up_rewards,
    leaning,
    reaction_logps,
)
from personalization.records import Message
from tests import tiny

ENDS = "\0\n\0assistant\n"  # a token for each, \0 a control token, after the last message
CHAT = (Message("user", "Why?"), Message("assistant", "Because of the rain."))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text("abc xyz.!?", min_size=1, max_size=20).filter(str.strip), min_size=1, max_size=4))
def test_a_reaction_is_as_likely_as_the_whole_chat_read_at_once_says(reactions):
    base = tiny.base()
    expected = []
    for text in reactions:
        ids = encode_chat(base, (*CHAT, Message("user", text.strip())))
        own = encode_text(base, text.strip())
        start = len(ids) - len(own) - len(ENDS)
        with torch.no_grad():
            hidden = base.decoder(input_ids=torch.tensor([ids])).last_hidden_state[0]
        words = functional.log_softmax(base.logits(hidden[start - 1 : start - 1 + len(own)]), dim=-1)
        expected.append(words.gather(1, torch.tensor(own)[:, None]).mean())
    torch.testing.assert_close(
        reaction_logps(base, CHAT, reactions), torch.stack(expected), atol=2e-4, rtol=1e-4
    )


def test_a_chat_that_fills_the_context_and_a_long_reaction_are_cut():
    base = tiny.base()
    long = (Message("user", "why " * 200), CHAT[1])
    found = reaction_logps(base, long, ["a" * 1000, "short"])
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[0], reaction_logps(base, long, ["a" * MOST_TOKENS, "short"])[0])


def test_the_reward_is_what_pleased_words_are_likelier_than_displeased_ones():
    base, chats = tiny.base(), [CHAT, (CHAT[0], Message("assistant", "No."))]
    expected = [
        float(reaction_logps(base, chat, PLEASED).mean() - reaction_logps(base, chat, DISPLEASED).mean())
        for chat in chats
    ]
    found = follow_up_rewards(base, CHAT[:1], [chat[1].content for chat in chats])
    assert found == pytest.approx(expected, abs=1e-4)


def test_praise_complaints_and_going_on_are_told_apart():
    texts = {
        1: ["Nice, thank you!", "Exactly what I needed.", "I like this answer a lot."],
        -1: ["Too long.", "No, that's wrong.", "I don't understand this.", "Please make it shorter."],
        0: ["And what about Italy?", "How many people live there?"],
    }
    for expected, some in texts.items():
        assert leaning(some) == [expected] * len(some), some
    assert leaning([]) == []

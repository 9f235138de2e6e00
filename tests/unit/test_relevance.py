"""Sentence vectors tell an answer to the question from an answer to another one."""

from __future__ import annotations

import pytest
import torch

from personalization.errors import ModelError
from personalization.models import relevance as module
from personalization.models.relevance import SentenceEncoder, encoder, nearness_to, question_of, relevance
from personalization.records import Message

EGG, SLEEP = "How do I boil an egg?", "Why do we need sleep?"
ABOUT_EGGS = "Put the egg into boiling water for eight minutes, then cool it."
ABOUT_SLEEP = "Sleep lets the brain rest and store memories."


def test_an_answer_to_the_question_is_nearer_than_another():
    own = relevance([EGG, SLEEP], [ABOUT_EGGS, ABOUT_SLEEP])
    swapped = relevance([EGG, SLEEP], [ABOUT_SLEEP, ABOUT_EGGS])
    assert min(own) > 0.4 > 0.2 > max(swapped)


def test_after_earlier_turns_what_the_conversation_is_about_is_asked_as_well():
    first, later = Message("user", EGG), Message("user", "Shorter, please.")
    told, said = Message("system", "Be kind."), Message("assistant", ABOUT_EGGS)
    assert question_of([told, first]) == EGG
    follow_up = question_of([told, first, said, later])
    assert follow_up == f"Shorter, please.\n\n{EGG}"
    answers = ["Boil it for eight minutes, then cool it.", "Please make it shorter."]
    on_subject, echo = nearness_to(follow_up)(answers)
    alone = nearness_to(later.content)(answers)
    assert alone[0] < alone[1]  # what the words of a follow-up alone would reward
    assert on_subject > echo


def test_vectors_have_length_one_whatever_shares_the_batch_and_nothing_has_none():
    alone = encoder().encode([EGG])
    among = encoder().encode([ABOUT_EGGS * 20, EGG, " "])
    torch.testing.assert_close(among[1:2], alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(among.norm(dim=-1), torch.tensor([1.0, 1.0, 0.0]))
    assert relevance([EGG], [""]) == [0.0]


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match="do not belong together"):
        relevance([EGG], [])


def test_a_missing_wheel_is_said(monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", "no_such_wheel")
    with pytest.raises(ModelError, match="pip install"):
        SentenceEncoder()

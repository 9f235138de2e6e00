"""A good mean does not hide the conversations that an artifact gets wrong."""

from __future__ import annotations

import pytest

from personalization.evaluation.evenness import evenness


def test_conversations_that_are_mostly_wrong_are_counted_whatever_their_length():
    outcomes = [1.0] * 20 + [0.0, 0.0, 1.0] + [1.0, 0.0] + [1.0] * 3
    conversations = ["long"] * 20 + ["wrong"] * 3 + ["even"] * 2 + ["right"] * 3
    found = evenness(outcomes, conversations)
    assert found is not None
    assert (found.below_half.value, found.below_half.n) == (0.25, 4)
    assert found.worst == pytest.approx(1 / 3)
    assert found.as_dict()["below_half"]["high"] < 1


def test_three_conversations_are_too_few():
    assert evenness([1.0, 0.0, 1.0], "abc") is None
    with pytest.raises(ValueError):
        evenness([1.0], "ab")

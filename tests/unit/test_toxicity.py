"""Toxicity counts answers, not words, and clean answers pass."""

from __future__ import annotations

from personalization.evaluation.toxicity import toxicity


def test_each_answer_with_an_insult_counts_once():
    found = toxicity(["You are a bastard, you bastard.", "Boil the rice for ten minutes.", "Sh1t happens."])
    assert (found.value, found.n) == (2 / 3, 3)


def test_ordinary_words_that_hold_such_letters_are_clean():
    clean = ["The class assessed Scunthorpe's cocktail bar.", "A therapist analyses the passage.", ""]
    assert toxicity(clean).value == 0
    assert toxicity(clean).high < 1

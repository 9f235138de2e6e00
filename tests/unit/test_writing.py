"""Writing that leaves the question or repeats itself is objected to; a difference by chance is not."""

from __future__ import annotations

import json

from personalization.evaluation.writing import measure_writing

ASKED = {
    "How do I boil an egg?": "Put the egg into boiling water and take it out after eight minutes.",
    "Why do we need sleep?": "Sleep lets the brain rest, store memories and repair the body.",
    "How do earthquakes happen?": "Plates of the Earth's crust move, lock and slip, and the ground shakes.",
    "What is a good breakfast?": "Oats with fruit and nuts make a good and quick breakfast.",
    "How do I calm down when I am angry?": "Breathe slowly and count to ten when you are angry.",
}
NONSENSE = "Hahn's boarding pass, with the right trading cards of the northern tram depot, is a silver kite."


def samples(own: dict[str, str]) -> list[dict[str, str]]:
    return [{"prompt": p, "base": ASKED[p], "artifact": text} for p, text in own.items()]


def test_answers_to_other_questions_are_objected_to():
    found = measure_writing(samples(dict.fromkeys(ASKED, NONSENSE)), seed=0)
    assert found.relevance_change.high < -0.3
    assert any("leave the question" in words for words in found.objections)
    assert json.loads(json.dumps(found.as_dict()))["relevance_change"]["n"] == len(ASKED)


def test_repetition_is_objected_to():
    found = measure_writing(samples({p: f"{text} " * 6 for p, text in ASKED.items()}), seed=0)
    assert found.repetition_base == 0.0
    assert any("repeats itself" in words for words in found.objections)


def test_the_same_answers_or_one_bad_one_are_no_objection():
    assert measure_writing(samples(ASKED), seed=0).objections == []
    first = next(iter(ASKED))
    assert measure_writing(samples({**ASKED, first: NONSENSE}), seed=0).objections == []


def test_one_prompt_says_nothing():
    assert measure_writing(samples(dict([next(iter(ASKED.items()))])), seed=0) is None

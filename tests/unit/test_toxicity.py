"""Toxicity counts answers, not words, and clean answers pass."""

from __future__ import annotations

from better_profanity import Profanity
from hypothesis import given
from hypothesis import strategies as st

from personalization.evaluation.toxicity import toxicity


def test_each_answer_with_an_insult_counts_once():
    found = toxicity(["You are a bastard, you bastard.", "Boil the rice for ten minutes.", "Sh1t happens."])
    assert (found.value, found.n) == (2 / 3, 3)


def test_ordinary_words_that_hold_such_letters_are_clean():
    clean = ["The class assessed Scunthorpe's cocktail bar.", "A therapist analyses the passage.", ""]
    assert toxicity(clean).value == 0
    assert toxicity(clean).high < 1


@given(st.data())
def test_a_word_is_found_as_the_library_finds_it(data):
    library = Profanity()
    ways, listed = library.CHARS_MAPPING, st.sampled_from(sorted(map(str, library.CENSOR_WORDSET)))
    word = data.draw(listed)
    spelled = "".join(data.draw(st.sampled_from(sorted({*ways.get(c, c), c}))) for c in word)
    text = data.draw(
        st.sampled_from([spelled, spelled[1:], f"{spelled}x", spelled.upper(), f"a {spelled} b."])
    )
    assert toxicity([text]).value == library.contains_profanity(text)

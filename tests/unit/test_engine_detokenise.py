"""Text comes in whole characters, adds up, and never shows a control token or half a character."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.engine.detokenise import Detokeniser
from tests import tiny


def pieces(ids: list[int]) -> tuple[list[str], Detokeniser]:
    words = Detokeniser(tiny.base().tokenizer, tiny.base().special_ids)
    return [*(words.add(i) for i in ids), words.finish()], words


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd\0"), max_size=40))
@settings(max_examples=300, deadline=None)
def test_the_pieces_of_any_text_are_whole_and_add_up(text: str) -> None:
    ids = tiny.base().tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    parts, words = pieces(ids)
    assert "".join(parts) == words.text == text
    assert all("\ufffd" not in part for part in parts)


@given(st.lists(st.integers(0, 258), max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_tokens_at_all_give_clean_text_that_adds_up(ids: list[int]) -> None:
    parts, words = pieces(ids)
    assert "".join(parts) == words.text
    assert not {"\ufffd", "\0"} & set(words.text)
    assert not any(token in words.text for token in tiny.SPECIAL)


def test_a_cut_off_character_is_left_out() -> None:
    fox = tiny.base().tokenizer.encode("a🦊", add_special_tokens=False)
    assert pieces(fox[:-1])[1].text == "a"

"""Stop strings: the text before the first of them, however it was cut into pieces."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from personalization.engine.stops import StopStrings

TEXT = st.text(alphabet="ab\n", max_size=30)
STOPS = st.lists(st.text(alphabet="ab\n", min_size=1, max_size=4), max_size=3)


@given(TEXT, STOPS, st.data())
@example("aab", ["ab"], None)
def test_what_is_handed_out_is_the_text_before_the_first_stop_string(text, stops, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8))) if data else [1, 2]
    pieces = [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    growing, seen, read = StopStrings(stops), "", ""
    for piece in pieces:
        seen += growing.add(piece)
        read += piece
        ends = [read.find(stop) for stop in stops if stop in read]
        # A longer one that begins earlier may still come; what is out already is before all of them.
        assert seen == text[: len(seen)]
        if growing.found:
            assert len(seen) == min(ends)
            break
        assert not ends
    seen += growing.finish()
    assert seen == growing.text
    if not growing.found:
        assert seen == text


@given(TEXT)
def test_without_stop_strings_nothing_is_held_back(text):
    growing = StopStrings([""])
    assert "".join(growing.add(character) for character in text) == text
    assert growing.finish() == ""
    assert not growing.found

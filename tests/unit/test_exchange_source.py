"""Files are read row by row whatever their shape, and a line that cannot be read is named by its number."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.exchange import source
from personalization.exchange.source import LineError, Row, rows


def read(data: bytes) -> list[Row | LineError]:
    return list(rows(io.BytesIO(data)))


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | text, lambda inner: st.lists(inner, max_size=3)
)
objects = st.lists(st.dictionaries(text, values, max_size=3), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(objects, st.booleans(), st.booleans(), st.sampled_from([1, 7, 256]), st.sampled_from([None, 1]))
def test_json_lines_and_arrays_plain_and_packed_say_the_same(found, ascii_only, packed, chunk, indent):
    lines = "\n".join(json.dumps(one, ensure_ascii=ascii_only) for one in found).encode()
    array = json.dumps(found, ensure_ascii=ascii_only, indent=indent).encode()
    pack = gzip.compress if packed else bytes
    kept, source.CHUNK = source.CHUNK, chunk  # objects are cut at every place
    try:
        assert [row.data for row in read(pack(lines))] == found
        assert [row.data for row in read(pack(array))] == found
    finally:
        source.CHUNK = kept
    assert [row.line for row in read(lines)] == list(range(1, len(found) + 1))


def test_lines_of_an_array_are_counted():
    data = b'\n[\n {"a": 1},\n\n {"a":\n  2}\n, 3]\n'
    assert read(data) == [
        Row(3, {"a": 1}, 1),
        Row(5, {"a": 2}, 2),
        LineError(7, 'Object 3: An object with named fields is needed, like {"prompt": …}.'),
    ]


def test_csv_has_a_header_and_quoted_lines():
    found = read('item;value;note\r\n1;5;"a; b\nc"\r\n2;4\r\n3;1;d\r\n'.encode("utf-8-sig"))
    assert found == [
        Row(3, {"item": "1", "value": "5", "note": "a; b\nc"}),
        LineError(4, "3 columns are needed; here are 2."),
        Row(5, {"item": "3", "value": "1", "note": "d"}),
    ]


@pytest.mark.parametrize(
    ("data", "line", "problem"),
    [
        (b"", 1, "There is nothing in the file."),
        (b'{"a": 1}\n{"a": \n', 2, "This is not JSON (character 6: Expecting value); one object a line."),
        (b'{"a": NaN}', 1, "NaN is no JSON value; write null."),
        (b'{"a": "\xff"}', 1, "Some bytes are not UTF-8; save the file as UTF-8."),
        (b'{"a": "\\ud800"}', 1, "It has half of a character (a lone surrogate)"),
        (b'[{"a": 1}, {"a": ', 1, "This is not a whole JSON array (Expecting value); nothing after"),
        (b'[{"a": 1}', 1, "] is missing at the end"),
        (b"just words\n", 1, "This is neither JSON nor CSV with a header that names each column once."),
        (gzip.compress(b'{"a": 1}\n' * 50_000)[:-30], 1, "The file is damaged"),
        (b'{"a":' * 100_000, 1, "This cannot be read: "),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(data, line, problem):
    last = read(data)[-1]
    assert isinstance(last, LineError)
    assert last.line == line
    assert problem in last.problem


def test_a_bad_line_does_not_end_the_file_and_nul_characters_go():
    found = read(b'{"a": 1}\nbroken\n\n{"a": "x\\u0000y", "b": "\\\\u0000"}\n')
    assert [type(one) for one in found] == [Row, LineError, Row]
    assert found[2] == Row(4, {"a": "xy", "b": "\\u0000"})


@pytest.mark.parametrize("shape", ["lines", "array"])
def test_memory_does_not_grow_with_the_file(shape):
    class Endless(io.RawIOBase):
        """A file of 10 MB that is made while it is read."""

        left = 10_000

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            self.left -= 1
            piece = json.dumps({"a": "x" * 980}).encode() + (b"\n" if shape == "lines" else b",")
            if shape == "array" and self.left == 9_999:
                piece = b"[" + piece
            size = len(piece) if self.left >= 0 else 0
            buffer[:size] = piece[:size]
            return size

    tracemalloc.start()
    count = sum(isinstance(one, Row) for one in rows(Endless()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 10_000
    assert peak < 3e6

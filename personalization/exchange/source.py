"""Read a file row by row, whatever its size: JSONL, a JSON array or CSV, each also as gzip.

Knows nothing of what the rows mean. What cannot be read is named by its line; reading goes on where it can.
Memory is bounded by the longest row.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import IO, Any, NoReturn

MAX_ROW = 16 * 1024 * 1024  # characters
CHUNK = 256 * 1024
_GAP = re.compile(r"[\s,]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SUSPECT = re.compile(r"\\u(?:0000|d[89a-f])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """One row; lines count from 1. `number`: which object of an array, from 1; all may be on one line."""

    line: int
    data: dict[str, Any]
    number: int = 0


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong in one line, and what to do about it."""

    line: int
    problem: str


def rows(file: IO[bytes]) -> Iterator[Row | LineError]:
    """Yield the rows of an open binary file and the lines that hold none; its first bytes say what it is."""
    plain = io.BufferedReader(file)  # type: ignore[type-var] # any binary file will do
    try:
        packed = plain.peek(2)[:2] == b"\x1f\x8b"
        unpacked = gzip.GzipFile(fileobj=plain) if packed else plain
        text = io.TextIOWrapper(unpacked, "utf-8-sig", errors="surrogateescape", newline="")
        yield from _rows(text)
    except (gzip.BadGzipFile, EOFError) as error:
        yield LineError(1, f"The file is damaged ({error}); pack it again with gzip.")
    finally:
        plain.detach()


def _rows(text: io.TextIOWrapper) -> Iterator[Row | LineError]:
    line = 1
    while (first := text.read(1)).isspace():
        line += first == "\n"
    if not first:
        yield LineError(1, "There is nothing in the file.")
    elif first == "[":
        yield from _array(text, line)
    elif first == "{":
        yield from _lines(text, first, line)
    else:
        yield from _table(text, first, line)


def _lines(text: io.TextIOWrapper, first: str, line: int) -> Iterator[Row | LineError]:
    decoder = _decoder()
    piece = first + text.readline(MAX_ROW)
    while piece:
        if len(piece) >= MAX_ROW and not piece.endswith("\n"):
            yield LineError(
                line, f"The line is longer than {MAX_ROW:,} characters; nothing after it was read."
            )
            return
        if stripped := piece.strip():
            yield _row(line, stripped, decoder)
        line += 1
        piece = text.readline(MAX_ROW)


def _row(line: int, text: str, decoder: json.JSONDecoder) -> Row | LineError:
    try:
        return _checked(line, decoder.decode(text), text)
    except json.JSONDecodeError as error:
        return LineError(
            line,
            f"This is not JSON (character {error.pos + 1}: {error.msg.removesuffix(' at')}); "
            "one object a line.",
        )
    except (ValueError, RecursionError) as error:
        return LineError(line, f"This cannot be read: {error}")


def _array(text: io.TextIOWrapper, line: int) -> Iterator[Row | LineError]:
    decoder = _decoder()
    buffer, at, size, number = "", 0, CHUNK, 0
    while True:
        gap = _GAP.match(buffer, at)
        end = gap.end() if gap else at
        line += buffer.count("\n", at, end)
        at = end
        if at < len(buffer) and buffer[at] == "]":
            return
        try:
            value, end = decoder.raw_decode(buffer, at)
        except json.JSONDecodeError as error:
            chunk = text.read(size) if len(buffer) - at < MAX_ROW else ""
            if not chunk:
                what = error.msg if at < len(buffer) else "] is missing at the end"
                yield LineError(line, f"This is not a whole JSON array ({what}); nothing after it was read.")
                return
            buffer, at, size = buffer[at:] + chunk, 0, 2 * size
            continue
        except (ValueError, RecursionError) as error:
            yield LineError(line, f"This cannot be read: {error} Nothing after it was read.")
            return
        number += 1
        yield _numbered(_checked(line, value, buffer[at:end]), number)
        line += buffer.count("\n", at, end)
        at, size = end, CHUNK


def _numbered(found: Row | LineError, number: int) -> Row | LineError:
    if isinstance(found, Row):
        return replace(found, number=number)
    return LineError(found.line, f"Object {number}: {found.problem}")


def _table(text: io.TextIOWrapper, first: str, line: int) -> Iterator[Row | LineError]:
    header = first + text.readline(MAX_ROW)
    separator = max(",;\t", key=header.count)
    csv.field_size_limit(MAX_ROW)
    reader = csv.reader(chain([header], text), delimiter=separator)
    names = [name.strip() for name in next(reader)]
    if len(names) < 2 or len(set(names)) < len(names):
        yield LineError(line, "This is neither JSON nor CSV with a header that names each column once.")
        return
    try:
        for cells in reader:
            at = line + reader.line_num - 1
            if len(cells) == len(names):
                yield _checked(at, dict(zip(names, cells, strict=True)), "".join(cells))
            elif cells:
                yield LineError(at, f"{len(names)} columns are needed; here are {len(cells)}.")
    except csv.Error as error:
        yield LineError(line + reader.line_num - 1, f"This is not CSV ({error}); nothing after it was read.")


def _checked(line: int, value: Any, text: str) -> Row | LineError:
    """Return a row that a database can hold, or say why it is none."""
    if not isinstance(value, dict):
        return LineError(line, 'An object with named fields is needed, like {"prompt": …}.')
    if not text.isascii() and _SURROGATE.search(text):
        return LineError(line, "Some bytes are not UTF-8; save the file as UTF-8.")
    if _SUSPECT.search(text) or "\x00" in text:
        value = _without_nul(value)
        if _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
            return LineError(
                line, "It has half of a character (a lone surrogate); write the file anew as UTF-8."
            )
    return Row(line, value)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [_without_nul(part) for part in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(part) for key, part in value.items()}
    return value


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value; write null.")

"""Reads answers that a person gave elsewhere, from CSV; every line that cannot be read is named.

Knows nothing of pages or rows. Two shapes: columns `item,value` with one answer a line, or one line
with 120 values (a header like i1,...,i120 or 1,...,120 may stand above).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from personalization.inventory.items import ITEM_COUNT, items

MAX_CHARACTERS = 100_000
MISSING = frozenset({"", "0", "na", "n/a", "nan", "null", "none"})
_HEADER_CELL = re.compile(r"^(?:i|item|q)?[_ -]?(\d{1,3})$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong in one line; lines count from 1."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class Imported:
    """Answers as agreement with the statement as worded, and the lines that hold none."""

    answers: dict[int, int]
    errors: tuple[LineError, ...]


def parse(text: str, *, keyed: bool = False) -> Imported:
    """Read answers; with `keyed` minus items are already turned round (as in Johnson's data).

    Of two answers to one item the first counts and the second is an error. Empty and 0 are missing.
    """
    if len(text) > MAX_CHARACTERS:
        return Imported({}, (LineError(1, f"The file has more than {MAX_CHARACTERS:,} characters."),))
    sample = text.lstrip("\ufeff")
    separator = max(",;\t", key=sample.split("\n", 1)[0].count)
    lines = sample.replace("\x00", "").splitlines()
    try:
        # One record a line: a quotation mark that is never closed must not swallow what follows.
        rows = [
            (n, next(csv.reader(io.StringIO(line), delimiter=separator), []))
            for n, line in enumerate(lines, 1)
        ]
    except csv.Error as error:
        return Imported({}, (LineError(1, f"This is not CSV: {error}."),))
    rows = [(n, [cell.strip() for cell in row]) for n, row in rows if any(cell.strip() for cell in row)]
    if not rows:
        return Imported({}, (LineError(1, "There is nothing in it."),))
    header = {cell.casefold() for cell in rows[0][1]}
    found = _long(rows) if len(rows[0][1]) <= 2 or {"item", "value"} <= header else _wide(rows)
    if keyed:
        by_number = {item.number: item for item in items()}
        found = Imported({n: by_number[n].keyed(v) for n, v in found.answers.items()}, found.errors)
    return found


def _long(rows: Sequence[tuple[int, list[str]]]) -> Imported:
    answers: dict[int, int] = {}
    errors: list[LineError] = []
    first = [cell.casefold() for cell in rows[0][1]]
    item_at, value_at, width = 0, 1, 2
    if "item" in first and "value" in first:
        item_at, value_at, width, rows = first.index("item"), first.index("value"), len(first), rows[1:]
    for line, row in rows:
        if len(row) != width:
            errors.append(LineError(line, f"{width} columns are needed; here are {len(row)}."))
            continue
        _take(answers, errors, line, row[item_at], row[value_at])
    return Imported(answers, tuple(errors))


def _wide(rows: Sequence[tuple[int, list[str]]]) -> Imported:
    answers: dict[int, int] = {}
    errors: list[LineError] = []
    names = [str(number) for number in range(1, ITEM_COUNT + 1)]
    header = [_HEADER_CELL.match(cell) for cell in rows[0][1]]
    named = [match.group(1) for match in header if match]
    if len(rows) > 1 and len(named) == len(header):
        names, rows = named, rows[1:]
    line, row = rows[0]
    if len(row) != len(names):
        return Imported({}, (LineError(line, f"{len(names)} columns are needed; here are {len(row)}."),))
    for name, value in zip(names, row, strict=True):
        _take(answers, errors, line, name, value)
    errors += [LineError(n, "Only the first person is read; this line is left out.") for n, _row in rows[1:]]
    return Imported(answers, tuple(errors))


def _take(answers: dict[int, int], errors: list[LineError], line: int, item: str, value: str) -> None:
    """Add one answer, or say what is wrong with it."""
    match = _HEADER_CELL.match(item)
    if match is None or not 1 <= int(match.group(1)) <= ITEM_COUNT:
        errors.append(LineError(line, f"“{item[:20]}” is not an item; items go from 1 to {ITEM_COUNT}."))
        return
    number = int(match.group(1))
    if value.casefold() in MISSING:
        return
    if value not in {"1", "2", "3", "4", "5", "1.0", "2.0", "3.0", "4.0", "5.0"}:
        errors.append(LineError(line, f"Item {number} has “{value[:20]}”; answers go from 1 to 5."))
    elif number in answers:
        errors.append(LineError(line, f"Item {number} is there twice; the first answer counts."))
    else:
        answers[number] = int(value[0])

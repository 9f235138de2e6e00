"""IPIP answers: one row a person with i1, i2, …, or one row an answer with person, item and value.

Answers are 1 to 5, 0 and nothing are missing. `keyed` says that minus items are already turned round, as they
are in Johnson's data: without it they are read as agreement with the statement as worded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import FormatError, Participant
from personalization.exchange.registry import Format, LeftOut, Written

ITEMS = 300
_ITEM = re.compile(r"(?:i|item|q)?[_ -]?(\d{1,3})", re.IGNORECASE)
_MISSING = frozenset({"", "0", "na", "nan", "null", "none"})
NAMES = ("person", "case", "user_id", "id")


def read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Participant]:
    """Read one person's row; columns that name no item are left out."""
    [row] = rows
    yield _participant(row, {name: value for name, value in row.items() if _ITEM.fullmatch(name)})


def read_long(rows: Sequence[Mapping[str, Any]]) -> Iterator[Participant]:
    """Read one person's rows."""
    given: dict[str, Any] = {}
    for row in rows:
        item = str(row.get("item"))
        if item in given:
            raise FormatError(f"Item {item[:20]} is there twice for one person.")
        given[item] = row.get("value")
    yield _participant(rows[0], given)


def _participant(row: Mapping[str, Any], given: Mapping[str, Any]) -> Participant:
    name = next((str(row[name]) for name in NAMES if row.get(name) not in (None, "")), "")
    if not name:
        raise FormatError("Whose answers these are is missing; add a column “person”.")
    items: dict[int, int] = {}
    for item, value in given.items():
        match = _ITEM.fullmatch(item)
        if match is None or not 1 <= int(match[1]) <= ITEMS:
            raise FormatError(f"“{item[:20]}” is no item; items go from 1 to {ITEMS}.")
        if str(value).casefold() in _MISSING:
            continue
        answer = fields.whole({item: value}, item)
        if not 1 <= answer <= 5:
            raise FormatError(f"Item {item[:20]} has {answer}; answers go from 1 to 5.")
        items[int(match[1])] = answer
    if not items:
        raise FormatError("There is no answer in it.")
    return Participant(
        name, items=dict(sorted(items.items())), keyed=fields.truth(row, "keyed", default=False),
        licence=fields.text(row, "licence", ""), may_train=fields.truth(row, "may_train", default=True),
    )  # fmt: skip


def write(participant: Participant) -> Written:
    """Write one row with a column for each item up to the last one of the inventory."""
    if not participant.items:
        yield LeftOut("the person answered no inventory")
        return
    last = 120 if max(participant.items) <= 120 else ITEMS
    answers = {f"i{number}": participant.items.get(number, 0) for number in range(1, last + 1)}
    yield {"person": participant.person, "keyed": participant.keyed} | answers | fields.columns(participant)


def write_long(participant: Participant) -> Written:
    """Write one row for each answer."""
    for item, value in participant.items.items():
        row = {"person": participant.person, "item": item, "value": value, "keyed": participant.keyed}
        yield row | fields.columns(participant)
    if not participant.items:
        yield LeftOut("the person answered no inventory")


FORMATS = (
    Format(
        "ipip", "IPIP answers", frozenset({"i1", "i2"}), "The answers to the inventory only.",
        read=read, write_participant=write, licence="Public domain",
    ),
    Format(
        "ipip-long", "IPIP answers, one a row", frozenset({"item", "value"}),
        "The answers to the inventory only.",
        read=read_long, write_participant=write_long, together="person", suffix="csv",
        licence="Public domain",
    ),
)  # fmt: skip

"""Anthropic's HH transcripts: `chosen` and `rejected`, each a whole dialogue with Human: and Assistant:.

Where the two part before the last answer, what comes after is the answer, with its markers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import PICKED, Act, Answer, Example, FormatError, Judgement
from personalization.exchange.preferences import preferences
from personalization.exchange.registry import Format, LeftOut, Written
from personalization.records import Message, Role

_MARK = re.compile(r"\n\n(Human|Assistant):")
_ROLE: Mapping[str, Role] = {"Human": "user", "Assistant": "assistant"}
_NAME = {"user": "Human", "assistant": "Assistant"}


def read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one row."""
    [row] = rows
    chosen, rejected = (_turns(fields.text(row, name), name) for name in ("chosen", "rejected"))
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    while shared and chosen[shared - 1].role != "user":  # an answer follows what a person said
        shared -= 1
    if not shared:
        raise FormatError("“chosen” and “rejected” have no message of the Human in common.")
    answers = [Answer(_transcript(turns[shared:]).removeprefix("\n\nAssistant:").removeprefix(" "))
               for turns in (chosen, rejected)]  # fmt: skip
    judgement = Judgement(fields.person(row), (Act("pick", 0, protocol=PICKED),))
    yield fields.example(row, chosen[:shared], answers, judgements=(judgement,))


def _turns(text: str, name: str) -> tuple[Message, ...]:
    parts = _MARK.split(text)
    if parts[0].strip() or len(parts) < 3:
        raise FormatError(f"“{name}” has to begin with an empty line and “Human:”.")
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return tuple(Message(_ROLE[who], said.removeprefix(" ")) for who, said in pairs)


def _transcript(messages: Sequence[Message]) -> str:
    return "".join(f"\n\n{_NAME[message.role]}: {message.content}" for message in messages)


def write(examples: Sequence[Example]) -> Written:
    """Write one row for each preference."""
    [example] = examples
    if any(message.role == "system" for message in example.messages):
        yield LeftOut("a transcript has no system message")
        return
    before = _transcript(example.messages)
    for judgement in example.judgements:
        for found in preferences(example, judgement):
            yield {
                "chosen": f"{before}\n\nAssistant: {found.chosen}",
                "rejected": f"{before}\n\nAssistant: {found.rejected}",
            } | fields.columns(example, judgement, found.part)


FORMATS = (
    Format(
        "hh", "HH transcripts", frozenset({"chosen", "rejected"}),
        "One preference a row; texts that hold “\\n\\nHuman:” are read as further turns.",
        read=read, write_examples=write, licence="MIT",
    ),
)  # fmt: skip

"""Prompts alone (TRL's prompt-only rows), for which models are to write the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import Example, FormatError
from personalization.exchange.registry import Format, Written

# Whoever sends one of these means another format, and would lose the answers.
ANSWERS = ("chosen", "rejected", "completion", "completions", "label", "labels", "response", "answer")


def read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one row: a text, or a conversation up to the message that is to be answered."""
    [row] = rows
    if found := [name for name in ANSWERS if name in row]:
        raise FormatError(f"A row of prompts has no “{found[0]}”; choose the format that has it.")
    messages = fields.prompt(row)
    if messages[-1].role != "user":
        raise FormatError("“prompt” has to end with a message of the user; that one is answered.")
    yield fields.example(row, messages, ())


def write(examples: Sequence[Example]) -> Written:
    """Write what was asked, without answers and judgements."""
    [example] = examples
    yield {"prompt": fields.as_chat(example.messages)} | fields.columns(example)


FORMATS = (
    Format(
        "prompts", "Prompts only", frozenset({"prompt"}),
        "What was asked; all answers and judgements are left out.",
        read=read, write_examples=write,
    ),
)  # fmt: skip

"""Messages for supervised fine-tuning: a conversation whose last message is the wanted answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import Answer, Example, FormatError
from personalization.exchange.preferences import best
from personalization.exchange.registry import Format, LeftOut, Written


def read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one row; nobody judged it."""
    [row] = rows
    messages = fields.chat(row.get("messages"), "messages")
    if messages[-1].role != "assistant" or len(messages) < 2:
        raise FormatError("“messages” has to end with the assistant's answer to at least one message.")
    yield fields.example(row, messages[:-1], (Answer(messages[-1].content),))


def write(examples: Sequence[Example]) -> Written:
    """Write what each person wanted: their edit, pick, liked or best answer; an only answer as it is."""
    [example] = examples
    if not example.judgements and len(example.answers) == 1:
        yield _row(example, example.answers[0].text) | fields.columns(example)
    elif not example.judgements:
        yield LeftOut("nobody said which answer is good")
    for judgement in example.judgements:
        wanted = best(example, judgement)
        if wanted is None:
            yield LeftOut("the judgement names no best answer")
        else:
            yield _row(example, wanted) | fields.columns(example, judgement)


def _row(example: Example, answer: str) -> dict[str, Any]:
    return {"messages": [*fields.as_chat(example.messages), {"role": "assistant", "content": answer}]}


FORMATS = (
    Format(
        "sft", "SFT messages", frozenset({"messages"}),
        "Only the wanted answer; the others and all judgements are left out.",
        read=read, write_examples=write,
    ),
)  # fmt: skip

"""TRL's preference data: `prompt chosen rejected`, without a prompt, and as lists of messages.

https://huggingface.co/docs/trl/dataset_formats. One row for each preference, with `margin`, the ratings'
difference in (0, 1], 1 where none decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import PICKED, Act, Answer, Example, FormatError, Judgement
from personalization.exchange.preferences import Preference, preferences
from personalization.exchange.registry import Format, LeftOut, Written
from personalization.records import Message

LOSES = "One preference a row: ratings are only its margin; ties, spans and critiques are left out."


def read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one row of any of the three shapes."""
    [row] = rows
    if row.get("prompt") is not None:
        prompt = fields.prompt(row)
        chosen, rejected = (fields.completion(row.get(name), name) for name in ("chosen", "rejected"))
    elif isinstance(row.get("chosen"), str):
        prompt, chosen, rejected = _split_texts(fields.text(row, "chosen"), fields.text(row, "rejected"))
    else:
        prompt, chosen, rejected = _split_chats(row)
    act = Act("pick", 0, protocol=fields.text(row, "protocol", PICKED))
    judgement = Judgement(fields.person(row), (act,))
    yield fields.example(row, prompt, (Answer(chosen), Answer(rejected)), judgements=(judgement,))


def read_chats(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one row whose prompt is a list of messages, so that files of texts are not taken for such."""
    if isinstance(rows[0].get("prompt"), str):
        raise FormatError("“prompt” has to be a list of messages; with texts the format is TRL preference.")
    yield from read(rows)


def _split_texts(chosen: str, rejected: str) -> tuple[tuple[Message, ...], str, str]:
    """Cut two texts where they part, at the last space before, as TRL does."""
    shared = next((i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), -1)
    if shared < 0:
        shared = min(len(chosen), len(rejected))
    cut = chosen.rfind(" ", 0, shared)
    if cut <= 0:
        raise FormatError(
            "“chosen” and “rejected” begin differently, so that no prompt is found; add “prompt”."
        )
    return (Message("user", chosen[:cut]),), chosen[cut:], rejected[cut:]


def _split_chats(row: Mapping[str, Any]) -> tuple[tuple[Message, ...], str, str]:
    chosen, rejected = (fields.chat(row.get(name), name) for name in ("chosen", "rejected"))
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    ends = chosen[shared:], rejected[shared:]
    if any(len(end) != 1 or end[0].role != "assistant" for end in ends):
        raise FormatError("“chosen” and “rejected” may differ in the assistant's last message only.")
    return chosen[:shared], ends[0][0].content, ends[1][0].content


def _explicit(example: Example, found: Preference) -> dict[str, Any] | LeftOut:
    if len(example.messages) != 1 or example.messages[0].role != "user":
        return LeftOut("several messages before the answer; use trl-conversational")
    return {"prompt": example.messages[0].content, "chosen": found.chosen, "rejected": found.rejected}


def _conversational(example: Example, found: Preference) -> dict[str, Any]:
    answers = {
        name: [{"role": "assistant", "content": text}]
        for name, text in (("chosen", found.chosen), ("rejected", found.rejected))
    }
    return {"prompt": fields.as_chat(example.messages)} | answers


def _implicit(example: Example, found: Preference) -> dict[str, Any]:
    row = _conversational(example, found)
    return {name: row["prompt"] + row[name] for name in ("chosen", "rejected")}


def _writer(shape: Any) -> Any:
    def write(examples: Sequence[Example]) -> Written:
        [example] = examples
        for judgement in example.judgements:
            some = False
            for found in preferences(example, judgement):
                some = True
                row = shape(example, found)
                if isinstance(row, LeftOut):
                    yield row
                else:
                    extra = {"margin": round(found.margin, 4), "protocol": found.protocol}
                    yield row | extra | fields.columns(example, judgement, found.part)
            if not some:
                yield LeftOut("no preference follows from the judgement")
        if not example.judgements:
            yield LeftOut("nobody judged it")

    return write


_PARTS = frozenset({"chosen", "rejected"})
FORMATS = (
    Format(
        "trl-preference", "TRL preference", _PARTS | {"prompt"}, LOSES + " Prompts of one message only.",
        read=read, write_examples=_writer(_explicit),
    ),
    Format(
        "trl-conversational", "TRL preference, conversational", _PARTS | {"prompt"}, LOSES,
        read=read_chats, write_examples=_writer(_conversational),
    ),
    Format(
        "trl-implicit", "TRL preference, implicit prompt", _PARTS, LOSES,
        read=read, write_examples=_writer(_implicit),
    ),
)  # fmt: skip

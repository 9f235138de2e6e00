"""TRL's unpaired preference data (KTO): `prompt completion label`, one row for each answer liked or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import THUMB, Act, Answer, Example, Judgement
from personalization.exchange.registry import Format, LeftOut, Written


def read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one row."""
    [row] = rows
    answer = Answer(fields.completion(row.get("completion"), "completion"), fields.text(row, "model", ""))
    act = Act("thumb", 0, protocol=THUMB, liked=fields.truth(row, "label"))
    judgement = Judgement(fields.person(row), (act,))
    yield fields.example(row, fields.prompt(row), (answer,), judgements=(judgement,))


def write(examples: Sequence[Example]) -> Written:
    """Write every thumb; prompt and completion as lists of messages."""
    [example] = examples
    for judgement in example.judgements:
        thumbs = [act for act in judgement.acts if act.kind == "thumb" and act.answer is not None]
        for act in thumbs:
            answer = example.answers[act.answer or 0]
            yield {
                "prompt": fields.as_chat(example.messages),
                "completion": [{"role": "assistant", "content": answer.text}],
                "label": act.liked,
                "model": answer.maker,
            } | fields.columns(example, judgement, str(act.answer))
        if not thumbs:
            yield LeftOut("the judgement has no thumb")


FORMATS = (
    Format(
        "unpaired", "Unpaired preference (KTO)", frozenset({"prompt", "completion", "label"}),
        "Thumbs only; each answer becomes an example of its own.",
        read=read, write_examples=write,
    ),
)  # fmt: skip

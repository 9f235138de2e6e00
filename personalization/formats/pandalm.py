"""PandaLM's pairs: an instruction with two responses, judged by three annotators (0 tie, 1, 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import PICKED, Act, Answer, Example, FormatError, Judgement
from personalization.exchange.preferences import ranks
from personalization.exchange.registry import Format, LeftOut, Written
from personalization.records import Message

_ANNOTATOR = re.compile(r"annotator(\w+)")


def read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one row; every column annotatorN is a person of that name."""
    [row] = rows
    instruction, given = fields.text(row, "instruction"), fields.text(row, "input", "")
    content = f"{instruction}\n\n{given}" if given else instruction
    makers = [*fields.text(row, "cmp_key", "").split("_", 1), ""][:2]
    answers = [Answer(_response(row, f"response{n}"), makers[n - 1]) for n in (1, 2)]
    judgements = tuple(
        Judgement(name, (_verdict(fields.whole(row, name)),))
        for name in row
        if _ANNOTATOR.fullmatch(name) and row[name] is not None
    )
    extra = {name: row[name] for name in ("idx", "motivation_app", "cmp_key", "input") if name in row}
    key = {"key": f"pandalm-{row['idx']}-{row.get('cmp_key', '')}"} if "idx" in row else {}
    yield fields.example(row, [Message("user", content)], answers, judgements=judgements, extra=extra, **key)


def _response(row: Mapping[str, Any], name: str) -> str:
    """Return a response; the published file has lost the quotes of some that are “True”."""
    return str(row[name]) if isinstance(row.get(name), bool) else fields.text(row, name)


def _verdict(value: int) -> Act:
    if value not in (0, 1, 2):
        raise FormatError(f"A verdict is {value}; 0 is a tie, 1 and 2 name the better response.")
    if value == 0:
        return Act("ranking", protocol=PICKED, ranking=((0, 1),))
    return Act("pick", value - 1, protocol=PICKED)


def write(examples: Sequence[Example]) -> Written:
    """Write an example with two answers and everybody's verdict."""
    [example] = examples
    if len(example.answers) != 2 or len(example.messages) != 1:
        yield LeftOut("it does not have one message and two answers")
        return
    verdicts = {one.person: ranks(example, one) for one in example.judgements}
    given, content = str(example.extra.get("input", "")), example.messages[0].content
    yield (
        {
            "idx": example.extra.get("idx", example.key),
            "motivation_app": example.extra.get("motivation_app", ""),
            "cmp_key": example.extra.get("cmp_key", "_".join(answer.maker for answer in example.answers)),
            "instruction": content.removesuffix(f"\n\n{given}") if given else content,
            "input": given,
            "response1": example.answers[0].text,
            "response2": example.answers[1].text,
        }
        | {
            who if _ANNOTATOR.fullmatch(who) else f"annotator{n}": _number(places)
            for n, (who, places) in enumerate(verdicts.items(), 1)
            if len(places) == 2
        }
        | {name: value for name, value in fields.columns(example).items() if name not in ("id", "person")}
    )


def _number(places: Mapping[int, int]) -> int:
    return 0 if places[0] == places[1] else 1 if places[0] < places[1] else 2


FORMATS = (
    Format(
        "pandalm", "PandaLM pairs", frozenset({"instruction", "response1", "response2"}),
        "Pairs only, and of a judgement only which response is better.",
        read=read, write_examples=write, suffix="json", licence="Apache-2.0",
    ),
)  # fmt: skip

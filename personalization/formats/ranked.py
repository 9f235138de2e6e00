"""Ranked groups: `prompt completions labels`, the labels ratings from 1 to 100 or ranks from 1 (best).

`label_kind` says which: "scores" or "ranks". Without it, a higher label is better, whatever the scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import RANKED, RATED, Act, Answer, Example, FormatError, Judgement
from personalization.exchange.preferences import ranks, ratings
from personalization.exchange.registry import Format, LeftOut, Written


def read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one row; a label of null says nothing of its completion."""
    [row] = rows
    completions = [fields.completion(part, "completions") for part in fields.listed(row, "completions")]
    labels = fields.listed(row, "labels")
    if len(labels) != len(completions) or not all(_is_number(label) or label is None for label in labels):
        raise FormatError("“labels” needs one number for each of “completions”.")
    judgement = Judgement(fields.person(row), tuple(_acts(labels, fields.text(row, "label_kind", ""))))
    answers = [
        Answer(text, maker) for text, maker in zip(completions, _makers(row, completions), strict=True)
    ]
    yield fields.example(row, fields.prompt(row), answers, judgements=(judgement,) if judgement.acts else ())


def _acts(labels: Sequence[float | None], kind: str) -> Iterator[Act]:
    given = {i: label for i, label in enumerate(labels) if label is not None}
    if kind == "scores":
        for i, label in given.items():
            yield Act("rating", i, protocol=RATED, score=float(label))
    elif kind not in ("", "ranks"):
        raise FormatError(f"“label_kind” is {kind[:20]!r}; it has to be scores or ranks.")
    elif given:
        levels = sorted(set(given.values()), reverse=kind != "ranks")
        ranking = tuple(tuple(i for i, label in given.items() if label == level) for level in levels)
        yield Act("ranking", protocol=RANKED, ranking=ranking)


def _makers(row: Mapping[str, Any], completions: Sequence[str]) -> list[str]:
    models = row.get("models")
    fits = isinstance(models, list) and len(models) == len(completions)
    return [str(model) for model in models] if fits and models else [""] * len(completions)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def write(examples: Sequence[Example]) -> Written:
    """Write ratings where every ranked answer has one, else ranks."""
    [example] = examples
    for judgement in example.judgements:
        places, scores = ranks(example, judgement), ratings(judgement)
        ranked = any(act.kind == "ranking" for act in judgement.acts)
        kind, labels = ("ranks", places) if ranked or not scores else ("scores", scores)
        if not labels:
            yield LeftOut("the judgement neither rates nor ranks")
            continue
        yield {
            "prompt": fields.as_chat(example.messages),
            "completions": [[{"role": "assistant", "content": answer.text}] for answer in example.answers],
            "labels": [labels.get(i) for i in range(len(example.answers))],
            "label_kind": kind,
            "models": [answer.maker for answer in example.answers],
        } | fields.columns(example, judgement)


FORMATS = (
    Format(
        "ranked", "Ranked groups", frozenset({"prompt", "completions", "labels"}),
        "A ranking or a set of ratings for each person; attributes, edits, critiques and thumbs are lost.",
        read=read, write_examples=write,
    ),
)  # fmt: skip

"""Argilla's UltraFeedback: pairs with average ratings from 1 to 5, and its rows for KTO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import (
    PICKED,
    RATED,
    THUMB,
    Act,
    Answer,
    Example,
    FormatError,
    Judgement,
)
from personalization.exchange.preferences import ratings
from personalization.exchange.registry import Format, LeftOut, Written
from personalization.records import Message

LOW, HIGH = 1.0, 5.0


def read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one pair with its ratings; ratings that contradict the pair are kept as they are."""
    [row] = rows
    answers = (
        Answer(fields.text(row, "chosen_response"), fields.text(row, "chosen_model", "")),
        Answer(fields.text(row, "rejected_response"), fields.text(row, "rejected_model", "")),
    )
    acts = [Act("pick", 0, protocol=PICKED)]
    for i, name in enumerate(("chosen_avg_rating", "rejected_avg_rating")):
        if row.get(name) is not None:
            acts.append(Act("rating", i, protocol=RATED, score=_score(row[name], name)))
    judgement = Judgement(fields.person(row), tuple(acts))
    prompt = (Message("user", fields.text(row, "instruction")),)
    yield fields.example(row, prompt, answers, judgements=(judgement,))


def read_kto(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one answer with its thumb and its average rating."""
    [row] = rows
    answer = Answer(fields.completion(row.get("completion"), "completion"), fields.text(row, "model", ""))
    acts = [Act("thumb", 0, protocol=THUMB, liked=fields.truth(row, "label"))]
    if row.get("average_rating") is not None:
        acts.append(Act("rating", 0, protocol=RATED, score=_score(row["average_rating"], "average_rating")))
    judgement = Judgement(fields.person(row), tuple(acts))
    extra = {"annotations": row["annotations"]} if row.get("annotations") is not None else {}
    yield fields.example(row, fields.prompt(row), (answer,), judgements=(judgement,), extra=extra)


def _score(value: Any, name: str) -> float:
    try:
        return fields.rescale(float(value), LOW, HIGH)
    except (TypeError, ValueError):
        raise FormatError(f"“{name}” is {str(value)[:20]!r}; a number from 1 to 5 is needed.") from None


def write(examples: Sequence[Example]) -> Written:
    """Write one row for each two answers that one person rated differently."""
    [example] = examples
    for judgement in example.judgements:
        scores = ratings(judgement)
        if len(scores) < 2:
            yield LeftOut("fewer than two answers are rated")
        elif len(example.messages) != 1:
            yield LeftOut("several messages before the answer")
        else:
            yield from _pairs(example, judgement, scores)


def _pairs(example: Example, judgement: Judgement, scores: Mapping[int, float]) -> Written:
    picked = {act.answer for act in judgement.acts if act.kind == "pick"}
    for first, second in combinations(sorted(scores), 2):
        better, worse = (first, second) if scores[first] >= scores[second] else (second, first)
        if scores[first] == scores[second] and worse in picked:
            better, worse = worse, better
        if scores[first] == scores[second] and better not in picked:
            yield LeftOut("two answers are rated alike")
            continue
        yield {
            "instruction": example.messages[0].content,
            "chosen_response": example.answers[better].text,
            "rejected_response": example.answers[worse].text,
            "chosen_avg_rating": fields.scale_back(scores[better], LOW, HIGH),
            "rejected_avg_rating": fields.scale_back(scores[worse], LOW, HIGH),
            "chosen_model": example.answers[better].maker,
            "rejected_model": example.answers[worse].maker,
        } | fields.columns(example, judgement, f"{first}-{second}")


def write_kto(examples: Sequence[Example]) -> Written:
    """Write one row for each answer with a thumb."""
    [example] = examples
    for judgement in example.judgements:
        scores = ratings(judgement)
        for act in judgement.acts:
            if act.kind == "thumb" and act.answer is not None:
                answer, score = example.answers[act.answer], scores.get(act.answer)
                yield {
                    "prompt": fields.as_chat(example.messages),
                    "completion": [{"role": "assistant", "content": answer.text}],
                    "label": act.liked, "model": answer.maker,
                    "average_rating": None if score is None else fields.scale_back(score, LOW, HIGH),
                    "annotations": example.extra.get("annotations"),
                } | fields.columns(example, judgement, str(act.answer))  # fmt: skip
        if not any(act.kind == "thumb" for act in judgement.acts):
            yield LeftOut("the judgement has no thumb")


FORMATS = (
    Format(
        "ultrafeedback", "Argilla UltraFeedback ratings",
        frozenset({"instruction", "chosen_response", "rejected_response"}),
        "Overall ratings of pairs, to two digits on a scale from 1 to 5.",
        read=read, write_examples=write, licence="MIT",
    ),
    Format(
        "ultrafeedback-kto", "Argilla UltraFeedback KTO",
        frozenset({"prompt", "completion", "label", "average_rating"}),
        "Thumbs with their ratings; each answer becomes an example of its own.",
        read=read_kto, write_examples=write_kto, licence="MIT",
    ),
)  # fmt: skip

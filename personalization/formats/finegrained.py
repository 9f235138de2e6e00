"""Fine-grained RLHF: a question, four predictions, marked errors in the first, six comparisons of all.

Wu et al. 2023, arXiv:2306.01693. `preference` compares 1-2, 1-3, 1-4, 2-3, 2-4, 3-4; 1 is for the former, 2
for the latter, 0 for neither. The six need not agree with an order: they become a ranking by wins less
losses, and stay in `extra`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import (
    EDITED,
    RANKED,
    SPANS,
    Act,
    Answer,
    Example,
    FormatError,
    Judgement,
    Span,
)
from personalization.exchange.preferences import ranks
from personalization.exchange.registry import Format, LeftOut, Written
from personalization.records import Message

COUNT = 4
PERSON = "annotator"  # the files do not say who
PAIRS = tuple(combinations(range(COUNT), 2))
KEPT = ("passages", "gold", "preference")


def read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one question."""
    [row] = rows
    feedback = row.get("feedback") or {}
    texts = [fields.text(row, f"prediction {n}") for n in range(1, COUNT + 1)]
    acts = tuple(_acts(row, feedback, len(texts[0])))
    extra = {name: row[name] for name in KEPT if name in row}
    extra |= {"missing-info": feedback["missing-info"]} if feedback.get("missing-info") else {}
    judgement = Judgement(fields.person(row) or PERSON, acts)
    messages = [Message("user", fields.text(row, "question"))]
    yield fields.example(
        row, messages, [Answer(text) for text in texts], judgements=(judgement,) if acts else (), extra=extra
    )


def _acts(row: Mapping[str, Any], feedback: Mapping[str, Any], length: int) -> Iterator[Act]:
    if row.get("preference") is not None:
        yield Act("ranking", protocol=RANKED, ranking=_ranking(fields.listed(row, "preference")))
    spans = tuple(_span(error, length) for error in feedback.get("errors") or [])
    if spans:
        yield Act("critique", 0, protocol=SPANS, spans=spans)
    if corrected := feedback.get("corrected-prediction"):
        yield Act("edit", 0, protocol=EDITED, text=corrected)


def _ranking(verdicts: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    if len(verdicts) != len(PAIRS) or not set(verdicts) <= {0, 1, 2}:
        raise FormatError("“preference” needs six comparisons, each 0, 1 or 2.")
    wins: Counter[int] = Counter()
    for (first, second), verdict in zip(PAIRS, verdicts, strict=True):
        for_first = {0: 0, 1: 1, 2: -1}[verdict]
        wins[first] += for_first
        wins[second] -= for_first
    levels = sorted(set(wins.values()), reverse=True)
    return tuple(tuple(i for i in range(COUNT) if wins[i] == level) for level in levels)


def _span(error: Mapping[str, Any], length: int) -> Span:
    start, end = fields.whole(error, "start"), fields.whole(error, "end")
    if not 0 <= start <= end <= length:
        raise FormatError(
            f"A marked part goes from {start} to {end}; the first prediction has {length} characters."
        )
    return Span(start, end, fields.text(error, "error type", ""), fields.text(error, "explanation", ""))


def write(examples: Sequence[Example]) -> Written:
    """Write an example with four answers once for each person; spans and edits of the first answer only."""
    [example] = examples
    if len(example.answers) != COUNT or len(example.messages) != 1:
        yield LeftOut("it does not have one message and four answers")
        return
    for judgement in example.judgements:
        spans = [s for act in judgement.acts if act.kind == "critique" and act.answer == 0 for s in act.spans]
        edits = [act.text for act in judgement.acts if act.kind == "edit" and act.answer == 0]
        yield {
            "question": example.messages[0].content,
            "passages": example.extra.get("passages", []),
            "gold": example.extra.get("gold", ""),
            **{f"prediction {n}": answer.text for n, answer in enumerate(example.answers, 1)},
            "feedback": {
                "errors": [
                    {"error type": s.type, "explanation": s.note, "start": s.start, "end": s.end}
                    for s in spans
                ],
                "missing-info": example.extra.get("missing-info", []),
                "corrected-prediction": edits[0] if edits else "",
            },
            "preference": _verdicts(example, judgement),
        } | fields.columns(example, judgement)


def _verdicts(example: Example, judgement: Judgement) -> list[int]:
    kept = example.extra.get("preference")
    if kept and any(act.kind == "ranking" and act.ranking == _ranking(kept) for act in judgement.acts):
        return list(kept)
    places = ranks(example, judgement)
    found = []
    for first, second in PAIRS:
        difference = places.get(second, 0) - places.get(first, 0) if {first, second} <= places.keys() else 0
        found.append(0 if difference == 0 else 1 if difference > 0 else 2)
    return found


FORMATS = (
    Format(
        "finegrained", "Fine-grained spans", frozenset({"question", "prediction 1", "feedback"}),
        "Four answers to one message; of errors and edits those of the first answer.",
        read=read, write_examples=write, suffix="json", licence="Apache-2.0",
    ),
)  # fmt: skip

"""What follows from a judgement: which answer is preferred to which, which is best, who likes what.

Picks, rankings and edits decide; ratings decide the pairs that these leave open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from personalization.exchange.neutral import HIGHEST, LOWEST, Act, Example, Judgement


@dataclass(frozen=True, slots=True)
class Preference:
    """One answer preferred to another, as texts; `part` says which, for an id."""

    chosen: str
    rejected: str
    margin: float  # of the ratings, in (0, 1]; 1 when none decided
    protocol: str
    part: str


def ratings(judgement: Judgement) -> dict[int, float]:
    """Return the overall rating of each answer that has one."""
    found = (act for act in judgement.acts if act.kind == "rating" and not act.attribute)
    return {act.answer: act.score for act in found if act.answer is not None and act.score is not None}


def ranks(example: Example, judgement: Judgement) -> dict[int, int]:
    """Return each answer's rank from 1, ties alike: of the ranking, else of the pick, else of the ratings."""
    for act in judgement.acts:
        if act.kind == "ranking":
            return {i: n for n, tie in enumerate(act.ranking, 1) for i in tie}
    scores = ratings(judgement)
    for act in judgement.acts:
        if act.kind == "pick" and act.answer is not None and len(scores) < len(example.answers):
            return {i: 1 if i == act.answer else 2 for i in _shown(example, judgement)}
    ordered = sorted(set(scores.values()), reverse=True)
    return {i: ordered.index(score) + 1 for i, score in scores.items()}


def best(example: Example, judgement: Judgement) -> str | None:
    """Return the text of the answer that this person would have wanted; None when nothing says so."""
    for act in judgement.acts:
        if act.kind == "edit":
            return act.text
    for act in judgement.acts:
        if act.kind == "pick":
            return None if act.answer is None else example.answers[act.answer].text
        if act.kind == "thumb" and act.liked and act.answer is not None:
            return example.answers[act.answer].text
    first = [i for i, rank in ranks(example, judgement).items() if rank == 1]
    return example.answers[first[0]].text if len(first) == 1 else None


def preferences(example: Example, judgement: Judgement) -> Iterator[Preference]:
    """Yield every preference between two different texts, in a fixed order."""
    scores = ratings(judgement)
    for first, second in combinations(range(len(example.answers)), 2):
        verdict = next(filter(None, (_compared(act, first, second) for act in judgement.acts)), None)
        if verdict is not None:
            sign, protocol, margin = float(verdict[0]), verdict[1], 1.0
        elif first in scores and second in scores:
            sign, protocol = scores[first] - scores[second], _protocol(judgement, "rating")
            margin = abs(sign) / (HIGHEST - LOWEST)
        else:
            continue
        texts = example.answers[first].text, example.answers[second].text
        if sign and texts[0] != texts[1]:
            chosen, rejected = texts if sign > 0 else texts[::-1]
            yield Preference(chosen, rejected, margin, protocol, f"{first}-{second}")
    for act in judgement.acts:
        if act.kind == "edit" and act.answer is not None and act.text != example.answers[act.answer].text:
            original = example.answers[act.answer].text
            yield Preference(act.text, original, 1.0, act.protocol, f"edit-{act.answer}")


def _compared(act: Act, first: int, second: int) -> tuple[int, str] | None:
    """Return +1, 0 or -1 for first against second, with the protocol; None when nothing is said of them."""
    if act.kind == "pick" and act.answer in (first, second):
        return (1 if act.answer == first else -1), act.protocol
    if act.kind == "ranking":
        place = {i: n for n, tie in enumerate(act.ranking) for i in tie}
        if first in place and second in place:
            difference = place[second] - place[first]
            return (difference > 0) - (difference < 0), act.protocol
    return None


def _protocol(judgement: Judgement, kind: str) -> str:
    return next((act.protocol for act in judgement.acts if act.kind == kind), "")


def _shown(example: Example, judgement: Judgement) -> tuple[int, ...]:
    return judgement.order or tuple(range(len(example.answers)))

"""Which of a person's best exchanges to show before a question, so that the model answers as they like it.

Examples in the context align without training (URIAL, Lin et al. 2023, arXiv:2312.01552); here they are the
person's own. Which ones matters: those that are near the question (Liu et al. 2021, arXiv:2101.06804), that
help the model to prefer what the person prefers (Qin et al. 2023, arXiv:2312.17055, there a training signal),
and that do not repeat each other (Carbonell and Goldstein 1998, doi:10.1145/290941.291025). Knows nothing of
how an answer is then written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

import torch

from personalization.models.base import BaseModel
from personalization.models.logprobs import Completions, completion_logps
from personalization.models.relevance import encoder
from personalization.records import Message, Pair, RatedGroup

SHOTS = 3  # more leave a small model no room
# Weights of the three reasons, each in standard deviations over the exchanges, and of repetition.
NEAR, HELPFUL, REPEATED = 1.0, 0.5, 1.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and the answer to it that the person liked best, and by how much (points of the slider)."""

    question: str
    answer: str
    liked: float

    @property
    def turns(self) -> tuple[Message, Message]:
        """The exchange as earlier turns."""
        return Message("user", self.question), Message("assistant", self.answer)


def exchanges_of(groups: Sequence[RatedGroup]) -> list[Exchange]:
    """Return each first message's best-liked answer, where one was liked better than another."""
    found = []
    for group in groups:
        best = max(group.scores)
        if len(group.prompt) == 1 and best > min(group.scores):
            answer = group.completions[group.scores.index(best)]
            found.append(Exchange(group.prompt[0].content, answer, best - fmean(group.scores)))
    return found


def helpfulness(base: BaseModel, exchanges: Sequence[Exchange], checks: Sequence[Pair]) -> list[float]:
    """Return what each exchange, shown before, adds to the model's preference for what the person preferred.

    In nats a token, a mean over `checks` of other conversations. Two forward passes for each exchange and
    check, and two for each check alone.
    """
    alone = _margins(base, checks, ())
    return [
        fmean(own - one for own, one in zip(_margins(base, checks, e.turns), alone, strict=True))
        for e in exchanges
    ]


def chosen(
    exchanges: Sequence[Exchange],
    question: str,
    *,
    helps: Sequence[float] | None = None,
    count: int = SHOTS,
) -> list[Exchange]:
    """Return the exchanges to show before a question, the nearest one last, where a small model looks most.

    By how much they were liked, how near they are, and how much each `helps` where that is known; one after
    the other, less what each repeats of those that were taken before it.
    """
    if not exchanges:
        return []
    vectors = encoder().encode([question, *(e.question for e in exchanges)])
    near = (vectors[1:] @ vectors[0]).tolist()
    alike = (vectors[1:] @ vectors[1:].T).tolist()
    reasons = [([e.liked for e in exchanges], 1.0), (near, NEAR), (helps or [0.0] * len(exchanges), HELPFUL)]
    worth = [sum(weight * z for z, weight in row) for row in _standardised(reasons)]
    taken: list[int] = []

    def order(i: int) -> tuple[float, float, str]:
        repeats = max((alike[i][j] for j in taken), default=0.0)
        # Of two exchanges one may be liked more and the other be nearer, by one deviation each: a tie, which
        # rounding must not decide by the order in which they are given.
        return round(worth[i] - REPEATED * repeats, 4), round(near[i], 4), exchanges[i].question

    while len(taken) < min(count, len(exchanges)):
        taken.append(max((i for i in range(len(exchanges)) if i not in taken), key=order))
    return [exchanges[i] for i in sorted(taken, key=lambda i: near[i])]


def _standardised(reasons: Sequence[tuple[Sequence[float], float]]) -> list[list[tuple[float, float]]]:
    """Return for each exchange its value of each reason in standard deviations, with the reason's weight."""
    columns = []
    for values, weight in reasons:
        middle, spread = fmean(values), pstdev(values) or 1.0
        columns.append([((value - middle) / spread, weight) for value in values])
    return [list(row) for row in zip(*columns, strict=True)]


@torch.no_grad()
def _margins(base: BaseModel, checks: Sequence[Pair], before: Sequence[Message]) -> list[float]:
    """Return how much likelier each check's preferred answer is, in nats a token, after some turns."""
    items = [((*before, *check.prompt), text) for check in checks for text in (check.chosen, check.rejected)]
    sums, counts = completion_logps(base, Completions.encode(base, items))
    means = (sums / counts).tolist()
    return [chosen - rejected for chosen, rejected in zip(means[0::2], means[1::2], strict=True)]

"""Look-ahead search: write a piece in several ways, keep the best beginnings, go on.

DeAL, Huang et al. 2024, arXiv:2402.06147. Each round draws `beams` continuations of up to `segment`
tokens from every kept beginning and keeps the `keep` best by the weighted objectives. The paper rolls a
beginning out to judge it; here it is judged as it stands, so that nothing is written that cannot be shown.

Knows nothing of models: `Continue` writes. A token shown costs about beams * keep (beams in the first
round), and whoever reads waits for the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from personalization.decoding.objectives import Candidate, Objective, together

SEGMENT, BEAMS, KEEP, ROUNDS = 10, 5, 3, 10  # as published


@dataclass(frozen=True, slots=True)
class Beginning:
    """A candidate on its way: `ended` when the model would write nothing more."""

    candidate: Candidate
    ended: bool = False


# (beginnings, seeds, tokens) -> each beginning with up to so many tokens more, written together; none that
# ended is asked for, and None starts anew. Seeds are all different.
Continue = Callable[[Sequence[Beginning | None], Sequence[int], int], Sequence[Beginning]]


@dataclass(frozen=True, slots=True)
class Searched:
    """The best answer, and the tokens that were written for each one that is shown."""

    candidate: Candidate
    tokens_per_token: float


def search(
    go_on: Continue,
    objectives: Sequence[Objective],
    *,
    segment: int = SEGMENT,
    beams: int = BEAMS,
    keep: int = KEEP,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Searched:
    """Return the best answer found within `rounds` segments.

    With one beam, or without an objective that counts, it is what the model writes by itself with the first
    seed of every round. Raises ValueError for less than one segment token, beam, kept beginning or round.
    """
    if min(segment, beams, keep, rounds) < 1:
        raise ValueError("Segment, beams, keep and rounds are at least 1.")
    if not any(objective.weight for objective in objectives):
        beams = keep = 1
    kept: list[Beginning] = []
    written = 0
    for number in range(rounds):
        open_ones: list[Beginning | None] = [each for each in kept if not each.ended] if kept else [None]
        asked = [each for each in open_ones for _ in range(beams)]
        first = seed + number * beams * keep
        longer = go_on(asked, range(first, first + len(asked)), segment)
        written += sum(each.candidate.token_count for each in longer)
        written -= sum(each.candidate.token_count for each in asked if each is not None)
        fresh = [each for each in kept if each.ended] + [*longer]
        scores = together(objectives, [each.candidate for each in fresh])
        order = sorted(range(len(fresh)), key=lambda i: -scores[i])  # stable: the first of equals
        kept = [fresh[i] for i in order[:keep]]
        if kept[0].ended:
            break
    best = kept[0].candidate
    return Searched(best, written / max(best.token_count, 1))

"""Several artifacts on the same held-out comparisons: which of them prefers what the person preferred.

Knows nothing of how they were learned, nor of who held out what: the caller gives pairs that taught none of
them. Report cards each have their own held-out pairs, so that their numbers cannot be subtracted; these can.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.models.preference import score
from personalization.records import Pair
from personalization.statistics import Estimate, clustered_mean, clustered_share, holm, sign_flip_p_value


@dataclass(frozen=True, slots=True)
class Difference:
    """How much oftener one is right than another on the same pairs; p of "no difference", by Holm."""

    first: int
    second: int
    gain: Estimate  # second minus first
    p: float


@dataclass(frozen=True, slots=True)
class Versus:
    """How often each is right, the base model first, and every two of them paired."""

    conversations: int
    accuracy: list[Estimate]
    differences: list[Difference]
    personal: (
        Estimate | None
    )  # how much oftener whose comparisons these are is served by theirs than by others'

    def as_dict(self) -> dict[str, Any]:
        """Return everything, JSON-ready; an infinite end of an interval is None."""
        return {
            "conversations": self.conversations,
            "accuracy": [found.as_json() for found in self.accuracy],
            "differences": [
                {"first": d.first, "second": d.second, "gain": d.gain.as_json(), "p": d.p}
                for d in self.differences
            ],
            "personal": self.personal.as_json() if self.personal else None,
        }


def versus(
    base: BaseModel,
    rows: Sequence[Row],
    pairs: Sequence[Pair],
    *,
    system_message: str = "",
    own: Collection[int] = (),
    tell: Callable[[int], None] = lambda _done: None,
) -> Versus:
    """Score the base model and each row on one person's pairs, read as report cards read them.

    The base model by likelihood, an artifact by implicit reward. Places in the answer count from 0, the base
    model. `own` are the places of the person's own; where the rest are other people's, the mean of their own
    is compared with the mean of those: far above 0, what was learned is of this person and not of everybody.
    `tell` hears after each reading how many are done, of one for the base model and one for each row. Raises
    ValueError without pairs or rows.
    """
    if not pairs or not rows:
        raise ValueError(f"{len(rows)} artifacts and {len(pairs)} pairs: nothing can be compared.")
    interventions = Interventions(base)
    try:
        plain = score(base, interventions, pairs, row=Row(), system_message=system_message)
        right = [plain.likelihood()]
        tell(len(right))
        for row in rows:
            acting = score(base, interventions, pairs, row=row, system_message=system_message)
            right.append(acting.implicit_reward(plain))
            tell(len(right))
    finally:
        interventions.remove()
    clusters = [pair.conversation for pair in pairs]
    gains = {
        (first, second): [b - a for a, b in zip(right[first], right[second], strict=True)]
        for first, second in combinations(range(len(right)), 2)
    }
    p_values = holm({f"{i} {j}": sign_flip_p_value(gain, clusters) for (i, j), gain in gains.items()})
    return Versus(
        len(set(clusters)),
        [clustered_share(found, clusters) for found in right],
        [
            Difference(i, j, clustered_mean(gain, clusters), p_values[f"{i} {j}"])
            for (i, j), gain in gains.items()
        ],
        _personal(right, own, clusters),
    )


def _personal(right: list[list[float]], own: Collection[int], clusters: list[str]) -> Estimate | None:
    others = [place for place in range(1, len(right)) if place not in own]
    if not own or not others:
        return None
    gain = [
        fmean(outcomes[i] for i in own) - fmean(outcomes[i] for i in others)
        for outcomes in zip(*right, strict=True)
    ]
    return clustered_mean(gain, clusters)

"""Does the artifact still write well? Fresh answers to the same prompts, with it and without it.

A preference accuracy reads answers that somebody else wrote, so it cannot see a model that prefers rightly
and writes nonsense. Knows nothing of what the person prefers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personalization.models.relevance import relevance
from personalization.statistics import Estimate, clustered_mean
from personalization.steering.soundness import repetition

# What the whole interval must exceed before it is an objection: smaller changes nobody notices.
MAX_RELEVANCE_LOSS, MAX_MORE_REPETITION = 0.05, 0.05


@dataclass(frozen=True, slots=True)
class Writing:
    """Means over prompts with and without the artifact, and the paired changes with their intervals.

    Relevance is the cosine of prompt and answer (-1 to 1), repetition the share of repeated three-word
    sequences (0 to 1).
    """

    relevance_base: float
    relevance_change: Estimate
    repetition_base: float
    repetition_change: Estimate

    @property
    def objections(self) -> list[str]:
        """What is clearly worse than the base model's writing, as ends of sentences."""
        found = []
        if self.relevance_change.high < -MAX_RELEVANCE_LOSS:
            now = self.relevance_base + self.relevance_change.value
            found.append(
                f"its answers leave the question (relevance {now:.2f}, base {self.relevance_base:.2f})"
            )
        if self.repetition_change.low > MAX_MORE_REPETITION:
            now = self.repetition_base + self.repetition_change.value
            found.append(f"it repeats itself ({100 * now:.0f} % of its three-word sequences)")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return everything, JSON-ready."""
        return {
            "relevance_base": self.relevance_base,
            "relevance_change": self.relevance_change.as_dict(),
            "repetition_base": self.repetition_base,
            "repetition_change": self.repetition_change.as_dict(),
        }


def measure_writing(samples: Sequence[Mapping[str, str]], *, seed: int) -> Writing | None:
    """Compare {"prompt", "base", "artifact"} samples. None with fewer than two: no interval without them."""
    if len(samples) < 2:
        return None
    prompts, base, own = ([sample[name] for sample in samples] for name in ("prompt", "base", "artifact"))
    before, after = relevance(prompts, base), relevance(prompts, own)
    repeated = [(repetition(theirs), repetition(mine)) for theirs, mine in zip(base, own, strict=True)]
    at = range(len(samples))
    return Writing(
        sum(before) / len(before),
        clustered_mean([b - a for a, b in zip(before, after, strict=True)], at, seed=seed),
        sum(theirs for theirs, _ in repeated) / len(repeated),
        clustered_mean([mine - theirs for theirs, mine in repeated], at, seed=seed),
    )

"""Does an artifact serve all of a person's conversations, or some at the cost of others?

Knows nothing of models. A mean over comparisons hides a topic on which the artifact is always wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from personalization.statistics import Estimate, wilson

MIN_CONVERSATIONS = 4


@dataclass(frozen=True, slots=True)
class Evenness:
    """`below_half`: share of conversations in which it is right less than half; `worst`: the least."""

    below_half: Estimate
    worst: float

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, JSON-ready."""
        return {"below_half": self.below_half.as_dict(), "worst": self.worst}


def evenness(outcomes: Sequence[float], conversations: Sequence[Hashable]) -> Evenness | None:
    """Return how evenly outcomes (each 0, 0.5 or 1) are spread; None with fewer than four conversations.

    Raises ValueError when the lengths differ.
    """
    by_conversation: dict[Hashable, list[float]] = defaultdict(list)
    for outcome, conversation in zip(outcomes, conversations, strict=True):
        by_conversation[conversation].append(outcome)
    if len(by_conversation) < MIN_CONVERSATIONS:
        return None
    shares = [sum(found) / len(found) for found in by_conversation.values()]
    return Evenness(wilson(sum(share < 0.5 for share in shares), len(shares)), min(shares))

"""How long work reports where it is, and how it is told to stop. Knows nothing of who listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """One report: `step` of `steps` done, an estimate of the seconds left, and figures to plot."""

    step: int
    steps: int
    seconds_left: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)  # "loss", "held_out_accuracy", ...


# A listener may raise `personalization.errors.Cancelled`; the work then stops and cleans up.
Report = Callable[[Progress], None]


def ignore(_: Progress) -> None:
    """Listen to nothing."""

"""What strength buys and what it costs: gain against norm, KL to the base model, and where text breaks.

Wolf et al. 2024 (arXiv:2401.16332) show that, near the base model, an intervention's gain rises linearly
with its norm and its cost quadratically. Both are fitted, so that a slider can speak in nats of KL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from personalization.models.base import BaseModel
from personalization.models.cost import Cost, measure_cost
from personalization.models.interventions import Interventions, Row
from personalization.models.preference import score
from personalization.records import Pair
from personalization.steering.soundness import texts_with

STRENGTHS = (0.5, 1.0, 1.5)  # of what was learned; the slider ends at the last
MOST_PAIRS = 8


@dataclass(frozen=True, slots=True)
class Point:
    """One strength: the mean reward margin on held-out pairs (nats), KL to base (nats a token), soundness."""

    strength: float
    gain: float
    kl: float
    sound: bool


@dataclass(frozen=True, slots=True)
class TradeOff:
    """Measured points with gain = slope * strength and KL = curvature * strength**2.

    `slope_r2` and `curvature_r2` are the shares of the points' squares that the fits explain, at most 1.
    """

    points: tuple[Point, ...]
    slope: float
    slope_r2: float
    curvature: float
    curvature_r2: float

    @classmethod
    def of(cls, points: Sequence[Point]) -> TradeOff:
        """Fit both through the base model (no gain, no cost). Raises ValueError without points."""
        if not points:
            raise ValueError("A trade-off needs at least one measured strength.")
        at = [p.strength for p in points]
        slope, slope_r2 = through_zero(at, [p.gain for p in points])
        curvature, curvature_r2 = through_zero([s**2 for s in at], [p.kl for p in points])
        return cls(tuple(points), slope, slope_r2, curvature, curvature_r2)

    @property
    def breaks_at(self) -> float | None:
        """The weakest measured strength at which text is no longer sound; None where none broke it."""
        return min((p.strength for p in self.points if not p.sound), default=None)

    def as_dict(self) -> dict[str, Any]:
        """Return everything, JSON-ready."""
        return {**asdict(self), "points": [asdict(p) for p in self.points], "breaks_at": self.breaks_at}


def through_zero(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Return (b, share explained) of y = b x by least squares; the share is of the squares about zero."""
    squares = sum(x * x for x in xs)
    slope = sum(x * y for x, y in zip(xs, ys, strict=True)) / squares if squares else 0.0
    total = sum(y * y for y in ys)
    left = sum((y - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    return slope, 1.0 - left / total if total else 0.0


def scaled(row: Row, strength: float) -> Row:
    """Return the row with everything in it this many times as strong."""
    return Row(
        adapters=tuple((weights, strength * by) for weights, by in row.adapters),
        vectors=tuple((vectors, strength * by) for vectors, by in row.vectors),
    )


def measure_tradeoff(
    base: BaseModel,
    interventions: Interventions,
    pairs: Sequence[Pair],
    row: Row,
    neutral: Sequence[Tensor],
    cost: Cost,
    *,
    system_message: str,
    seed: int,
) -> TradeOff:
    """Measure `row` at every one of STRENGTHS on the first held-out pairs and on neutral text.

    `neutral` is what the base model makes of that text (`plain_logps`), `cost` what `row` itself does to it.
    """
    used = list(pairs)[:MOST_PAIRS]
    plain = score(base, interventions, used, row=Row(), system_message=system_message)
    arms = [scaled(row, strength) for strength in STRENGTHS]
    usual, *texts = texts_with(base, interventions, [Row(), *arms], seed=seed)
    points = []
    for strength, acting, text in zip(STRENGTHS, arms, texts, strict=True):
        own = score(base, interventions, used, row=acting, system_message=system_message)
        found = cost if strength == 1.0 else measure_cost(base, interventions, acting, neutral)
        points.append(
            Point(
                strength,
                own.reward_margins(plain).mean().item(),
                found.kl_to_base,
                text.is_sound(usual),
            )
        )
    return TradeOff.of(points)

"""Is a model as sure as it is right? Calibration of P(chosen preferred) on held-out comparisons.

Knows nothing of models: it takes margins, one for each comparison, positive where the model prefers the
answer that the person preferred. P(chosen preferred) = sigmoid(margin x scale), and the scale is fitted on
other conversations than the comparison's own, never on the same pair.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit

from personalization.statistics import Estimate, clustered_mean, wilson

Array = npt.NDArray[np.float64]

FOLDS = 10
MAX_BINS, PAIRS_IN_BIN = 10, 8
MIN_CONVERSATIONS, MIN_PAIRS = 3, 10
RESAMPLES = 1_000
# A prior on the scale of standardised margins, so that a model that is always right is not infinitely sure.
PRIOR_SD = 3.0
COIN_BRIER = 0.25  # of saying 50 % always


@dataclass(frozen=True, slots=True)
class Bin:
    """Comparisons of which the model was about equally sure: how sure, how often right, how many."""

    confidence: float
    accuracy: Estimate

    def as_dict(self) -> dict[str, float]:
        """Return the fields, JSON-ready."""
        right = self.accuracy.as_dict()
        return {"confidence": self.confidence, "accuracy": right.pop("value"), **right}


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well confidence matches being right.

    `brier`: mean squared distance of the probability from what happened; 0 is best, a coin has 0.25.
    `ece`: mean distance of confidence from accuracy over equally filled bins; with few comparisons it is
    above 0 for a perfectly calibrated model too: `ece_by_chance` is what such a model would get here.
    `scale`: median over folds, for one unit of margin.
    """

    brier: Estimate
    ece: Estimate
    ece_by_chance: float
    scale: float
    n_conversations: int
    bins: tuple[Bin, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything, JSON-ready."""
        return {
            "brier": self.brier.as_dict(),
            "ece": self.ece.as_dict(),
            "ece_by_chance": self.ece_by_chance,
            "scale": self.scale,
            "n_conversations": self.n_conversations,
            "bins": [one.as_dict() for one in self.bins],
        }


def calibration(
    margins: Sequence[float], conversations: Sequence[Hashable], *, scale: float | None = None, seed: int = 0
) -> Calibration | None:
    """Return the calibration of margins, or None where there are too few comparisons or conversations.

    `scale` is what a unit of margin is worth in log-odds, where whatever made the margins says so itself.
    Confidence is P(what the model prefers), so at least one half; a margin of 0 is one half and half right.
    Intervals resample conversations (2.5 % and 97.5 % of the resamples; the bins are made anew in each).
    Raises ValueError when the lengths differ or a margin is not finite.
    """
    values = np.asarray(margins, dtype=np.float64)
    if len(values) != len(conversations) or not np.isfinite(values).all():
        raise ValueError(
            f"{len(values)} margins and {len(conversations)} conversations; both must be equal and finite."
        )
    names = {name: i for i, name in enumerate(dict.fromkeys(conversations))}
    clusters = np.array([names[name] for name in conversations], dtype=np.int64)
    if len(names) < MIN_CONVERSATIONS or len(values) < MIN_PAIRS:
        return None
    rng = np.random.default_rng(seed)
    if scale is None:
        confidence, scale = _cross_validated(values, clusters, rng)
    else:
        confidence = expit(np.abs(values) * scale)
    right = (values > 0) + 0.5 * (values == 0)
    bins = _bin_count(len(values))
    chosen = np.where(values < 0, 1.0 - confidence, confidence)
    brier = clustered_mean(((1.0 - chosen) ** 2).tolist(), clusters.tolist(), seed=seed)
    drawn_right = rng.random((RESAMPLES // 5, len(values))) < confidence
    return Calibration(
        brier=brier,
        ece=_ece_with_interval(confidence, right, clusters, bins, rng),
        ece_by_chance=float(np.mean([_ece(confidence, drawn, bins) for drawn in drawn_right])),
        scale=scale,
        n_conversations=len(names),
        bins=tuple(
            Bin(float(confidence[at].mean()), wilson(float(right[at].sum()), len(at)))
            for at in _equal_mass(confidence, bins)
        ),
    )


def fitted_scale(margins: Array) -> float:
    """Return the scale that makes margins of which each should be positive likeliest; 0 for a coin's.

    Maximum a posteriori: the likelihood of sigmoid(margin x scale), and a half-normal prior on the scale
    times the margins' size. Never negative: a model that errs is unsure, not right the other way round.
    """
    size = float(np.sqrt(np.mean(margins**2)))
    if not size:
        return 0.0
    scaled = margins / size

    def loss(s: float) -> float:
        return float(np.logaddexp(0.0, -scaled * s).sum() + s * s / (2 * PRIOR_SD**2))

    found = minimize_scalar(loss, bounds=(0.0, 10 * PRIOR_SD), method="bounded")
    return float(found.x) / size


def _cross_validated(margins: Array, clusters: npt.NDArray[np.int64], rng: Any) -> tuple[Array, float]:
    """Return each comparison's confidence by the scale of the other folds, and the median scale."""
    names = rng.permutation(clusters.max() + 1)
    confidence, scales = np.empty(len(margins)), []
    for fold in np.array_split(names, min(FOLDS, len(names))):
        own = np.isin(clusters, fold)
        scale = fitted_scale(margins[~own])
        scales.append(scale)
        confidence[own] = expit(np.abs(margins[own]) * scale)
    return confidence, float(np.median(scales))


def _bin_count(n: int) -> int:
    return max(2, min(MAX_BINS, n // PAIRS_IN_BIN))


def _equal_mass(confidence: Array, bins: int) -> list[npt.NDArray[np.int64]]:
    return [at for at in np.array_split(np.argsort(confidence, kind="stable"), bins) if len(at)]


def _ece(confidence: Array, right: Array, bins: int) -> float:
    return math.fsum(
        abs(float(confidence[at].mean() - right[at].mean())) * len(at) for at in _equal_mass(confidence, bins)
    ) / len(confidence)


def _ece_with_interval(
    confidence: Array, right: Array, clusters: npt.NDArray[np.int64], bins: int, rng: Any
) -> Estimate:
    members = [np.flatnonzero(clusters == name) for name in range(clusters.max() + 1)]
    found = []
    for _ in range(RESAMPLES):
        at = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        found.append(_ece(confidence[at], right[at], bins))
    low, high = np.quantile(found, [0.025, 0.975])
    value = _ece(confidence, right, bins)
    # Resampling adds noise, and noise only ever adds to this error: the value itself stays inside.
    return Estimate(value, len(confidence), min(value, float(low)), max(value, float(high)))

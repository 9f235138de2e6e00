"""Cells summed up: means over traits with intervals, the two fits, and the strength that they choose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from personalization.statistics import clustered_mean, holm, sign_flip_p_value

ARMS = ("vector", "random")
CURVES = (
    "said", "yes", "yes_to_others", "text", "asked", "unasked", "relevance", "repetition", "kl",
    "perplexity_ratio",
)  # fmt: skip


def linear(strengths: Sequence[float], gains: Sequence[float]) -> tuple[float, float]:
    """Fit gain = a s through the origin; return a and the share of the variance around the mean explained."""
    s, y = np.array(strengths), np.array(gains)
    slope = float(s @ y / (s @ s))
    return slope, _explained(y, slope * s)


def quadratic(strengths: Sequence[float], costs: Sequence[float]) -> tuple[float, float]:
    """Fit cost = b s^2; return b and the share of the variance around the mean explained."""
    s, y = np.array(strengths) ** 2, np.array(costs)
    curvature = float(s @ y / (s @ s))
    return curvature, _explained(y, curvature * s)


def chosen(slope: float, curvature: float, highest: float) -> float:
    """Return the strength that maximises a s - b s^2, from 0 to the highest one tried.

    Both are nats for each token: of the trait's statements gained, of neutral text lost.
    """
    if slope <= 0:
        return 0.0
    return min(highest, slope / (2 * curvature)) if curvature > 0 else highest


def summary(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return curves over strengths and fits for both arms; every interval resamples whole traits."""
    traits = [cell["trait"] for cell in cells]
    strengths = cells[0]["strengths"]
    found: dict[str, Any] = {"strengths": list(strengths), "seeds": len({cell["seed"] for cell in cells})}
    fitted = {arm: [_fits(cell[arm], strengths) for cell in cells] for arm in ARMS}
    for arm in ARMS:
        curves = {
            key: [_mean([cell[arm][key][i] for cell in cells], traits) for i in range(len(strengths))]
            for key in CURVES
        }
        fits = {key: _mean([fit[key] for fit in fitted[arm]], traits) for key in fitted[arm][0]}
        means = {
            k: np.mean([cell[arm][k] for cell in cells], axis=0).tolist()
            for k in ("said", "yes", "text", "kl")
        }
        averaged = _fits(means, strengths)
        counts = {
            key: _mean([cell[arm]["against"][key] for cell in cells], traits)
            for key in ("alone", "beside_others")
        }
        found[arm] = {"curves": curves, "fits": fits, "fits_of_means": averaged, "against": counts}
    found["difference"] = _differences(fitted, traits)
    found["judge_accuracy"] = _mean([cell["judge_accuracy"] for cell in cells], traits)
    found["base"] = {k: _mean([cell["base"][k] for cell in cells], traits) for k in cells[0]["base"]}
    found["traits"] = {
        name: _trait([c for c in cells if c["trait"] == name]) for name in dict.fromkeys(traits)
    }
    found["examples"] = [{"trait": cell["trait"], **cell["example"]} for cell in cells if cell["seed"] == 0]
    return found


def _differences(
    fitted: Mapping[str, Sequence[Mapping[str, float]]], traits: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Return the vector's slopes minus the random one's, with p values adjusted for the three of them."""
    found, p_values = {}, {}
    for key in ("said_slope", "yes_slope", "text_slope"):
        gaps = [v[key] - r[key] for v, r in zip(fitted["vector"], fitted["random"], strict=True)]
        found[key], p_values[key] = _mean(gaps, traits), sign_flip_p_value(gaps, traits)
    adjusted = holm(p_values)
    return {key: {**row, "p": p_values[key], "p_holm": adjusted[key]} for key, row in found.items()}


def _trait(cells: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return one trait's means over seeds."""
    fits = {arm: [_fits(cell[arm], cell["strengths"]) for cell in cells] for arm in ARMS}
    found = {
        f"{arm}_{key}": float(np.mean([fit[key] for fit in fits[arm]]))
        for arm in ARMS
        for key in ("said_slope", "yes_slope", "text_slope")
    }
    found["chosen_strength"] = float(np.mean([fit["chosen_strength"] for fit in fits["vector"]]))
    found["against"] = float(np.mean([cell["vector"]["against"]["beside_others"] for cell in cells]))
    found["judge_accuracy"] = float(np.mean([cell["judge_accuracy"] for cell in cells]))
    return found


def _fits(arm: Mapping[str, Sequence[float]], strengths: Sequence[float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for key in ("said", "yes", "text"):
        found[f"{key}_slope"], found[f"{key}_linear_r2"] = linear(strengths, arm[key])
    found["curvature"], found["quadratic_r2"] = quadratic(strengths, arm["kl"])
    found["chosen_strength"] = chosen(found["said_slope"], found["curvature"], max(strengths))
    return found


def _explained(real: Any, fitted: Any) -> float:
    return float(1 - ((real - fitted) ** 2).sum() / max(((real - real.mean()) ** 2).sum(), 1e-12))


def _mean(values: Sequence[float], traits: Sequence[str]) -> dict[str, float | None]:
    """Return the mean with its interval; None for what cannot be known (JSON has no infinity)."""
    found = clustered_mean(values, traits).as_dict()
    return {key: value if math.isfinite(value) else None for key, value in found.items()}

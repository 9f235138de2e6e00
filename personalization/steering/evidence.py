"""What a personality is worth: its error on held-out items beside simple guesses, and one sentence.

Knows nothing of models. Proven means: clearly nearer to the person's answers than the base model, not
further than what their own answers to like items say, and no harm to ordinary text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from personalization.models.cost import Cost
from personalization.statistics import Estimate, clustered_mean

# Neutral text may become at most this many times as surprising.
MAX_PERPLEXITY_RATIO = 1.5


def proof(
    errors: Mapping[str, Sequence[float]], held_out: Sequence[int], cost: Cost, *, seed: int
) -> dict[str, Any]:
    """Return the evidence, JSON-ready: "error" of each arm, "difference" (artifact minus base), verdict.

    `errors` holds for base, always_3, facet_mean and artifact the absolute error of each held-out item.
    """
    mae = {arm: clustered_mean(values, held_out, seed=seed) for arm, values in errors.items()}
    gaps = [a - b for a, b in zip(errors["artifact"], errors["base"], strict=True)]
    difference = clustered_mean(gaps, held_out, seed=seed)
    objections = _objections(mae, difference, cost)
    return {
        "proven": not objections,
        "verdict": _verdict(mae, objections),
        "error": {arm: estimate.as_dict() for arm, estimate in mae.items()},
        "difference": difference.as_dict(),
        "cost": {
            "perplexity_base": cost.perplexity_base,
            "perplexity": cost.perplexity,
            "kl_to_base": cost.kl_to_base,
        },
    }


def _objections(mae: Mapping[str, Estimate], difference: Estimate, cost: Cost) -> list[str]:
    found = []
    if not difference.high < 0:
        found.append(
            f"on {difference.n} statements that it never saw it misses your answers by "
            f"{mae['artifact'].value:.2f} points on average, the base model by {mae['base'].value:.2f}, and "
            f"that difference ({difference.low:+.2f} to {difference.high:+.2f}) may be chance"
            if difference.low <= 0
            else f"the base model alone comes nearer to your answers ({mae['base'].value:.2f} points against "
            f"{mae['artifact'].value:.2f})"
        )
    if mae["artifact"].value > mae["facet_mean"].value:
        found.append(
            f"your own answers to like statements say more ({mae['facet_mean'].value:.2f} points off) "
            f"than it does ({mae['artifact'].value:.2f})"
        )
    if not cost.ratio <= MAX_PERPLEXITY_RATIO:
        much = f"{cost.ratio:.1f} times as" if math.isfinite(cost.ratio) else "far more"
        found.append(f"ordinary text became {much} surprising to it")
    return found


def _verdict(mae: Mapping[str, Estimate], objections: Sequence[str]) -> str:
    if objections:
        return f"Not proven: {'; '.join(objections)}."
    artifact = mae["artifact"]
    return (
        f"Proven: on {artifact.n} statements that it never saw it misses your answers by "
        f"{artifact.value:.2f} points on average; the base model by {mae['base'].value:.2f}, "
        f"your own answers to like statements by {mae['facet_mean'].value:.2f}."
    )

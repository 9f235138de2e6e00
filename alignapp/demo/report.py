"""What the demonstration prints: one JSON object for machines, one table for people.

Knows nothing of how the numbers came about. An arm whose interval includes one half is said to be
undecided; an arm below it is said to have hurt.
"""

from __future__ import annotations

from typing import Any

from alignapp.demo.study import ARMS, Result
from personalization.statistics import Estimate

NAMES = {
    "base": "base model",
    "system_message": "+ system message",
    "steer": "+ vector from ratings",
    "adapter": "+ adapter",
    "both": "+ vector and adapter",
}


def as_json(result: Result, seconds: float) -> dict[str, Any]:
    """Return everything measured, JSON-ready."""
    return {
        "seed": result.seed,
        "hidden_taste": result.person.description,
        "seconds": round(seconds, 1),
        "steps": {step: round(s, 1) for step, s in result.steps.items()},
        "held_out": held_out(result),
        "proven": result.proven,
        "fresh": {arm: _fresh(estimate) for arm, estimate in result.fresh.items()},
        "mean_words": {arm: round(words, 1) for arm, words in result.words.items()},
        "account": result.email,
    }


def held_out(result: Result) -> dict[str, dict[str, float]]:
    """Return the held-out preference accuracy of each arm, as the report cards give it."""
    adapter, vector = result.cards["adapter"]["accuracy"], result.cards["steer"]["accuracy"]
    arms = {
        "base": adapter["base"],
        "system_message": adapter.get("system_message"),
        "steer": vector["artifact"],
        "adapter": adapter["artifact"],
    }
    return {
        arm: {"accuracy": a["value"], "n": a["n"], "low": a["low"], "high": a["high"]}
        for arm, a in arms.items()
        if a
    }


def _fresh(estimate: Estimate) -> dict[str, float]:
    return {"win_rate": estimate.value, "n": estimate.n, "low": estimate.low, "high": estimate.high}


def as_text(result: Result, seconds: float) -> str:
    """Return the table and what it says in words."""
    accuracies = held_out(result)
    lines = [
        f"Hidden taste (seed {result.seed}): {result.person.description}",
        "",
        f"{'':24}{'held-out accuracy':>28}{'fresh answers, win rate':>30}{'words':>8}",
    ]
    for arm, name in NAMES.items():
        accuracy, fresh = accuracies.get(arm), result.fresh.get(f"{arm}_vs_base")
        left = (
            _interval(accuracy["accuracy"], accuracy["low"], accuracy["high"], accuracy["n"])
            if accuracy
            else "-"
        )
        right = _interval(fresh.value, fresh.low, fresh.high, fresh.n) if fresh else "-"
        lines.append(f"{name:24}{left:>28}{right:>30}{result.words.get(arm, 0.0):>8.0f}")
    lines += ["", *(verdict(arm, result.fresh[f"{arm}_vs_base"]) for arm in ARMS), ""]
    lines += [f"{step:32}{s:8.1f} s" for step, s in result.steps.items()]
    lines.append(f"{'all of it':32}{seconds:8.1f} s")
    return "\n".join(lines)


def _interval(value: float, low: float, high: float, n: float) -> str:
    return f"{value:.2f} [{low:.2f}, {high:.2f}] n={n:g}"


def verdict(arm: str, estimate: Estimate) -> str:
    """Return one sentence on what an arm did to fresh answers."""
    figures = f"{estimate.value:.2f}, 95 % interval {estimate.low:.2f} to {estimate.high:.2f}"
    if estimate.low > 0.5:
        return f"{NAMES[arm][2:]}: helped ({figures})."
    if estimate.high < 0.5:
        return f"{NAMES[arm][2:]}: HURT ({figures})."
    return f"{NAMES[arm][2:]}: no effect that this run could show ({figures})."

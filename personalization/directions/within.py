"""A person's values as strongly as the safety gate lets them act.

Knows nothing of people, nor of how a gate is asked: whoever calls brings what asks it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from personalization.directions.compose import compose
from personalization.safety.gate import Gate

TRIES = 3
BELOW = 0.9  # of the strength that would just pass, were the change in proportion to it


def compose_within(
    folder: Path, strengths: Mapping[str, float], out: Path, ask: Callable[[Path], Gate]
) -> tuple[dict[str, Any], Gate]:
    """Write one artifact to `out`, all values weakened alike until the gate passes.

    Return what acts, and the gate. Three strengths are tried; the last one lies in `out`, and the gate says
    whether it passed. `share` is what is left of what was asked for. Raises NotEnoughData as `compose` does.
    """
    share = 1.0
    for attempt in range(1, TRIES + 1):
        acts = compose(folder, {key: share * strength for key, strength in strengths.items()}, out)
        gate = ask(out)
        if not gate.objection or attempt == TRIES or not math.isfinite(gate.overshoot):
            break
        # Of a sum that was scaled down weaker parts would be scaled down less: to the same length again.
        share *= acts["scaled_by"] * BELOW / gate.overshoot
    return {**acts, "share": round(share, 3)}, gate

"""A person's values as strongly as the safety gate lets them act.

Knows nothing of people, nor of how a gate is asked: whoever calls brings what asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from personalization.directions.compose import compose
from personalization.safety.gate import Gate
from personalization.safety.weaken import weakened


def compose_within(
    folder: Path, strengths: Mapping[str, float], out: Path, ask: Callable[[Path], Gate]
) -> tuple[dict[str, Any], Gate]:
    """Write one artifact to `out`, all values weakened alike until the gate passes.

    Return what acts, and the gate. The strength that was tried last lies in `out`, and the gate says whether
    it passed. `share` is what is left of what was asked for. Raises NotEnoughData as `compose` does.
    """
    made: list[dict[str, Any]] = []

    def asked(share: float) -> Gate:
        # Of a sum that was scaled down weaker parts would be scaled down less: to the same length again.
        left = share * made[0]["scaled_by"] if made else 1.0
        acts = compose(folder, {key: left * strength for key, strength in strengths.items()}, out)
        made.append({**acts, "share": round(left, 3)})
        return ask(out)

    _, gate = weakened(asked)
    return made[-1], gate

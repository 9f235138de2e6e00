"""How strongly an artifact may act: as strongly as the safety gate lets it.

An artifact that the gate would refuse whole may pass weakened, and its person keeps most of what it does:
the changes that the gate measures grow with the strength. Knows nothing of artifacts, nor of how a gate is
asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from personalization.safety.gate import Gate

TRIES = 3
BELOW = 0.9  # of the strength that would just pass, were the change in proportion to it
LEAST = 0.1  # of full strength: nobody would notice less


def weakened(ask: Callable[[float], Gate]) -> tuple[float, Gate]:
    """Return the first share of full strength that passes, LEAST to 1 in thousandths, and its gate.

    `ask` returns the gate of a share; it is asked three times at most, the last time about what is returned.
    Where none passes, or nothing can be computed, that gate objects.
    """
    share, gate = 1.0, ask(1.0)
    for _ in range(TRIES - 1):
        if not gate.objection or not math.isfinite(gate.overshoot) or share == LEAST:
            break
        # In thousandths, so that what is written down is what was asked about.
        share = max(LEAST, math.floor(1000 * share * BELOW / gate.overshoot) / 1000)
        gate = ask(share)
    return share, gate

"""What acts on an answer, as one name: digests and strengths, so that no name tells whose it is.

`3f…@0.5+a1…@1.0` are two artifacts that act together. Contents never change under a digest, so neither
do they under a name: whatever is cached by it, on either side, stays right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from personalization.errors import ArtifactError

Acting = Sequence[tuple[str, float]]  # (digest, strength)

_DIGEST = re.compile(r"[0-9a-f]{64}")
MOST = 8  # nobody has that many


def name_of(acting: Acting) -> str:
    """Return the one name of these artifacts at these strengths; empty for none."""
    return "+".join(f"{digest}@{float(strength)!r}" for digest, strength in acting)


def parse(name: str) -> list[tuple[str, float]]:
    """Return what a name stands for. Raises ArtifactError for what `name_of` never writes."""
    found = [part.partition("@") for part in name.split("+", MOST)]
    try:
        acting = [(digest, float(strength)) for digest, _, strength in found]
    except ValueError as error:
        raise ArtifactError(f"{name[:80]!r} names no artifacts: digest@strength+… was expected.") from error
    if len(acting) > MOST or not all(is_digest(d) and math.isfinite(s) for d, s in acting):
        raise ArtifactError(f"{name[:80]!r} names no artifacts: digest@strength+… was expected.")
    return acting


def is_digest(text: str) -> bool:
    """Say whether this is an artifact's digest."""
    return _DIGEST.fullmatch(text) is not None

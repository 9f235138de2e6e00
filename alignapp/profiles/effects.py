"""What the value directions of the served model were measured to do, for pages. Reads manifests only.

The web does not load the model, so it cannot name its revision: it shows the newest build.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from personalization.values import effects


def folder() -> Path | None:
    """Return the folder of the newest build, else what came with the embedded model; None without either."""
    shipped = effects.newest(effects.SHIPPED) if settings.ALIGN_MODEL == "embedded" else None
    return effects.newest(Path(settings.VALUES_DIR)) or shipped


def built() -> dict[str, dict[str, Any]]:
    """Return the manifests by value."""
    place = folder()
    return effects.read(place) if place else {}


def acting(strengths: Mapping[str, float]) -> dict[str, float]:
    """Return those of a person's values that have a direction and are not switched off."""
    made = built()
    return {k: v for k, v in strengths.items() if v > 0 and k in made and made[k]["kind"] != "none"}


def left_off() -> set[str]:
    """Return the values whose direction was not measured to work: off until a person asks for it."""
    made = {key: each for key, each in built().items() if each["kind"] != "none" and "report" in each}
    return {key for key, each in made.items() if not effects.works(each)}


def combined() -> dict[str, Any] | None:
    """Return what values were measured to do together; None where that was not measured."""
    return _shared(effects.COMBINED)


def messages() -> dict[str, dict[str, Any]]:
    """Return by value what asking in words, alone and beside the direction, was measured to do."""
    return _shared(effects.MESSAGES) or {}


def _shared(name: str) -> dict[str, Any] | None:
    place = folder()
    file = place / name if place else None
    return json.loads(file.read_text()) if file and file.exists() else None

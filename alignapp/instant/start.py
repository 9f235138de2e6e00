"""Where a person's vector starts before they have rated much: stated values, and what people like in common.

Knows nothing of pages. The arithmetic, and what its noise promises, is `personalization.steering.shared`;
`common` makes a new common taste.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from alignapp.instant.models import CommonTaste
from alignapp.profiles.services import current_profile
from personalization.steering.shared import Start, read_directions, start_of, stated_of
from personalization.values import effects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alignapp.accounts.models import Person
    from personalization.steering.shared import Floats


def start_for(person: Person, revision: str, layers: Sequence[int]) -> Start | None:
    """Return where the vector of a person starts on this base model; None where nothing is known.

    At most two queries.
    """
    return start_of(_common_for(revision, layers), _stated_by(person, revision, layers))


def common_taste(revision: str = "") -> CommonTaste | None:
    """Return the latest common taste, of a base model or of whichever it was made for. One query."""
    made = CommonTaste.objects.all()
    return (made.filter(model_revision=revision) if revision else made).first()


def _common_for(revision: str, layers: Sequence[int]) -> Floats | None:
    import numpy as np

    made = common_taste(revision)
    if made is None or list(made.layers) != list(layers):
        return None
    return np.frombuffer(bytes(made.mean), dtype="<f4").astype(np.float64)


def _stated_by(person: Person, revision: str, layers: Sequence[int]) -> Floats | None:
    version = current_profile(person)
    # Also values whose direction does too little on its own: it still says where to look for a taste.
    wanted = {
        item["key"]: effects.WORTH[item["importance"]]
        for item in (version.values.get("chosen", []) if version else [])
        if item.get("strength") != 0.0  # switched off by the person
    }
    if not wanted:
        return None
    folder = effects.place(settings.VALUES_DIR, revision)
    return stated_of(wanted, read_directions(folder, layers, keys=wanted))

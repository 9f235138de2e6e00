"""Where a person's vector starts before they have rated much: stated values, and what people like in common.

Knows nothing of pages. The arithmetic, and what its noise promises, is `personalization.steering.shared`;
`common` makes a new common taste.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.conf import settings

from alignapp.instant.models import CommonTaste
from alignapp.profiles.services import current_profile
from personalization.steering.shared import Start, read_directions, start_of, stated_of
from personalization.values import effects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alignapp.accounts.models import Person
    from alignapp.profiles.models import ProfileVersion
    from personalization.steering.shared import Floats


@dataclass(frozen=True, slots=True)
class Begun:
    """A start, and the ids of the rows that it was made of, by what they are."""

    start: Start | None = None
    sources: Mapping[str, str] = field(default_factory=dict)


def start_for(person: Person, revision: str, layers: Sequence[int]) -> Begun:
    """Return where the vector of a person starts on this base model. Two queries."""
    import numpy as np

    sources, common = {}, None
    made = common_taste(revision)
    if made is not None and list(made.layers) == list(layers):
        common = np.frombuffer(bytes(made.mean), dtype="<f4").astype(np.float64)
        sources["common_taste"] = str(made.pk)
    profile = current_profile(person)
    stated = _stated_in(profile, revision, layers) if profile else None
    if profile is not None and stated is not None:
        sources["profile_version"] = str(profile.pk)
    return Begun(start_of(common, stated), sources)


def common_taste(revision: str) -> CommonTaste | None:
    """Return the common taste that acts on a base model; None where there is none. One query."""
    return CommonTaste.objects.filter(model_revision=revision).exclude(mean=b"").first()


def _stated_in(profile: ProfileVersion, revision: str, layers: Sequence[int]) -> Floats | None:
    # Also values whose direction does too little on its own: it still says where to look for a taste.
    wanted = {
        item["key"]: weight
        for item in profile.values.get("chosen", [])
        if (weight := item.get("strength", effects.WORTH[item["importance"]])) > 0
    }
    if not wanted:
        return None
    folder = effects.place(settings.VALUES_DIR, revision)
    return stated_of(wanted, read_directions(folder, layers, keys=wanted))

"""What shapes one reply: the person's system message and active artifacts, as they are now.

Knows nothing of sampling or generation. The composition is stored with the reply, so that what a
person switches afterwards does not change an answer that is already on its way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alignapp.adapters.models import PARTS, Alignment, AlignmentVersion
from alignapp.instant.services import METHOD, part_for
from alignapp.profiles.services import current_profile

if TYPE_CHECKING:
    from alignapp.accounts.models import Person
    from alignapp.profiles.models import ProfileVersion

# A version with its artifacts and their report cards, which say whether an artifact may act: one query. And
# the pointer with its current version.
CARDS = tuple(f"{part}__report_card" for part in PARTS)
WITH_CARDS = tuple(f"current__{path}" for path in CARDS)


@dataclass(frozen=True, slots=True)
class Composition:
    """A system message and interventions, with the versions that they come from."""

    system_message: str = ""
    interventions: tuple[Mapping[str, Any], ...] = ()  # as in Reply.interventions
    alignment_version: AlignmentVersion | None = None
    profile_version: ProfileVersion | None = None

    @property
    def follows_ratings(self) -> bool:
        """Say whether the vector that follows every rating is in it."""
        return any(part["kind"] == METHOD for part in self.interventions)


def compose(person: Person, *, maker: str) -> Composition:
    """Return what this maker ("base", "system_message", "alignment") adds to the base model."""
    if maker == "base":
        return Composition()
    profile = current_profile(person)
    message = profile.system_message if profile else ""
    if maker == "system_message":
        return Composition(message, profile_version=profile)
    pointer = Alignment.objects.filter(person=person).select_related(*WITH_CARDS)
    alignment = pointer.first()
    version = alignment.current if alignment else None
    instant = part_for(person, version.parts if version else ())
    return Composition(
        message if version is None or version.use_system_message else "",
        (*(interventions_of(version) if version else ()), *((instant,) if instant else ())),
        version,
        profile,
    )


def interventions_of(version: AlignmentVersion) -> list[dict[str, Any]]:
    """Return the version's parts that act, as a reply holds them."""
    found = []
    for part in version.parts:
        artifact = getattr(version, part)
        strength = getattr(version, f"{part}_strength")
        found.append(
            {"artifact": str(artifact.id), "digest": artifact.digest, "kind": part, "strength": strength}
        )
    return found

"""What shapes one reply: the person's system message and active artifacts, as they are now.

Knows nothing of sampling or generation. The composition is stored with the reply, so that what a
person switches afterwards does not change an answer that is already on its way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alignapp.adapters.models import Alignment, AlignmentVersion
from alignapp.profiles.services import current_profile

if TYPE_CHECKING:
    from alignapp.accounts.models import Person
    from alignapp.profiles.models import ProfileVersion

PARTS = ("adapter", "vector", "personality")


@dataclass(frozen=True, slots=True)
class Composition:
    """A system message and interventions, with the versions that they come from."""

    system_message: str = ""
    interventions: tuple[Mapping[str, Any], ...] = ()  # as in Reply.interventions
    alignment_version: AlignmentVersion | None = None
    profile_version: ProfileVersion | None = None


def compose(person: Person, *, maker: str) -> Composition:
    """Return what this maker ("base", "system_message", "alignment") adds to the base model."""
    if maker == "base":
        return Composition()
    profile = current_profile(person)
    message = profile.system_message if profile else ""
    if maker == "system_message":
        return Composition(message, profile_version=profile)
    pointer = Alignment.objects.filter(person=person).select_related(
        "current__adapter", "current__vector", "current__personality"
    )
    alignment = pointer.first()
    if alignment is None:
        return Composition(message, profile_version=profile)
    version = alignment.current
    return Composition(
        message if version.use_system_message else "",
        tuple(interventions_of(version)),
        version,
        profile,
    )


def interventions_of(version: AlignmentVersion) -> list[dict[str, Any]]:
    """Return the parts that act: switched on, with a strength above 0, not quarantined."""
    found = []
    for part in PARTS:
        artifact, strength = getattr(version, part), getattr(version, f"{part}_strength")
        if artifact is None or strength == 0 or artifact.state == artifact.State.QUARANTINED:
            continue
        found.append(
            {"artifact": str(artifact.id), "digest": artifact.digest, "kind": part, "strength": strength}
        )
    return found

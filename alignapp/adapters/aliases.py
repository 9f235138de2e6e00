"""What a version of an artifact is to its person now: `active`, `previous` or `candidate`.

Aliases are read from what was switched, never stored beside it, so that they cannot disagree with it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from alignapp.adapters.models import Alignment, AlignmentVersion, Artifact

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

MAY_COME_BACK = (Artifact.State.PROVEN, Artifact.State.NOT_PROVEN)
MAY_COME = (Artifact.State.CANDIDATE, Artifact.State.PROVEN)


@dataclass(frozen=True, slots=True)
class Aliases:
    """The versions of one kind that have a name; each may be missing.

    `previous` is what shaped replies before the active one, is in service and intact; `candidate` is the
    newest one that came after the active one, is in service and was not found unproven.
    """

    active: Artifact | None
    previous: Artifact | None
    candidate: Artifact | None

    def of(self, artifact: Artifact) -> list[str]:
        """Return the names that a version goes by."""
        return [name for name in ("active", "previous", "candidate") if getattr(self, name) == artifact]


def aliases_of(person: Person, kind: str, *, passing_over: Collection[object] = ()) -> Aliases:
    """Return the aliases of a person's artifacts of one kind. Four queries.

    What is in `passing_over` (ids) is not `previous`, though it was switched on last.
    """
    pointer = Alignment.objects.filter(person=person).select_related(f"current__{kind}__report_card").first()
    active: Artifact | None = getattr(pointer.current, kind) if pointer else None
    earlier = AlignmentVersion.objects.for_person(person)
    earlier = earlier.filter(**{f"{kind}__state__in": MAY_COME_BACK, f"{kind}__damage": ""})
    if active is not None:
        earlier = earlier.exclude(**{kind: active})
    if passing_over:
        earlier = earlier.exclude(**{f"{kind}__in": list(passing_over)})
    last = earlier.select_related(f"{kind}__report_card").order_by("-number").first()
    # What a project had learned is tried only by whoever asks for it by its number.
    own = Artifact.objects.for_person(person).filter(job__from_project=False)
    newer = own.filter(kind=kind, state__in=MAY_COME)
    if active is not None:
        newer = newer.filter(number__gt=active.number)
    newest = newer.select_related("report_card").order_by("-number").first()
    return Aliases(active, getattr(last, kind) if last else None, newest)


def active_ids(people: Collection[UUID | None]) -> set[object]:
    """Return the ids of the artifacts that are switched on for any of these people. One query."""
    kinds = Artifact.Kind.values
    found = Alignment.objects.filter(person__in=people).values_list(*[f"current__{kind}" for kind in kinds])
    return {each for row in found for each in row if each is not None}


def previous_ids(people: Collection[UUID | None], active: set[object]) -> set[object]:
    """Return the ids of what was switched on before the active ones, of each kind. One query."""
    kinds = Artifact.Kind.values
    versions = AlignmentVersion.objects.filter(person__in=people).order_by("-number")
    found: dict[tuple[object, str], object] = {}
    for person, *parts in versions.values_list("person", *kinds).iterator(chunk_size=2000):
        for kind, each in zip(kinds, parts, strict=True):
            if each is not None and each not in active:
                found.setdefault((person, kind), each)
    return set(found.values())

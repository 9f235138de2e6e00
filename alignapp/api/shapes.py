"""The models that a person can name: what shapes an answer, by the name that a request gives.

`base` is nobody's; `system_message` and `alignment` are what the person's chat uses at the moment;
`alignment@3` is one version of it, so that a program does not change its ways when the person does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from alignapp.adapters.composition import CARDS, Composition, compose, interventions_of
from alignapp.adapters.models import AlignmentVersion
from alignapp.adapters.models.artifact import MOST_STRENGTH
from alignapp.api.errors import ApiError
from alignapp.chat.models import Reply
from alignapp.numbers import whole

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

CURRENT = (Reply.Maker.BASE, Reply.Maker.SYSTEM_MESSAGE, Reply.Maker.ALIGNMENT)


def names_of(person: Person) -> Iterator[tuple[str, float]]:
    """Yield each model's name and when it came to be, in seconds since 1970."""
    for maker in CURRENT:
        yield str(maker), person.date_joined.timestamp()
    for version in AlignmentVersion.objects.for_person(person).order_by("number"):
        yield f"{Reply.Maker.ALIGNMENT}@{version.number}", version.created_at.timestamp()


def shape_of(person: Person, name: str, strength: float) -> tuple[Reply.Maker, Composition]:
    """Return what a model's name stands for, scaled by `strength`. Raises ApiError for an unknown one."""
    maker, at, number = name.partition("@")
    if maker not in CURRENT or (at and maker != Reply.Maker.ALIGNMENT):
        raise _unknown(name)
    shape = _version(person, name, number) if at else compose(person, maker=maker)
    acting = tuple(
        {**part, "strength": min(part["strength"] * strength, MOST_STRENGTH)}
        for part in shape.interventions
        if part["strength"] * strength > 0
    )
    return Reply.Maker(maker), replace(shape, interventions=acting)


def _version(person: Person, name: str, number: str) -> Composition:
    versions = AlignmentVersion.objects.for_person(person).select_related(*CARDS)
    wanted = whole(number)
    version = versions.filter(number=wanted).first() if wanted is not None else None
    if version is None:
        raise _unknown(name)
    message = compose(person, maker=Reply.Maker.SYSTEM_MESSAGE)
    return Composition(
        message.system_message if version.use_system_message else "",
        tuple(interventions_of(version)),
        version,
        message.profile_version,
    )


def _unknown(name: str) -> ApiError:
    known = ", ".join(map(str, CURRENT))
    words = (
        f"There is no model {name!r}. Yours are {known} and alignment@<version>; GET /v1/models lists them."
    )
    return ApiError(404, words, code="model_not_found", param="model")

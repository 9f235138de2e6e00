"""Attention checks: items that say what to answer. Whoever read them to the end answers so.

Not gold: nobody has to know anything, the instruction stands on the page, so a miss can be told at once. One
item is one check, whatever is asked about it: all that it says has to be followed. Who misses as many as the
project allows gets no more items until a manager lets them go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from alignapp.annotation import protocols
from alignapp.annotation.errors import Refused
from alignapp.annotation.models import Annotation, Item, Membership, Project, Submission

if TYPE_CHECKING:
    from alignapp.accounts.models import Person


@dataclass(frozen=True, slots=True)
class Checks:
    """How many attention checks somebody answered, and how many of them not as they say."""

    answered: int = 0
    missed: int = 0


def is_followed(item: Item, acts: Iterable[Annotation]) -> bool:
    """Say whether a submission does all that an attention check says; what was left out is not done."""
    said = list(acts)
    return all(
        protocols.get(name).is_right(rule, [act for act in said if act.protocol == name])
        for name, rule in item.expected.items()
    )


def checks_of(project: Project, person: Person | None = None) -> dict[object, Checks]:
    """Return everybody's checks by the person's id, or those of one person. Two queries."""
    current = Submission.objects.current().filter(
        assignment__item__project=project,
        assignment__item__purpose=Item.Purpose.ATTENTION,
        assignment__state="submitted",
    )
    if person is not None:
        current = current.filter(assignment__annotator=person)
    found: dict[object, Checks] = {}
    for one in current.select_related("assignment__item").prefetch_related("annotations__candidate"):
        before = found.get(one.assignment.annotator_id, Checks())
        missed = not is_followed(one.assignment.item, one.annotations.all())
        found[one.assignment.annotator_id] = Checks(before.answered + 1, before.missed + missed)
    return found


def of_member(member: Membership) -> Checks:
    """Return one member's checks."""
    return checks_of(member.project, member.person).get(member.person_id, Checks())


def is_stopped(member: Membership, checks: Checks) -> bool:
    """Say whether somebody missed so many checks that no more items come."""
    limit = member.project.attention_limit
    return limit is not None and checks.missed - member.attention_pardoned >= limit


def see_that_may_go_on(member: Membership) -> None:
    """Raise Refused when somebody missed too many checks."""
    if member.project.attention_limit is None:
        return
    checks = of_member(member)
    if is_stopped(member, checks):
        words = _("You missed %(n)d attention checks, so no more items come. A manager can let you go on.")
        raise Refused(words % {"n": checks.missed})


def pardon(member: Membership) -> None:
    """Let somebody go on: what they missed so far counts no more. The quality page keeps it."""
    member.attention_pardoned = of_member(member).missed
    member.save(update_fields=["attention_pardoned"])

"""The queue of one annotator: what comes next, under a lease that expires, and what is put aside.

No item is given to more people than it is wanted by (`items.take_place`), and a place whose lease ran out
is free for others again.
"""

from __future__ import annotations

import random
import secrets
import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from alignapp.annotation.errors import Refused
from alignapp.annotation.models import Assignment, Candidate, Item, Membership, Project, Submission
from alignapp.annotation.services import attention, clock, items
from alignapp.annotation.services.strategies import STRATEGIES, Choice, random_reason

LEASE = timedelta(minutes=30)  # from the last sign of life
DRAFT_LEASE = timedelta(days=3)  # what somebody began is kept longer
JUST_BEGUN = timedelta(minutes=1)  # a lease is not renewed for less
APART = 5  # a hidden repeat comes after so many other items at least


def claim_next(
    member: Membership, *, besides: uuid.UUID | None = None, rng: random.Random | None = None
) -> Assignment | None:
    """Return what this member judges next, with a running lease; None when nothing is left for them.

    What they hold already comes first, `besides` excepted. One person's claims wait for each other.
    Raises Refused when the project is closed, or the member did not agree yet or missed too many checks.
    """
    project = member.project
    if not project.is_open:
        raise Refused(_("The project is closed. What you submitted is kept."))
    if not member.has_consented:
        raise Refused(_("Read what you take part in, and agree, before you begin."))
    attention.see_that_may_go_on(member)
    release_lapsed(project)
    with transaction.atomic():
        Membership.objects.select_for_update().get(pk=member.pk)
        mine = Assignment.objects.for_person(member.person).filter(item__project=project)
        held = mine.held().filter(state=Assignment.State.PENDING)
        held = held.exclude(pk=besides) if besides else held
        if (found := held.select_related("item__project").first()) is not None:
            renew(found)
            return found
        return _claim(member, mine, rng or random.Random(secrets.randbits(64)))  # noqa: S311 - no secret


def _claim(member: Membership, mine: QuerySet[Assignment], rng: random.Random) -> Assignment | None:
    project = member.project
    free = _readable(member).filter(purpose=Item.Purpose.ORDINARY, taken__lt=F("wanted"))
    again, gold = rng.random() < project.repeat_share, rng.random() < project.gold_share
    if (again or gold) and free.exists():  # hidden items stand among others, never alone at the end
        if again and (repeat := _repeat(mine, rng)) is not None:
            return repeat
        if gold and (known := _gold(member, rng)) is not None:
            return known
    strategy = STRATEGIES[project.strategy]
    while (choice := strategy(project, free, rng)) is not None:
        # Taken by somebody else meanwhile: what is free is asked anew, so this ends.
        if items.take_place(choice.item):
            return _assign(member, choice, project.strategy, rng)
    return None


def _readable(member: Membership) -> QuerySet[Item]:
    """Return the items that the member has not had yet, in a language in which they judge or in none."""
    fresh = member.project.items.filter(is_ready=True).exclude(assignments__annotator=member.person)
    known = [code for code in member.languages if code in member.project.languages]
    if not known:
        return fresh
    theirs = Q(language="")
    for code in known:  # "de" is also "de-AT"
        theirs |= Q(language__iexact=code) | Q(language__istartswith=f"{code}-")
    return fresh.filter(theirs)


def _assign(member: Membership, choice: Choice, strategy: str, rng: random.Random) -> Assignment:
    shown = shown_candidates(member.project, choice, rng)
    return Assignment.objects.create(
        item=choice.item,
        annotator=member.person,
        order=[str(candidate.id) for candidate in shown],
        strategy=strategy,
        reason=choice.reason,
        lease_until=timezone.now() + LEASE,
    )


def shown_candidates(project: Project, choice: Choice, rng: random.Random) -> list[Candidate]:
    """Return the candidates in the order in which they will be shown, which is stored."""
    every = list(choice.item.candidates.all())
    is_hidden = choice.item.purpose != Item.Purpose.ORDINARY  # what is right of it must be among them
    if project.candidates_shown and len(every) > project.candidates_shown and not is_hidden:
        chosen = list(choice.pair or rng.sample(every, project.candidates_shown))
        every = [candidate for candidate in every if candidate in chosen]
    if project.shuffled:
        rng.shuffle(every)
    return every


def _gold(member: Membership, rng: random.Random) -> Assignment | None:
    hidden = _readable(member).filter(purpose__in=[Item.Purpose.GOLD, Item.Purpose.ATTENTION])
    left = list(hidden[:100])
    return _assign(member, Choice(rng.choice(left), random_reason()), "gold", rng) if left else None


def _repeat(mine: QuerySet[Assignment], rng: random.Random) -> Assignment | None:
    done = mine.filter(state=Assignment.State.SUBMITTED).order_by("-submitted_at")
    before = done[APART:].values("pk") if done.count() > APART else Assignment.objects.none().values("pk")
    eligible = mine.filter(
        pk__in=list(before.values_list("pk", flat=True)),
        repeat=None,
        repeat_of=None,
        item__purpose=Item.Purpose.ORDINARY,
    ).select_related("item__project", "annotator")
    left = list(eligible[:100])
    if not left:
        return None
    first = rng.choice(left)
    order = list(first.order)
    if first.item.project.shuffled:
        rng.shuffle(order)
    return Assignment.objects.create(
        item=first.item,
        annotator=first.annotator,
        order=order,
        repeat_of=first,
        strategy="repeat",
        reason=random_reason(),
        lease_until=timezone.now() + LEASE,
    )


def release_lapsed(project: Project) -> int:
    """Free the places whose lease ran out; return how many. What was drafted in them is kept."""
    lapsed = Assignment.objects.lapsed().filter(item__project=project).select_related("item")
    note = _("The time to finish it ran out.")
    return sum(
        items.give_back(one, note, Assignment.OPEN, lease_until__lte=timezone.now()) for one in lapsed[:500]
    )


def lease_of(assignment: Assignment) -> datetime:
    """Return until when an open assignment is held, from now on; never less long than before."""
    lasts = DRAFT_LEASE if assignment.state == Assignment.State.DRAFT else LEASE
    return max(assignment.lease_until, timezone.now() + lasts)


def renew(assignment: Assignment) -> None:
    """Let the lease run anew, of an assignment that is open; one that has just begun stays as it is."""
    until = lease_of(assignment)
    if until - assignment.lease_until < JUST_BEGUN:
        return
    assignment.lease_until = until
    rows = Assignment.objects.filter(pk=assignment.pk, state__in=Assignment.OPEN)
    rows.update(lease_until=until)


def reopen(assignment: Assignment) -> None:
    """Take a discarded item up again. Raises Refused when others took its place."""
    with transaction.atomic():
        locked = Assignment.objects.select_for_update().get(pk=assignment.pk)
        if locked.state != Assignment.State.DISCARDED:
            return
        if not assignment.item.project.is_open:
            raise Refused(_("The project is closed. What you submitted is kept."))
        if clock.is_over(locked):
            raise Refused(_("The time for this item is over; take the next one."))
        if items.holds_place(assignment) and not items.take_place(assignment.item):
            raise Refused(
                _("Others have judged this item meanwhile; it needs nobody more. Your draft is kept.")
            )
        is_done = Submission.objects.filter(assignment=assignment).exists()
        state = Assignment.State.DRAFT if assignment.draft else Assignment.State.PENDING
        assignment.state = Assignment.State.SUBMITTED if is_done else state
        assignment.note = ""
        assignment.lease_until = timezone.now() + (DRAFT_LEASE if assignment.draft else LEASE)
        assignment.save(update_fields=["state", "note", "lease_until"])


def skip(assignment: Assignment, note: str) -> None:
    """Put an item aside for somebody else. Raises Refused when it is submitted already."""
    if not items.give_back(assignment, note, Assignment.OPEN):
        raise Refused(_("This item is not open any more; take the next one."))


def flag(assignment: Assignment, note: str) -> None:
    """Say that something is wrong with an item; a manager looks at it. Raises Refused without words."""
    if not note.strip():
        raise Refused(_("Say in a few words what is wrong with the item."))
    rows = Assignment.objects.filter(pk=assignment.pk, state__in=Assignment.OPEN)
    if not rows.update(state=Assignment.State.FLAGGED, note=note):
        raise Refused(_("This item is not open any more; take the next one."))
    assignment.state, assignment.note = Assignment.State.FLAGGED, note


def offer_again(assignment: Assignment) -> None:
    """Free the place of a flagged item, once a manager saw to it. Raises Refused when it is not flagged."""
    if not items.give_back(assignment, assignment.note, [Assignment.State.FLAGGED]):
        raise Refused(_("This one is not flagged (any more)."))

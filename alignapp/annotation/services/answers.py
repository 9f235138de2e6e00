"""What an annotator says: drafts as they go, and submissions, each a new version. Nothing is overwritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from alignapp.annotation import protocols
from alignapp.annotation.errors import Elsewhere, Incomplete, Refused, TimeIsUp
from alignapp.annotation.models import Annotation, Assignment, Submission
from alignapp.annotation.protocols.base import DAY_MS
from alignapp.annotation.services import clock, queue

Values = Mapping[str, Sequence[str]]
# What a form sends besides answers.
NOT_ANSWERS = frozenset({"csrfmiddlewaretoken", "active_ms", "draft_number", "note"})
DRAFT_CHARACTERS = 500_000


def given(assignment: Assignment, asked: Mapping[str, Any], values: Values) -> protocols.Given:
    """Return a form's values as one protocol of the project reads them."""
    return protocols.Given(values, assignment.candidates(), asked)


def asked_of(assignment: Assignment) -> list[tuple[protocols.Protocol, dict[str, Any]]]:
    """Return the project's protocols that fit so many candidates, with their settings."""
    count = len(assignment.order)
    every = [(protocols.get(asked["name"]), asked) for asked in assignment.item.project.protocols]
    return [(protocol, asked) for protocol, asked in every if count >= protocol.needs]


def read_acts(assignment: Assignment, values: Values) -> list[Annotation]:
    """Return all acts of a form, not stored yet. Raises Incomplete with what is wrong, by protocol."""
    acts: list[Annotation] = []
    errors: dict[str, str] = {}
    for protocol, asked in asked_of(assignment):
        form = given(assignment, asked, values)
        try:
            found = protocol.read(form)
        except protocols.Unfit as error:
            errors[protocol.name] = str(error)
            continue
        if asked.get("required") and (missing := protocol.missing(form, found)):
            errors[protocol.name] = missing
        acts += found
    if not acts and not errors:
        errors[""] = _("There is no answer yet. Answer something, or skip the item.")
    if errors:
        raise Incomplete(errors)
    return acts


def submit(assignment: Assignment, values: Values, *, active_ms: int | None = None) -> Submission:
    """Store a form as the assignment's next version. Raises Incomplete, or Refused; then nothing is lost.

    When the item's time is over, what is complete is stored as it stands; anything else raises TimeIsUp.
    """
    if clock.is_too_late(assignment, active_ms):
        raise _time_is_up(assignment, values, active_ms)
    try:
        acts = read_acts(assignment, values)
    except Incomplete:
        if clock.is_over(assignment, active_ms):
            raise _time_is_up(assignment, values, active_ms) from None
        raise
    return record_acts(assignment, acts, draft=_answers(values), active_ms=active_ms)


def _time_is_up(assignment: Assignment, values: Values, active_ms: int | None) -> TimeIsUp:
    if not assignment.is_open:
        return TimeIsUp(_("The time for this item is over; what you submitted stays as it was."))
    clock.put_aside(assignment, _answers(values), active_ms)
    return TimeIsUp(_("The time for this item is over; somebody else gets it. What you typed is kept."))


def record_acts(
    assignment: Assignment,
    acts: Sequence[Annotation],
    *,
    draft: dict[str, list[str]] | None = None,
    active_ms: int | None = None,
) -> Submission:
    """Store acts as the assignment's next version, in one transaction."""
    project = assignment.item.project
    if not project.is_open:
        raise Refused(_("The project was closed meanwhile. Your draft is kept."))
    with transaction.atomic():
        row = Assignment.objects.select_for_update().get(pk=assignment.pk)
        if row.state == Assignment.State.FLAGGED:
            raise Refused(_("You flagged this item; a manager looks at it first."))
        if row.state == Assignment.State.DISCARDED:
            queue.reopen(assignment)
        if active_ms is not None:
            assignment.active_ms = max(row.active_ms, min(active_ms, DAY_MS))
        now, number = timezone.now(), 1
        if row.submitted_at is not None:  # there are versions before this one
            row.submissions.current().update(superseded_at=now)
            number = row.submissions.count() + 1
        submission = Submission.objects.create(
            assignment=assignment,
            number=number,
            duration_ms=assignment.active_ms or None,
            guidelines=project.guidelines,
            blind=project.blind,
            shown=[{"candidate": str(one.id), "maker": one.maker} for one in assignment.candidates()],
        )
        for act in acts:
            act.submission = submission
        Annotation.objects.bulk_create(acts)
        assignment.state = Assignment.State.SUBMITTED
        assignment.submitted_at = row.submitted_at or now
        assignment.draft = draft if draft is not None else row.draft
        assignment.draft_number = row.draft_number + 1
        fields = ["state", "submitted_at", "draft", "draft_number", "active_ms"]
        assignment.save(update_fields=fields)
    return submission


def save_draft(assignment: Assignment, values: Values, *, number: int, active_ms: int | None = None) -> int:
    """Keep what a form holds; return the draft's new number. Raises Elsewhere when `number` is an old one.

    A submitted item stays submitted: its draft becomes a version when it is submitted again.
    """
    answers = _answers(values)
    if sum(len(value) for said in answers.values() for value in said) > DRAFT_CHARACTERS:
        raise Refused(_("This is more than a draft may hold. Shorten the longest text."))
    with transaction.atomic():
        row = Assignment.objects.select_for_update().get(pk=assignment.pk)
        if number != row.draft_number:
            raise Elsewhere(_("This item was changed in another window. Load it again to see that version."))
        if row.state == Assignment.State.PENDING and answers:
            row.state = Assignment.State.DRAFT
        row.draft, row.draft_number, row.drafted_at = answers, number + 1, timezone.now()
        if active_ms is not None:
            row.active_ms = max(row.active_ms, min(active_ms, DAY_MS))
        fields = ["state", "draft", "draft_number", "drafted_at", "active_ms"]
        if row.is_open:
            row.lease_until = queue.lease_of(row)
            fields.append("lease_until")
        row.save(update_fields=fields)
    return row.draft_number


def _answers(values: Values) -> dict[str, list[str]]:
    """Return the fields that hold answers, those without a word left out."""
    return {
        name: [str(value) for value in said]
        for name, said in values.items()
        if name not in NOT_ANSWERS and any(str(value).strip() for value in said)
    }

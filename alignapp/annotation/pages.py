"""What the console's templates show, computed from rows. Knows nothing of requests."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from alignapp.annotation import protocols
from alignapp.annotation.models import Annotation, Assignment, Candidate, Item, Membership, Project
from alignapp.annotation.services import answers, attention, clock
from alignapp.chat import markdown

# From the one end of a slider to the other, as the page's script calls it.
RATED = (
    gettext_lazy("terrible"), gettext_lazy("bad"), gettext_lazy("poor"), gettext_lazy("middling"),
    gettext_lazy("fair"), gettext_lazy("good"), gettext_lazy("very good"), gettext_lazy("perfect"),
)  # fmt: skip
MARKED = "marked-spans"  # shows the text as it is: offsets count its characters


@dataclass(frozen=True, slots=True)
class Question:
    """One protocol at one place of the page: its template, and what that needs."""

    protocol: protocols.Protocol
    template: str
    shown: dict[str, Any]
    error: str
    required: bool


@dataclass(frozen=True, slots=True)
class Column:
    """One candidate as shown, with what is asked about it."""

    number: int
    candidate: Candidate
    html: SafeString | None  # None: the text as it is
    questions: list[Question]


def work_context(
    assignment: Assignment, member: Membership, values: answers.Values, errors: dict[str, str]
) -> dict[str, Any]:
    """Return everything that the annotating page shows, with these values in its fields."""
    asked = answers.asked_of(assignment)
    project = member.project
    given = [(protocol, one, answers.given(assignment, one, values)) for protocol, one in asked]
    plain = any(protocol.name == MARKED for protocol, _settings in asked)
    columns = [
        Column(
            number,
            candidate,
            None if plain else markdown.render(candidate.text, under=2),
            [
                Question(
                    protocol,
                    protocol.candidate_template,
                    protocol.shown(form, candidate),
                    "",
                    bool(one.get("required")),
                )
                for protocol, one, form in given
                if protocol.candidate_template
            ],
        )
        for number, candidate in enumerate(assignment.candidates(), start=1)
    ]
    below = [
        Question(
            protocol,
            protocol.item_template,
            protocol.shown(form, None) if protocol.item_template else {},
            errors.get(protocol.name, ""),
            bool(one.get("required")),
        )
        for protocol, one, form in given
    ]
    *before, last = assignment.item.messages or [{"content": ""}]
    guidelines = project.guidelines
    return {
        "assignment": assignment,
        "project": project,
        "limit_ms": clock.limit_ms(assignment),
        "columns": columns,
        "below": below,
        "general_error": errors.get("", ""),
        "before": before,
        "prompt": last["content"],
        "guidelines": guidelines,
        "guidelines_html": markdown.render(guidelines.text, under=1) if guidelines else "",
        "names_shown": not project.blind,
        "missed": attention.of_member(member).missed,
        "replaced": replaced(assignment),
        "done": my_counts(member).get(Assignment.State.SUBMITTED, 0),
        **neighbours(assignment),
    }


def replaced(assignment: Assignment) -> list[tuple[Annotation, str, str]]:
    """Return what the person said of an item before they changed their mind. No query before a submission."""
    if assignment.submitted_at is None:
        return []
    before = Annotation.objects.filter(
        submission__assignment=assignment, submission__superseded_at__isnull=False
    )
    return in_words(before.select_related("submission"), assignment.order, exact=False)


def neighbours(assignment: Assignment) -> dict[str, uuid.UUID | None]:
    """Return the ids of the person's assignments before and after this one, as they came."""
    mine = Assignment.objects.filter(
        annotator=assignment.annotator_id, item__project=assignment.item.project_id
    )
    ids = mine.values_list("pk", flat=True)
    before = ids.filter(created_at__lt=assignment.created_at).order_by("-created_at")
    after = ids.filter(created_at__gt=assignment.created_at).order_by("created_at")
    return {"previous": before.first(), "following": after.first()}


def in_words(
    acts: QuerySet[Annotation], candidates: Sequence[str], *, exact: bool
) -> list[tuple[Annotation, str, str]]:
    """Return acts by person and version, each with how it was asked and what it says, in words.

    `candidates` are the ids of the answers in the order in which they are numbered. Not `exact`: for whoever
    rated on a slider, which shows no number.
    """
    numbers = {one: str(number) for number, one in enumerate(candidates, start=1)}
    ordered = acts.order_by("submission__assignment__created_at", "submission__number", "created_at", "id")
    return [
        (act, protocols.label(act.protocol, act.attribute), _words(act, _value(act, exact=exact), numbers))
        for act in ordered
    ]


def _value(act: Annotation, *, exact: bool) -> str:
    if act.thumb is not None:
        return _("good") if act.thumb > 0 else _("bad")
    if act.score is None:
        return ""
    known = protocols.found().get(act.protocol)
    if exact or (known and known.scale == "ordinal"):
        return str(act.score)
    return str(RATED[min((act.score - 1) * len(RATED) // 100, len(RATED) - 1)])


def _words(act: Annotation, value: str, numbers: Mapping[str, str]) -> str:
    if act.ranking is not None:
        return " > ".join(" = ".join(numbers.get(one, "?") for one in place) for place in act.ranking)
    if act.kind == Annotation.Kind.PICK and act.candidate_id is None:
        return _("all bad")
    about = _("the item")
    if act.candidate_id:
        about = _("answer %s") % numbers.get(str(act.candidate_id), "?")
    marks = ngettext("%d mark", "%d marks", len(act.spans)) % len(act.spans) if act.spans else ""
    parts = [about, value, marks, act.text[:300]]
    return ": ".join(part for part in parts if part)


def my_counts(member: Membership) -> dict[str, int]:
    """Return how many assignments the member has in each state."""
    mine = Assignment.objects.for_person(member.person).filter(item__project=member.project)
    return dict(mine.order_by().values_list("state").annotate(Count("pk")))


def what_leaving_takes(member: Membership) -> dict[str, int]:
    """Return what a member's leaving changes, counted: items held, answers, studies, adapters, merges given.

    Five queries.
    """
    counts = my_counts(member)
    person, project = member.person, member.project
    return {
        "held": sum(counts.get(state, 0) for state in Assignment.OPEN),
        "submitted": Assignment.objects.for_person(person)
        .filter(item__project=project, submitted_at__isnull=False)
        .count(),
        "studies": person.arms.filter(study__project=project, study__withdrawn_at=None).count(),
        "adapters": person.artifacts.filter(job__arm__study__project=project).count(),
        "given": person.artifacts.filter(job__given__study__project=project).count(),
    }


def progress(project: Project) -> dict[str, Any]:
    """Return how far a project is: places, states, and each member's part. Three queries."""
    ordinary = project.items.filter(purpose=Item.Purpose.ORDINARY)
    places = ordinary.aggregate(items=Count("pk"), wanted=Sum("wanted"), taken=Sum("taken"))
    states = dict(
        Assignment.objects.filter(item__project=project).order_by().values_list("state").annotate(Count("pk"))
    )
    counted = Assignment.objects.filter(
        item__project=project,
        item__purpose=Item.Purpose.ORDINARY,
        repeat_of=None,
        state=Assignment.State.SUBMITTED,
    )
    return {
        "items": places["items"],
        "hidden": project.items.exclude(purpose=Item.Purpose.ORDINARY).count(),
        "wanted": places["wanted"] or 0,
        "submitted": counted.count(),
        "states": [(state.label, states.get(state, 0)) for state in Assignment.State],
        "members": members(project),
    }


def members(project: Project) -> list[Membership]:
    """Return the members, each with `states` (assignments in each state), `checks` and `is_stopped`."""
    per_person: dict[Any, dict[str, int]] = {}
    rows = Assignment.objects.filter(item__project=project).order_by()
    for person, state, count in rows.values_list("annotator", "state").annotate(Count("pk")):
        per_person.setdefault(person, {})[state] = count
    checks = attention.checks_of(project)
    found = list(project.memberships.select_related("person__imported_as", "project"))
    for member in found:
        counts = per_person.get(member.person_id, {})
        member.states = [counts.get(state, 0) for state in Assignment.State]  # type: ignore[attr-defined]
        said = checks.get(member.person_id, attention.Checks())
        member.checks = said  # type: ignore[attr-defined]
        member.is_stopped = attention.is_stopped(member, said)  # type: ignore[attr-defined]
    return found


def projects_of(person: Any) -> list[Membership]:
    """Return the person's memberships, newest first, each with its project and `submitted` by this person."""
    mine = Q(
        project__items__assignments__annotator=person,
        project__items__assignments__state=Assignment.State.SUBMITTED,
    )
    rows = Membership.objects.filter(person=person).select_related("project")
    return list(
        rows.annotate(submitted=Count("project__items__assignments", filter=mine)).order_by("-created_at")
    )

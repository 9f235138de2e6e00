"""What the database says afterwards: what annotators were told is kept, once, and no item too often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count, F, Q

from alignapp.annotation.models import Annotation, Assignment, Item, Submission

Rows = Sequence[Mapping[str, Any]]


def verify(rows: Rows) -> dict[str, Any]:
    """Return how many submissions are lost or doubled, and how many items are judged by too many or too few.

    `rows` are the annotators' measurements; those of `told` hold what the server said that it has.
    """
    told = [row for row in rows if row["what"] == "told"]
    kept = _kept([row["submission"] for row in told])
    lost = [row for row in told if kept.get(row["submission"]) != _said(row)]
    ordinary = Item.objects.filter(purpose=Item.Purpose.ORDINARY)
    counts = ordinary.annotate(
        holding=_holding(Assignment.TAKING), done=_holding([Assignment.State.SUBMITTED])
    )
    return {
        "told": len(told),
        "lost": len(lost),
        "doubled": _doubled({row["submission"] for row in told}),
        "items": ordinary.count(),
        "wanted": sum(ordinary.values_list("wanted", flat=True)),
        "over_assigned": counts.filter(holding__gt=F("wanted")).count(),
        "miscounted": counts.exclude(holding=F("taken")).count(),
        "under_assigned": counts.filter(done__lt=F("wanted")).count(),
        "judged": Assignment.objects.filter(state=Assignment.State.SUBMITTED).count(),
        "versions": Submission.objects.count(),
        "repeats": Assignment.objects.exclude(repeat_of=None).count(),
        "gold": Assignment.objects.filter(strategy="gold").count(),
        "skipped": Assignment.objects.filter(state=Assignment.State.DISCARDED).count(),
    }


def _holding(states: Sequence[str]) -> Count:
    """Count an item's assignments in these states, hidden repeats left out."""
    return Count(
        "assignments", filter=Q(assignments__state__in=states, assignments__repeat_of=None), distinct=True
    )


def _said(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"assignment": row["assignment"], "pick": row["pick"], "scores": row["scores"]}


def _kept(submissions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what the rows hold of these submissions, in the words of `_said`."""
    found: dict[str, dict[str, Any]] = {}
    acts = Annotation.objects.filter(submission_id__in=submissions).select_related("submission")
    for act in acts.iterator(chunk_size=2_000):
        empty: dict[str, Any] = {"assignment": str(act.submission.assignment_id), "pick": None, "scores": {}}
        one = found.setdefault(str(act.submission_id), empty)
        if act.kind == Annotation.Kind.PICK:
            one["pick"] = str(act.candidate_id)
        else:
            one["scores"][str(act.candidate_id)] = act.score
    return found


def _doubled(told: set[str]) -> int:
    """Count what is there more often than it was said.

    Versions that nobody was told of, acts that count twice, and items that one person has twice without
    being asked again.
    """
    unknown = sum(str(pk) not in told for pk in Submission.objects.values_list("pk", flat=True))
    current = Assignment.objects.annotate(n=Count("submissions", filter=Q(submissions__superseded_at=None)))
    twice_current = current.exclude(n=1).filter(state=Assignment.State.SUBMITTED).count()
    pairs = Assignment.objects.filter(repeat_of=None).order_by().values("item", "annotator")
    twice_held = pairs.annotate(n=Count("pk")).filter(n__gt=1).count()
    return unknown + twice_current + twice_held

"""Turn a project's answers into the plain judgements that the figures are computed from.

Knows nothing of figures or pages. A protocol's scale and an act's kind say what a row means, so that a new
protocol of a known kind is judged without a change here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from alignapp.annotation import protocols
from alignapp.annotation.models import Annotation, Assignment, Item, Project, Submission
from alignapp.annotation.services.attention import is_followed

if TYPE_CHECKING:
    from alignapp.accounts.models import Person
    from personalization.agreement.judgements import Form, Judgement

BEST_WORST = "best-worst"  # its ranking's middle place holds answers that were not compared
MOST_ITEMS = 5_000  # on which figures rest: their answers are held in memory
WORD = re.compile(r"\w+")


def stored(protocol: str, attribute: str) -> str:
    """Return what a protocol is called in tables that leave: its own name."""
    return f"{protocol} ({attribute})" if attribute else protocol


def sample_of(project: Project) -> QuerySet[Item] | None:
    """Return the items on which figures rest: of very many a random sample that stays the same; None: all.

    An item's id is by chance, so those with the lowest ids are as good as drawn. One query.
    """
    judged = project.items.filter(taken__gt=0).order_by("pk").values_list("pk", flat=True)
    first_left_out = judged[MOST_ITEMS : MOST_ITEMS + 1].first()
    return project.items.filter(pk__lt=first_left_out) if first_left_out else None


def judgements_of(
    project: Project,
    person: Person | None = None,
    *,
    call: Callable[[str, str], str] = stored,
    within: QuerySet[Item] | None = None,
) -> list[Judgement]:
    """Return the current answers to a project's items, of one person or of all, and what was put aside.

    `call` names a protocol and its attribute, if it has one. `within`: only of these items; None: of all.
    Three queries, whatever the number of answers. Free text and marked places are no judgements. A gold item
    counts with those protocols of which its answer is known, an attention check once for all of them.
    """
    acts: dict[tuple[object, str], list[Annotation]] = defaultdict(list)
    submissions: dict[object, Submission] = {}
    rows = Annotation.objects.current().filter(submission__assignment__item__project=project)
    rows = rows.filter(submission__assignment__state=Assignment.State.SUBMITTED)
    aside = Assignment.objects.filter(item__project=project, state=Assignment.State.DISCARDED)
    if person is not None:
        rows, aside = rows.filter(submission__assignment__annotator=person), aside.filter(annotator=person)
    if within is not None:
        rows, aside = rows.filter(submission__assignment__item__in=within), aside.filter(item__in=within)
    rows = rows.select_related(
        "submission__assignment__annotator", "submission__assignment__item", "candidate"
    )
    for act in rows.prefetch_related("submission__assignment__item__candidates").order_by("created_at", "id"):
        acts[act.submission_id, call(act.protocol, act.attribute)].append(act)
        submissions.setdefault(act.submission_id, act.submission)
    readers = {key: _Reader(one) for key, one in submissions.items()}
    found = [
        readers[key].judgement(name, of) for (key, name), of in acts.items() if not readers[key].is_check
    ]
    of_submission: dict[object, list[Annotation]] = defaultdict(list)
    for (key, _name), of in acts.items():
        of_submission[key] += of
    checks = [one.check(of_submission[key]) for key, one in readers.items() if one.is_check]
    return [one for one in found if one is not None] + [
        *checks,
        *(_aside(one) for one in aside.select_related("annotator")),
    ]


class _Reader:
    """One submission, with what all of its judgements share."""

    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        assignment = submission.assignment
        self._assignment, self._item = assignment, assignment.item
        shown = [str(one["candidate"]) for one in submission.shown]
        candidates = {str(one.id): one for one in self._item.candidates.all()}
        self._shown = tuple(one for one in shown if one in candidates)
        # Of imported answers it may not be known how they stood on the screen.
        self._asked = self._shown or tuple(candidates)
        self._lengths = {one: len(WORD.findall(candidates[one].text)) for one in self._asked}
        self._makers = {one: candidates[one].maker for one in self._asked}

    @property
    def is_check(self) -> bool:
        """Whether the item is an attention check."""
        return self._item.purpose == Item.Purpose.ATTENTION

    def check(self, acts: Sequence[Annotation]) -> Judgement:
        """Return whether these acts, all of the submission, do what the attention check says."""
        from personalization.agreement.judgements import Judgement

        return Judgement(
            person=str(self._assignment.annotator),
            item=str(self._item.id),
            form="pick",
            values={},
            protocol="attention check",
            seconds=self._seconds(),
            reading_words=self._reading_words(),
            right=is_followed(self._item, acts),
            is_check=True,
        )

    def judgement(self, name: str, acts: Sequence[Annotation]) -> Judgement | None:
        """Return what these acts of one protocol say; None where they order nothing."""
        from personalization.agreement.judgements import Judgement

        form = _form(acts[0])
        if form is None:
            return None
        right = self._is_right(acts)
        if right is None and self._item.purpose != Item.Purpose.ORDINARY:
            return None
        values, uncompared = _values(form, acts, self._asked)
        return Judgement(
            person=str(self._assignment.annotator),
            item=str(self._item.id),
            form=form,
            values=values,
            protocol=name,
            shown=self._shown,
            uncompared=uncompared,
            is_repeat=self._assignment.repeat_of_id is not None,
            seconds=self._seconds(),
            reading_words=self._reading_words(),
            lengths=self._lengths,
            makers=self._makers,
            right=right,
        )

    def _seconds(self) -> float | None:
        duration = self._submission.duration_ms
        return duration / 1000 if duration is not None else None

    def _reading_words(self) -> int:
        asked = sum(len(WORD.findall(str(one.get("content", "")))) for one in self._item.messages)
        return asked + sum(self._lengths.values())

    def _is_right(self, acts: Sequence[Annotation]) -> bool | None:
        if self._item.purpose == Item.Purpose.ORDINARY:
            return None
        name = acts[0].protocol
        protocol = protocols.found().get(name)
        return protocol.is_right(self._item.expected.get(name) or {}, acts) if protocol else None


def _form(act: Annotation) -> Form | None:
    protocol = protocols.found().get(act.protocol)  # imported answers may name one that we do not have
    scale = protocol.scale if protocol else ""
    if act.kind == Annotation.Kind.RATING:
        return "attributes" if act.attribute else "steps" if scale == "ordinal" else "rating"
    if act.kind == Annotation.Kind.THUMB:
        return "thumb"
    if act.kind == Annotation.Kind.PICK:
        return "pick"
    if act.kind == Annotation.Kind.RANKING:  # a pick that says "alike" is a ranking of one place
        return "pick" if scale == "nominal" else "ranking"
    return None


def _values(
    form: Form, acts: Sequence[Annotation], asked: Sequence[str]
) -> tuple[dict[str, float], frozenset[str]]:
    """Return each candidate's value, and which of them were not compared with each other."""
    act = acts[-1]
    if form == "pick":
        first = act.ranking[0] if act.ranking else [str(act.candidate_id)]
        picked = {str(one) for one in first}
        values = {one: float(one in picked) for one in asked}
        left = frozenset(one for one in asked if one not in picked)
        return values, left if len(left) < len(asked) else frozenset()  # all are bad alike
    if form == "ranking":
        places = [[str(one) for one in place] for place in act.ranking or []]
        values = {one: float(len(places) - i) for i, place in enumerate(places) for one in place}
        is_open = act.protocol == BEST_WORST and len(places) == 3
        return values, frozenset(places[1]) if is_open else frozenset()
    column = "thumb" if form == "thumb" else "score"
    return {str(one.candidate_id): float(getattr(one, column) or 0) for one in acts}, frozenset()


def _aside(assignment: Assignment) -> Judgement:
    from personalization.agreement.judgements import Judgement

    is_repeat = assignment.repeat_of_id is not None
    person, item = str(assignment.annotator), str(assignment.item_id)
    return Judgement(person, item, "rating", {}, skipped=True, is_repeat=is_repeat)

"""A project's answers as `personalization.records`: of one person, and of the mean of people.

Knows nothing of jobs and pages. Only what may be trained on is read: items and people that say so, submitted
answers to ordinary items. Hidden repeats, gold items and attention checks measure people and teach nothing.
"""

from __future__ import annotations

import statistics
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Prefetch, Q, QuerySet

from alignapp.accounts.models import Consent
from alignapp.annotation.models import (
    Annotation,
    Assignment,
    Candidate,
    Item,
    Membership,
    Project,
    Submission,
)
from alignapp.annotation.models.people import consent_digest
from alignapp.exchange.rows import SEVEN
from alignapp.feedback.models import Act
from alignapp.feedback.opinions import MINIMUM_DIFFERENCE, Acts
from alignapp.feedback.records import Collected
from personalization.exchange.fields import rescale
from personalization.records import Message, Pair, RatedGroup, Records

CHUNK = 500
PROTOCOL = "mean-of-people"
# Everybody's ratings on one scale: a mean of 50 and a standard deviation of 25, so that as raw ones they
# span about 1 to 100, and a difference of 4 deviations is the whole scale.
CENTRE, SPREAD = 50.0, 25.0


@dataclass(frozen=True, slots=True)
class Word:
    """One act of a submission (`opinions.Said`), with its rating from 1 to 100 however it was asked."""

    id: uuid.UUID
    kind: str
    protocol: str
    answer_id: uuid.UUID | None
    score: float | None
    thumb: int | None
    ranking: Any
    text: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What one person said of one item; `conversation` names what is held out together."""

    person: uuid.UUID
    item: uuid.UUID
    conversation: str
    prompt: tuple[Message, ...]
    candidates: tuple[Candidate, ...]
    words: tuple[Word, ...]  # as they stand on the page: of two that contradict each other the last counts


def consenting(project: Project) -> QuerySet[Membership]:
    """Return the members whose answers may be trained on.

    They said so in the project, under its text as it is now, and did not withdraw their consent to training
    on the account page. Whom a file named has no account to say so with; the file did, row by row.
    """
    in_force = Consent.objects.filter(withdrawn_at=None).values("person")
    said_so = Q(
        consented_at__isnull=False, consent_sha256=consent_digest(project), person__in=in_force,
        person__imported_as__isnull=True,
    )  # fmt: skip
    imported = Q(person__imported_as__project=project)
    return project.memberships.filter(said_so | imported, may_train=True).select_related("person")


def answered(project: Project, people: Iterable[uuid.UUID]) -> Iterator[Answered]:
    """Yield what these people said and may be trained on, in a fixed order, with one chunk in memory."""
    places = {one["name"]: place for place, one in enumerate(project.protocols)}
    current = Submission.objects.current().prefetch_related(
        Prefetch("annotations", Annotation.objects.filter(attribute="").order_by("created_at", "id"))
    )
    rows = Assignment.objects.filter(
        item__project=project,
        item__may_train=True,
        item__purpose=Item.Purpose.ORDINARY,
        state=Assignment.State.SUBMITTED,
        repeat_of=None,
        annotator__in=list(people),
    ).order_by("created_at", "id")
    rows = rows.select_related("item").prefetch_related(
        "item__candidates", Prefetch("submissions", current, to_attr="in_force")
    )
    for assignment in rows.iterator(chunk_size=CHUNK):
        item = assignment.item
        if not item.messages or not assignment.in_force:
            continue
        shown = sorted(assignment.candidates(), key=lambda one: one.position)
        acts = assignment.in_force[0].annotations.all()
        words = sorted(map(_word, acts), key=lambda word: places.get(word.protocol, len(places)))
        yield Answered(
            assignment.annotator_id,
            item.pk,
            item.extra.get("conversation") or str(item.pk),
            tuple(Message(one["role"], one["content"]) for one in item.messages),
            tuple(one for one in shown if one.text.strip()),
            tuple(words),
        )


def records_of(found: Iterable[Answered]) -> dict[uuid.UUID, Records]:
    """Return each person's records, made as from their own chat."""
    collected: dict[uuid.UUID, Collected] = defaultdict(Collected)
    for one in found:
        collected[one.person].add(one.conversation, one.prompt, one.candidates, Acts(one.words))
    return {person: of_person.records() for person, of_person in collected.items()}


def mean_of_people(found: Sequence[Answered], scale_on: Collection[str] | None = None) -> Records:
    """Return the group's records: pairs by the mean of what people say, and the mean of their ratings.

    Each person counts the same. Their ratings are first brought to one scale (standardised within the person
    over the conversations `scale_on`, which are those learned from; None: over all), so that nobody who uses
    the slider widely outvotes others. Of two answers each person who compared them says a number from -1 to
    1: the difference of their standardised ratings, or 1 where they picked or ranked, as in one person's own
    records. The sign of the mean is the group's preference and its size the margin: of picks alone that is
    the majority, of ratings alone the mean rating. What is nearer to 0 than a hand on a slider is steady is a
    tie. Rewritten answers and words are a person's own, and teach nobody but them.
    """
    items: dict[uuid.UUID, _Together] = {}
    for one in _on_one_scale(found, scale_on):
        items.setdefault(one.item, _Together(one)).add(one)
    pairs: list[Pair] = []
    ties = 0
    for together in items.values():
        made, alike = together.pairs()
        pairs += made
        ties += alike
    groups = [group for together in items.values() if (group := together.group())]
    return Records(pairs=tuple(pairs), groups=tuple(groups), ties=ties)


@dataclass(slots=True)
class _Together:
    """What everybody said of one item."""

    first: Answered
    said: dict[tuple[uuid.UUID, uuid.UUID], list[tuple[float, tuple[str, ...]]]] = field(default_factory=dict)
    ratings: dict[uuid.UUID, list[tuple[float, str]]] = field(default_factory=dict)
    texts: dict[uuid.UUID, str] = field(default_factory=dict)

    def add(self, one: Answered) -> None:
        """Add what one more person said of the item."""
        acts = Acts(one.words)
        self.texts |= {candidate.id: candidate.text for candidate in one.candidates}
        for verdict in acts.verdicts(one.candidates):
            opinion = verdict.opinion
            place = verdict.first.id, verdict.second.id
            say = opinion.preferred * opinion.margin if opinion.preferred else 0.0
            self.said.setdefault(place, []).append((say, opinion.sources))
        for candidate in one.candidates:
            if rating := acts.latest(Act.Kind.RATING, candidate):
                self.ratings.setdefault(candidate.id, []).append((float(rating.score or 0), str(rating.id)))

    def pairs(self) -> tuple[list[Pair], int]:
        """Return the group's preferences about the item, and how many pairs are alike to it."""
        pairs, ties = [], 0
        for (one, other), said in self.said.items():
            mean = statistics.fmean(say for say, _ in said)
            if abs(mean) < MINIMUM_DIFFERENCE / 100:
                ties += 1
                continue
            chosen, rejected = (one, other) if mean > 0 else (other, one)
            if self.texts[chosen] == self.texts[rejected]:
                continue
            sources = tuple(sorted({source for _, sources in said for source in sources}))
            pairs.append(
                Pair(
                    self.first.conversation, sources, self.first.prompt,
                    self.texts[chosen], self.texts[rejected], min(abs(mean), 1.0), PROTOCOL,
                )
            )  # fmt: skip
        return pairs, ties

    def group(self) -> RatedGroup | None:
        """Return the mean rating of each answer that anybody rated; None below two."""
        if len(self.ratings) < 2:
            return None
        sources = tuple(sorted({source for rated in self.ratings.values() for _, source in rated}))
        means = tuple(statistics.fmean(score for score, _ in rated) for rated in self.ratings.values())
        texts = tuple(self.texts[one] for one in self.ratings)
        return RatedGroup(self.first.conversation, sources, self.first.prompt, texts, means)


def _on_one_scale(found: Sequence[Answered], scale_on: Collection[str] | None) -> Iterator[Answered]:
    given: dict[uuid.UUID, list[float]] = defaultdict(list)
    for one in found:
        if scale_on is None or one.conversation in scale_on:
            given[one.person] += [word.score for word in one.words if word.score is not None]
    scales = {
        person: (statistics.fmean(ratings), statistics.pstdev(ratings))
        for person, ratings in given.items()
        if ratings
    }
    for one in found:
        yield replace(one, words=tuple(_scaled(word, scales.get(one.person)) for word in one.words))


def _scaled(word: Word, scale: tuple[float, float] | None) -> Word:
    if word.score is None or scale is None:
        return word
    mean, deviation = scale
    standard = (word.score - mean) / deviation if deviation else 0.0
    return replace(word, score=min(max(CENTRE + SPREAD * standard, 1.0), 100.0))


def _word(act: Annotation) -> Word:
    score = None if act.score is None else float(act.score)
    if score is not None and act.protocol == SEVEN:
        score = rescale(score, 1, 7)
    return Word(act.pk, act.kind, act.protocol, act.candidate_id, score, act.thumb, act.ranking, act.text)

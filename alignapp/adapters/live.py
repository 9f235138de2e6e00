"""How a person's alignment does in daily use, measured blind, and what follows when it does worse.

What is compared are answers that the person judged before they knew who wrote them: in the chat the aligned
answer beside one of the same turn without any learned part, and the fresh answers of the report card. They
count from when the learned parts that act now came together, and concern the one of them that was switched on
last: it is taken back first. Knows nothing of pages. Nothing is learned from this.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from alignapp.adapters import acts, options, services
from alignapp.adapters.models import (
    PARTS,
    WORTH,
    Alignment,
    AlignmentVersion,
    Artifact,
    Judgement,
    LiveAlarm,
)
from alignapp.audit.services import record
from alignapp.chat.models import Reply
from alignapp.feedback.models import Feedback
from alignapp.feedback.opinions import Acts
from personalization.errors import AlignError
from personalization.sequential import capital_below, win_rate_anytime
from personalization.statistics import Estimate

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

log = logging.getLogger(__name__)

WITHOUT = (Reply.Maker.SYSTEM_MESSAGE, Reply.Maker.BASE)
RULE = ("live.rollback", "live.level", "live.share")


@dataclass(frozen=True, slots=True)
class Rule:
    """What operators set: whether versions are taken back, at which level, and below which win rate."""

    is_on: bool
    level: float
    share: float

    @classmethod
    def now(cls) -> Rule:
        """Return the rule in force. One query."""
        found = options.values(RULE)
        return cls(*(found[name] for name in RULE))


@dataclass(frozen=True, slots=True)
class Stretch:
    """The versions of an alignment in which the same learned parts acted, up to now.

    `artifact` is the part that was switched on last, `first` the oldest of the versions, `versions` all of
    them.
    """

    artifact: Artifact
    first: AlignmentVersion
    versions: tuple[uuid.UUID, ...]


@dataclass(frozen=True)
class Live:
    """The record of a stretch: one outcome for each blind judgement, 1 won, 0 lost, in between a tie."""

    stretch: Stretch
    outcomes: tuple[float, ...]
    rule: Rule

    @property
    def artifact(self) -> Artifact:
        """What would be taken back first."""
        return self.stretch.artifact

    @cached_property
    def won(self) -> Estimate:
        """The win rate, with an interval that holds at every look."""
        return win_rate_anytime(self.outcomes, level=self.rule.level)

    @cached_property
    def capital(self) -> float:
        """The evidence against "it wins at least `rule.share`"; 1 at the beginning."""
        return capital_below(self.outcomes, self.rule.share)

    @property
    def needed(self) -> float:
        """The evidence at which it counts as shown."""
        return 1 / self.rule.level

    @property
    def has_fallen(self) -> bool:
        """Whether it is shown that it does worse."""
        return self.capital >= self.needed

    @property
    def words(self) -> str:
        """Say how it did, in numbers."""
        said = _("It won %(wins)g of %(n)d blind comparisons (%(low)d to %(high)d %% at any look).")
        wins, n = round(sum(self.outcomes), 2), len(self.outcomes)
        return said % {"wins": wins, "n": n, "low": _percent(self.won.low), "high": _percent(self.won.high)}

    def as_dict(self) -> dict[str, float]:
        """Return the numbers, JSON-ready."""
        rule = {"level": self.rule.level, "share": self.rule.share}
        return {**self.won.as_dict(), **rule, "wins": sum(self.outcomes), "capital": self.capital}


def live_of(person: Person) -> Live | None:
    """Return how what acts now does; None where no learned part acts. Nine queries at most."""
    stretch = stretch_of(person)
    if stretch is None:
        return None
    outcomes = [*_in_the_chat(stretch), *_on_the_card(stretch)]
    return Live(stretch, tuple(outcomes), Rule.now())


def look(person: Person) -> LiveAlarm | None:
    """Look at a person's record, and take back what is shown to do worse; return the alarm, if one is new.

    A pinned version stays, and its person and operators are told. May be called at any time, as often as one
    likes, also by two workers at once: one switching on gives one alarm at most.
    """
    found = live_of(person)
    if found is None or not found.rule.is_on or not found.has_fallen:
        return None
    if LiveAlarm.objects.filter(artifact=found.artifact, since=found.stretch.first).exists():
        return None
    try:
        with transaction.atomic():
            return _alarm(person, found)
    except IntegrityError:
        log.info("another worker was faster with the alarm for %s", found.artifact.pk)
    except AlignError as error:  # something was switched at the same moment; the next judgement looks again
        log.info("no alarm for %s: %s", found.artifact.pk, error)
    return None


def undo(person: Person, alarm: LiveAlarm) -> AlignmentVersion:
    """Switch on again what was taken back, as strong as it was; its record begins anew.

    Raises AlignError where nothing was taken back, it was undone already, or it may not act any more.
    """
    with transaction.atomic():
        now = timezone.now()
        open_ones = LiveAlarm.objects.for_person(person).filter(
            pk=alarm.pk, rolled_back=True, undone_at__isnull=True
        )
        if not open_ones.update(undone_at=now, read_at=now):
            raise AlignError(_("There is nothing to undo here any more."))
        artifact = alarm.artifact
        change = _("Switched %(name)s on again") % {"name": artifact}
        part: dict[str, Any] = {artifact.kind: artifact}
        return services.switch(person, change=change, **part)


def mark_read(person: Person, alarm: LiveAlarm) -> None:
    """Put a notice away."""
    LiveAlarm.objects.for_person(person).filter(pk=alarm.pk, read_at=None).update(read_at=timezone.now())


def unread(person: Person) -> list[LiveAlarm]:
    """Return the notices that a person did not put away. One query."""
    rows = LiveAlarm.objects.for_person(person).filter(read_at=None)
    return list(rows.select_related("artifact__report_card", "back_to"))


def stretch_of(person: Person) -> Stretch | None:
    """Return since when the learned parts that act now act together. Four queries."""
    pointer = Alignment.objects.filter(person=person).select_related("current").first()
    if pointer is None:
        return None
    now = {part: getattr(pointer.current, f"{part}_id") for part in PARTS}
    if not any(now.values()):
        return None
    rows = AlignmentVersion.objects.for_person(person).filter(number__lte=pointer.current.number)
    columns = ("pk", "number", *(f"{part}_id" for part in PARTS))
    versions, came, same = [], {part: 0 for part in PARTS if now[part]}, True
    left = set(came)
    for pk, number, *parts in rows.order_by("-number").values_list(*columns).iterator(chunk_size=200):
        then = dict(zip(PARTS, parts, strict=True))
        same = same and then == now
        if same:
            versions.append(pk)
        left = {part for part in left if then[part] == now[part]}
        came.update(dict.fromkeys(left, number))
        if not same and not left:
            break
    last = max(came, key=lambda part: came[part])
    artifact = Artifact.objects.select_related("person", "report_card").get(pk=now[last])
    if not artifact.may_act_for(person.pk, last):
        return None
    return Stretch(artifact, AlignmentVersion.objects.get(pk=versions[-1]), tuple(versions))


def _in_the_chat(stretch: Stretch) -> Iterator[float]:
    """Yield one outcome for each turn that was judged blind, of its aligned answer against those without."""
    shown = Reply.objects.filter(
        alignment_version__in=stretch.versions,
        maker=Reply.Maker.ALIGNMENT,
        turn__blind=True,
        turn__revealed_at__isnull=False,  # before that a turn's judgement may still change
    )
    turns = list(shown.values_list("turn_id", flat=True).distinct())
    replies: dict[uuid.UUID, list[Reply]] = defaultdict(list)
    complete = Reply.objects.filter(turn__in=turns, status=Reply.Status.DONE, is_comparison=False)
    wanted = complete.filter(maker__in=(*WITHOUT, Reply.Maker.ALIGNMENT)).exclude(text="")
    for reply in wanted.only("turn_id", "maker", "interventions", "position"):
        replies[reply.turn_id].append(reply)
    judged: dict[uuid.UUID, list[Feedback]] = defaultdict(list)
    blind = Feedback.objects.filter(turn__in=turns, blind=True).exclude(kind=Feedback.Kind.REPEAT)
    for act in blind.order_by("created_at", "id"):
        judged[act.turn_id].append(act)
    for turn in turns:
        outcomes = _of_turn(stretch.artifact, replies[turn], judged[turn])
        if outcomes:
            yield sum(outcomes) / len(outcomes)


def _of_turn(artifact: Artifact, replies: Sequence[Reply], judged: Sequence[Feedback]) -> list[float]:
    outcomes = []
    for verdict in Acts(judged).verdicts(replies):
        first, second = _carries(verdict.first, artifact), _carries(verdict.second, artifact)
        if first and verdict.second.maker in WITHOUT:
            outcomes.append((1 + verdict.opinion.preferred) / 2)
        elif second and verdict.first.maker in WITHOUT:
            outcomes.append((1 - verdict.opinion.preferred) / 2)
    return outcomes


def _carries(reply: Reply, artifact: Artifact) -> bool:
    return any(part.get("artifact") == str(artifact.pk) for part in reply.interventions)


def _on_the_card(stretch: Stretch) -> list[float]:
    since: datetime = stretch.first.created_at
    rows = Judgement.objects.filter(artifact=stretch.artifact, created_at__gte=since)
    return [WORTH[answer] for answer in rows.values_list("answer", flat=True)]


def _alarm(person: Person, found: Live) -> LiveAlarm:
    artifact, evidence = found.artifact, found.as_dict()
    alarm = LiveAlarm.objects.create(
        person=person,
        artifact=artifact,
        since=found.stretch.first,
        rolled_back=not artifact.pinned,
        evidence=evidence,
    )
    if artifact.pinned:
        record("system", "artifact.fell_pinned", artifact, reason=found.words, **evidence)
        return alarm
    standing = LiveAlarm.objects.for_person(person).filter(rolled_back=True, undone_at=None)
    worse = set(standing.values_list("artifact", flat=True))
    alarm.back_to = acts.roll_back("system", artifact, found.words, passing_over=worse)
    alarm.save(update_fields=["back_to"])
    log.warning("artifact %s fell in daily use and was taken back", artifact.pk)
    return alarm


def evidence_words(evidence: dict[str, Any]) -> str:
    """Say what an alarm rests on, from the numbers that it keeps."""
    said = _("It won %(wins)g of %(n)d comparisons that you judged blind since it was switched on.")
    return said % {"wins": round(evidence["wins"], 2), "n": evidence["n"]}


def _percent(share: float) -> int:
    return round(100 * share)

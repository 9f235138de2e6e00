"""Delete by rule what nobody needs any more: counted first, deleted only as counted.

Knows nothing of pages. What is active, previous or pinned is never taken, whatever the rule says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import F, Q, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from alignapp.adapters import options
from alignapp.adapters.aliases import active_ids, previous_ids
from alignapp.adapters.models import Artifact
from alignapp.adapters.option_table import DAYS, KEEP
from alignapp.adapters.removal import remove
from alignapp.audit.services import record
from personalization.errors import AlignError

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

MOST_DAYS, MOST_KEPT = 36_500, 1_000_000  # a hundred years; longer spans are no dates any more
MOST = 500  # of one run: a long list is deleted in several


@dataclass(frozen=True, slots=True)
class Rule:
    """Older than so many days and not among the newest so many of its person and kind.

    `states` narrows it to artifacts in one of these; empty: whatever the state.
    """

    days: int = DAYS
    keep: int = KEEP
    states: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.days < 1 or self.keep < 1:
            raise AlignError("A rule keeps at least one version and spares what is younger than a day.")
        if self.days > MOST_DAYS or self.keep > MOST_KEPT:
            raise AlignError(f"A rule names at most {MOST_DAYS:,} days and {MOST_KEPT:,} versions.")
        if unknown := set(self.states) - set(Artifact.State.values):
            raise AlignError(
                f"There is no state {sorted(unknown)[0]!r}. Known: {', '.join(Artifact.State.values)}."
            )

    def __str__(self) -> str:
        which = f" that are {' or '.join(self.states)}" if self.states else ""
        return f"versions{which} older than {self.days} days, not among the newest {self.keep}"


def usual() -> Rule:
    """Return the rule that operators set. One query."""
    now = options.values(("retention.days", "retention.keep"))
    return Rule(now["retention.days"], now["retention.keep"])


def doomed(rule: Rule) -> list[Artifact]:
    """Return what a rule would delete now, the oldest first, MOST at most. Three queries."""
    place = Window(RowNumber(), partition_by=[F("person"), F("kind")], order_by=F("number").desc())
    older = Artifact.objects.annotate(place=place).filter(place__gt=rule.keep)  # of all its versions
    wanted = Q(pk__in=older.values("pk"), pinned=False)
    wanted &= Q(created_at__lt=timezone.now() - timedelta(days=rule.days))
    if rule.states:
        wanted &= Q(state__in=rule.states)
    found = Artifact.objects.filter(wanted).select_related("person").order_by("created_at", "number")
    chosen = list(found[: 2 * MOST])
    people = {artifact.person_id for artifact in chosen}
    active = active_ids(people)
    spared = active | previous_ids(people, active)
    return [artifact for artifact in chosen if artifact.pk not in spared][:MOST]


def prune(by: Person | str, rule: Rule, reason: str, *, expected: int | None = None) -> list[str]:
    """Delete what the rule takes, each in a transaction of its own; return the names of what is gone.

    Raises AlignError without a reason, and where the rule takes another number than the one `expected`.
    """
    if not reason.strip():
        raise AlignError("Say why: what is pruned is gone, and the record keeps the reason.")
    taken = doomed(rule)
    if expected is not None and expected != len(taken):
        raise AlignError("Something changed since this was counted. Look again, then give the new number.")
    gone = []
    for artifact in taken:
        name = f"{artifact} {artifact.digest[:12]}"
        remove(artifact.person, artifact, by=by)
        gone.append(name)
    record(by, "artifacts.pruned", reason=reason, rule=str(rule), count=len(gone))
    return gone

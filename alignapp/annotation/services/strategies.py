"""Which item comes next: each strategy is one function from the free items to a choice with its reason.

Knows nothing of leases and places: what it chooses may be gone by the time it is taken.
"""

from __future__ import annotations

import itertools
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from alignapp.annotation.models import Annotation, Candidate, Item, Project

LOOKED_AT = 200  # items among which the least certain is sought
EXPLORED = 0.1  # of the items of an active project: so that the sample is not only what it sought
LATEST = 5_000  # acts from which the certainty is computed


@dataclass(frozen=True, slots=True)
class Choice:
    """An item, why it, and which two of its candidates (None: the strategy does not mind)."""

    item: Item
    reason: str
    pair: tuple[Candidate, Candidate] | None = None


Strategy = Callable[[Project, "QuerySet[Item]", random.Random], Choice | None]


def at_random(project: Project, free: QuerySet[Item], rng: random.Random) -> Choice | None:
    """Choose any free item: the first from a random id on. Two short queries, however many there are."""
    del project
    item = _from_random_id(free, rng, 1)
    return Choice(item[0], random_reason()) if item else None


def random_reason() -> str:
    """Return what is said of items chosen at random, and of those that nobody is to recognise."""
    return _("Chosen at random.")


def fill(project: Project, free: QuerySet[Item], rng: random.Random) -> Choice | None:
    """Choose an item that others began, so that it is complete soon; else any."""
    item = _from_random_id(free.filter(taken__gt=0), rng, 1)
    if not item:
        return at_random(project, free, rng)
    return Choice(item[0], _("Others judged it too; it is complete sooner."))


def active(project: Project, free: QuerySet[Item], rng: random.Random) -> Choice | None:
    """Choose the pair whose makers are compared least certainly so far, among some free items.

    Each two makers' chance to win has a Beta(1 + wins, 1 + losses) distribution; the pair with the largest
    variance teaches most about it. The reason names no maker, since annotators read it; some items come at
    random, which also hides the gold items and repeats among them.
    """
    if rng.random() < EXPLORED:
        return at_random(project, free, rng)
    wins = wins_between_makers(project)
    looked_at = _from_random_id(free.prefetch_related("candidates"), rng, LOOKED_AT)
    best: tuple[float, Choice] | None = None
    for item in looked_at:
        for one, two in itertools.combinations(item.candidates.all(), 2):
            first, second = wins[one.maker, two.maker], wins[two.maker, one.maker]
            if best is None or variance(first, second) > best[0]:
                best = variance(first, second), Choice(item, _reason(first, second), (one, two))
    return best[1] if best else at_random(project, free, rng)


def variance(wins: int, losses: int) -> float:
    """Return the variance of a chance after so many wins and losses, from a flat prior."""
    a, b = 1 + wins, 1 + losses
    return a * b / ((a + b) ** 2 * (a + b + 1))


def wins_between_makers(project: Project) -> Counter[tuple[str, str]]:
    """Return how often each maker was picked over each other one, in the latest picks of the project."""
    picks = Annotation.objects.current().filter(
        submission__assignment__item__project=project, kind="pick", candidate__isnull=False
    )
    columns = ("candidate__maker", "submission__shown", "submission__assignment__item")
    rows = list(picks.order_by("-created_at").values_list(*columns)[:LATEST])
    # Of imported picks it may not be known how the answers stood, but which there were.
    others: dict[uuid.UUID, list[str]] = defaultdict(list)
    unknown = {item_id for _winner, shown, item_id in rows if not shown}
    for item_id, maker in Candidate.objects.filter(item__in=unknown).values_list("item_id", "maker"):
        others[item_id].append(maker)
    makers = ((winner, [one["maker"] for one in shown] or others[item_id]) for winner, shown, item_id in rows)
    return Counter((winner, maker) for winner, seen in makers for maker in seen if maker != winner)


def _reason(first: int, second: int) -> str:
    if not first + second:
        return _("The least certain comparison: nobody made one like it yet.")
    words = _("The least certain comparison: of %(n)d like it, %(a)d went one way and %(b)d the other.")
    return words % {"n": first + second, "a": max(first, second), "b": min(first, second)}


def _from_random_id(items: QuerySet[Item], rng: random.Random, count: int) -> list[Item]:
    start = uuid.UUID(int=rng.getrandbits(128))
    found = list(items.filter(pk__gte=start).order_by("pk")[:count])
    if len(found) < count:
        found += items.filter(pk__lt=start).order_by("pk")[: count - len(found)]
    return found


STRATEGIES: dict[str, Strategy] = {
    Project.Strategy.RANDOM: at_random,
    Project.Strategy.FILL: fill,
    Project.Strategy.ACTIVE: active,
}

"""Items on which people differ, and what is decided about them. Knows nothing of requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from alignapp.annotation.models import Item, Project
from alignapp.audit.services import record
from alignapp.quality.judgements import judgements_of, sample_of
from alignapp.quality.models import Adjudication

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

LISTED = 50


@dataclass(frozen=True, slots=True)
class Difference:
    """How far people differ on one item: 0 is all alike, 1 the opposite; with the decision in force."""

    item: Item
    share: float
    people: int
    decision: Adjudication | None

    @property
    def percent(self) -> int:
        """The share in whole percent."""
        return round(100 * self.share)


def differences(project: Project) -> list[Difference]:
    """Return the items on which two people said different things, the most disputed first."""
    shares = _shares(project)
    found = sorted(shares, key=lambda key: (-shares[key][0], key))[:LISTED]
    items = {str(one.id): one for one in project.items.filter(id__in=found)}
    decided = {
        str(one.item_id): one for one in Adjudication.objects.current().filter(item__in=items.values())
    }
    return [Difference(items[key], *shares[key], decided.get(key)) for key in found]


def decide(item: Item, person: Person, best: str, reason: str) -> Adjudication:
    """Record a decision; the one before stays as history. `best` is a candidate's id, "" for alike.

    What annotators said is not touched. Raises ValueError for a candidate that is not the item's.
    """
    ids = [str(one.id) for one in item.candidates.all()]
    if best and best not in ids:
        raise ValueError(f"{best} is not an answer of this item.")
    others = [one for one in ids if one != best]
    ranking = [place for place in ([best], others) if place] if best else [ids]
    with transaction.atomic():
        Item.objects.select_for_update().get(pk=item.pk)  # of two decisions at once, one comes second
        Adjudication.objects.current().filter(item=item).update(superseded_at=timezone.now())
        made = Adjudication.objects.create(item=item, decided_by=person, ranking=ranking, reason=reason)
        record(person, "item.adjudicated", made)
    return made


def _shares(project: Project) -> dict[str, tuple[float, int]]:
    """Return how far people differ on each item where they do, and how many judged it."""
    from personalization.agreement.judgements import comparisons
    from personalization.agreement.repeats import same

    said: dict[Any, dict[str, Any]] = defaultdict(dict)
    judgements = judgements_of(project, within=sample_of(project))
    for one in comparisons(one for one in judgements if one.right is None):
        said[one.judgement.item, one.judgement.name, one.first, one.second][one.judgement.person] = one
    apart: dict[str, list[float]] = defaultdict(list)
    people: dict[str, set[str]] = defaultdict(set)
    for (item, *_rest), by_person in said.items():
        apart[item] += [1 - same(a, b) for a, b in combinations(by_person.values(), 2)]
        people[item] |= set(by_person)
    return {item: (_mean(values), len(people[item])) for item, values in apart.items() if any(values)}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)

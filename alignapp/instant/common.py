"""The common taste: who agreed that their ratings count in it, and making the next one.

Knows nothing of pages. At most one a month, for each costs those who are in it some of what its noise hides
(`personalization.steering.shared`); whoever leaves is in no later one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from alignapp.accounts.models import Consent, Person
from alignapp.audit.services import record
from alignapp.instant.evidence import without_start
from alignapp.instant.models import CommonTaste
from alignapp.instant.start import common_taste
from personalization.steering.shared import FEWEST_PEOPLE, PRIVACY, axes_of, read_directions, share, unit
from personalization.values import effects

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from personalization.steering.shared import Floats

LEAST_PROMPTS = 8  # rated by each whose taste counts: fewer say little of a taste
EVERY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is, and what the next one lacks."""

    made: CommonTaste | None
    agreed: int
    fewest: int = FEWEST_PEOPLE

    @property
    def lacking(self) -> int:
        """How many more people must agree."""
        return max(0, self.fewest - self.agreed)


def standing() -> Standing:
    """Return the latest common taste and how many agree now. Two queries."""
    return Standing(common_taste(), givers().count())


def givers() -> QuerySet[Person]:
    """Return the people whose ratings may count: they ticked it, and their consent is in force."""
    consenting = Consent.objects.filter(withdrawn_at__isnull=True).values("person")
    return Person.objects.filter(is_active=True, pk__in=consenting, instant_choice__gives=True)


def make_due() -> CommonTaste | None:
    """Make the next common taste where a month has passed; take the last one away where none can be made.

    Returns what acts afterwards. Everything is read anew, so whoever left is not in it. Fewer than it takes
    may agree before the month is over: the last one goes then, too.
    """
    import numpy as np

    last, are_enough = common_taste(), givers().count() >= FEWEST_PEOPLE
    if are_enough and last is not None and last.created_at > timezone.now() - EVERY:
        return last
    revision, layers, tastes = _tastes() if are_enough else ("", (), [])
    directions = read_directions(effects.place(settings.VALUES_DIR, revision), layers) if tastes else {}
    if len(tastes) < FEWEST_PEOPLE or not directions:
        CommonTaste.objects.all().delete()
        return None
    found = share(tastes, axes_of(directions), np.random.default_rng())  # of the system's own entropy
    with transaction.atomic():
        CommonTaste.objects.all().delete()
        made = CommonTaste.objects.create(
            model_revision=revision,
            layers=list(layers),
            mean=found.mean.astype("<f4").tobytes(),
            people=found.people,
            privacy=PRIVACY,
        )
        record("system", "start.made", None, people=found.people, privacy=PRIVACY)
    return made


def _tastes() -> tuple[str, tuple[int, ...], list[Floats]]:
    """Return the tastes of those who agreed, on the base model on which most of them rated.

    Without what they started from: a common taste must not feed itself.
    """
    import numpy as np

    found: dict[tuple[str, tuple[int, ...]], list[Floats]] = defaultdict(list)
    for person in givers().select_related("instant_choice").iterator(chunk_size=100):
        revision, direction = without_start(person, person.instant_choice)
        if direction is not None and direction.prompts >= LEAST_PROMPTS:
            taste = unit(direction.units.astype(np.float64).ravel())
            found[revision, direction.layers].append(taste)
    if not found:
        return "", (), []
    (base, layers), tastes = max(found.items(), key=lambda item: len(item[1]))
    return base, layers, tastes

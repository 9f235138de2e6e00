"""The common taste: whose ratings may count in it, and making the next one.

Knows nothing of pages. At most one in 30 days, for each costs those who are in it some of what its noise
hides (`personalization.steering.shared`); whoever leaves is in no later one. A row stays when its taste goes,
so that nothing brings the next one forward.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from alignapp.accounts.models import Consent, Person
from alignapp.adapters.models import KnownModel
from alignapp.audit.services import record
from alignapp.feedback.models import Feedback
from alignapp.instant.evidence import without_start
from alignapp.instant.models import CommonTaste, InstantChoice, InstantVector
from alignapp.instant.start import common_taste
from personalization.steering.shared import (
    FEWEST_PEOPLE,
    PRIVACY,
    axes_of,
    on_axes,
    read_directions,
    share,
)
from personalization.values import effects

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.models import QuerySet

    from personalization.steering.shared import Floats

log = logging.getLogger(__name__)

LEAST_PROMPTS = 8  # rated by each whose taste counts: fewer say little of a taste
EVERY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is, and what the next one lacks."""

    made: CommonTaste | None
    agreed: int  # and rated enough
    fewest: int = FEWEST_PEOPLE

    @property
    def lacking(self) -> int:
        """How many more people it takes."""
        return max(0, self.fewest - self.agreed)


def standing() -> Standing:
    """Return the common taste of the model that answers now, and whose may count. Three queries."""
    return Standing(acting_now(), givers().count())


def acting_now() -> CommonTaste | None:
    """Return the common taste of the model that answers now; None where there is none. Two queries."""
    return common_taste(model_now())


def model_now() -> str:
    """Return the revision of the default base model; "" before a worker named it. One query."""
    revision = KnownModel.objects.filter(is_default=True).values_list("revision", flat=True).first()
    return revision or ""


def givers() -> QuerySet[Person]:
    """Return the people whose ratings may count: they ticked it, their consent is in force, they rated."""
    consenting = Consent.objects.filter(withdrawn_at__isnull=True).values("person")
    rated = Feedback.objects.filter(kind=Feedback.Kind.RATING).order_by().values("person")
    rated = rated.annotate(turns=Count("turn", distinct=True)).filter(turns__gte=LEAST_PROMPTS)
    agreed = Person.objects.filter(is_active=True, instant_choice__gives=True)
    return agreed.filter(pk__in=consenting).filter(pk__in=rated.values("person"))


def make_due() -> CommonTaste | None:
    """Make the next common taste where the last one is 30 days old; let it go where none can be made.

    Returns what acts afterwards. Everything is read anew. Fewer than it takes may agree before the time is
    over: the last one goes then, too. Noise is drawn once it is known who is still in it.
    """
    import numpy as np

    revision = model_now()
    last, acting = CommonTaste.objects.first(), common_taste(revision)
    is_early = last is not None and last.created_at > timezone.now() - EVERY
    if givers().count() < FEWEST_PEOPLE or (acting is None and is_early):
        _let_go()
        return None
    if is_early:
        return acting
    layers, axes, places = _places(revision)
    with transaction.atomic():
        # Who leaves waits for this, or this for them.
        locked = InstantChoice.objects.select_for_update().filter(gives=True).order_by("pk")
        still = set(locked.values_list("person", flat=True)) & set(givers().values_list("pk", flat=True))
        newest = CommonTaste.objects.first()
        if newest != last:  # another one was quicker
            return newest
        _let_go()
        counted = [place for person, place in places.items() if person in still]
        if len(counted) < FEWEST_PEOPLE:
            return None
        found = share(counted, axes, np.random.default_rng())  # of the system's own entropy
        made = CommonTaste.objects.create(
            model_revision=revision,
            layers=list(layers),
            mean=found.mean.astype("<f4").tobytes(),
            people=found.people,
            privacy=PRIVACY,
        )
        record("system", "start.made", None, people=found.people, privacy=PRIVACY)
    return made


def behind() -> QuerySet[Person]:
    """Return whose vector starts from a taste that is gone, or lacks the one that acts now. Two queries.

    To bring one up to date takes its person off this list.
    """
    acting = acting_now()
    wrong = Q(taste__mean=b"")
    if acting is not None:
        same_model = Q(model_revision=acting.model_revision, summary__layers=acting.layers)
        wrong |= same_model & Q(person__instant_choice__starts=True) & ~Q(taste=acting)
    vectors = InstantVector.objects.filter(wrong, is_current=True)
    return Person.objects.filter(pk__in=vectors.values("person"))


def _let_go() -> None:
    CommonTaste.objects.exclude(mean=b"").update(mean=b"")


def _places(revision: str) -> tuple[tuple[int, ...], Floats, dict[UUID, Floats]]:
    """Return the layers, the axes, and where on these the tastes lie of those who rated on a base model.

    Without what they started from: a common taste must not feed itself.
    """
    import numpy as np

    folder = effects.place(settings.VALUES_DIR, revision)
    layers: tuple[int, ...] = ()
    axes, found = np.zeros((0, 0)), {}
    for person in givers().select_related("instant_choice").iterator(chunk_size=100):
        try:
            rated_on, direction = without_start(person, person.instant_choice)
        except ValueError as error:  # states that cannot be read
            log.warning("what %s likes is left out: %s", person.pseudonym, error)
            continue
        if rated_on != revision or direction is None or direction.prompts < LEAST_PROMPTS:
            continue
        if not layers:
            layers, directions = direction.layers, read_directions(folder, direction.layers)
            if not directions:
                break
            axes = axes_of(directions)
        if direction.layers == layers:
            found[person.pk] = on_axes(direction.units.astype(np.float64).ravel(), axes)
    return layers, axes, found

"""The vector from ratings as "My alignment" shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alignapp.instant import common, services
from alignapp.instant.models import CommonTaste, InstantChoice, InstantVector
from personalization.steering.instant import BESIDE, LIMIT
from personalization.steering.shared import FEWEST_PEOPLE, guess_bound

if TYPE_CHECKING:
    from alignapp.accounts.models import Person
    from alignapp.adapters.models import AlignmentVersion


YEARLY = 12  # common tastes at most


@dataclass(frozen=True, slots=True)
class InstantView:
    """The switch, the vector and what it does now. Shares are percentages."""

    choice: InstantChoice
    vector: InstantVector | None
    others: tuple[str, ...]  # the other parts that act
    share: int  # the slider
    evidence: int  # how much of the limit the ratings carry
    limit: int  # the limit itself, as a share of the hidden norm
    common: CommonTaste | None  # what people like, from which it starts
    fewest: int  # people whom that takes

    @property
    def acting(self) -> int:
        """How much of the limit acts on the next reply."""
        return round(self.evidence * min(self._share, self._safe)) if self.is_acting else 0

    @property
    def let_through(self) -> int:
        """How much of it the safety gate lets act, in percent; 0 where no more would act anyway."""
        return round(100 * self._safe) if self.is_acting and self._safe < self._share else 0

    @property
    def started(self) -> int:
        """How many rated messages the start counts for beside the person's own."""
        return round(self.vector.summary.get("started", 0)) if self.vector else 0

    @property
    def guesses(self) -> tuple[int, int]:
        """Of a hundred guesses at a taste that is in one, or a year's, how many can be right at most."""
        return round(100 * guess_bound()), round(100 * guess_bound(releases=YEARLY))

    @property
    def beside(self) -> int:
        """How much of it acts beside something else, in percent."""
        return round(100 * BESIDE)

    @property
    def _safe(self) -> float:
        return self.vector.safe_share if self.vector else 1.0

    @property
    def _share(self) -> float:
        return services.share_of(self.choice, self.others)

    @property
    def is_acting(self) -> bool:
        """Say whether the next reply uses it, as far as the safety gate lets it."""
        return self.vector is not None and not self.is_quarantined and self._share > 0

    @property
    def is_quarantined(self) -> bool:
        """Say whether the safety gate objected."""
        return self.vector is not None and self.vector.state == InstantVector.State.QUARANTINED

    @property
    def objection(self) -> str:
        """What the safety gate objected to."""
        return str((self.vector.gate or {}).get("objection", "")) if self.vector else ""


def instant_view(person: Person, version: AlignmentVersion | None) -> InstantView:
    """Return what the page shows. Four queries."""
    choice, vector = InstantChoice.of(person), services.current(person)
    return InstantView(
        choice=choice,
        vector=vector,
        others=version.parts if version else (),
        share=round(100 * choice.share),
        evidence=round(100 * vector.strength) if vector else 0,
        limit=round(100 * LIMIT),
        common=common.acting_now(),
        fewest=FEWEST_PEOPLE,
    )

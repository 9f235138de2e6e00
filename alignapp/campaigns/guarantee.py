"""Which versions of a campaign help, at a stated share of wrong ones over all people: a second opinion.

A campaign switches on person by person (`outcomes`). Here all its versions that passed the safety gate are
looked at together, beside versions whose truth is known because their people judged fresh answers blind.
Promises what it does as far as those people are like the others: whoever judges chooses to. Changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from django.db.models import Avg, Case, Count, Exists, FloatField, Max, OuterRef, Sum, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from alignapp.adapters.models import WORTH, Artifact, Judgement
from alignapp.campaigns.models import Campaign, Enrolment
from personalization.promotion import promoted_by_best

if TYPE_CHECKING:
    from django.db.models import QuerySet

LEVEL = 0.2  # the share of wrong ones among those named, on average: as in `benchmarks.adviser`
FEWEST_KNOWN = ceil(1 / LEVEL) - 1  # with fewer nobody can be named, whatever the numbers are
FEWEST_JUDGED = 6  # blind comparisons of one version
MOST_KNOWN = 1000  # versions, the latest
NAMED = 50  # of those whose version can be said to help are kept; the terminal lists all
Scores = tuple[float, float]
Of = Enrolment.State
PASSED = (Of.MOVED, Of.READY, Of.NOT_PROVEN, Of.LOST)


@dataclass(frozen=True, slots=True)
class Guarantee:
    """Whose versions help, of how many that are through, by how many versions of known truth."""

    named: list[Enrolment]  # the first ones, as many as were asked for
    promoted: int  # how many can be named
    candidates: int
    known: int
    helped: int  # of the known ones

    level: float = LEVEL
    fewest_known: int = FEWEST_KNOWN

    @property
    def is_told(self) -> bool:
        """Whether there is enough to name anybody."""
        return self.known >= FEWEST_KNOWN and self.candidates > 0


def kept(campaign: Campaign) -> Guarantee:
    """Return the same of the first ones, worked out where outcomes or judgements are others than before.

    That reads every outcome; whether there are others the database says. Three queries then.
    """
    of = _told_of(campaign)
    if campaign.found.get("of") != of:
        found = guaranteed(campaign, NAMED)
        counts = {name: getattr(found, name) for name in ("promoted", "candidates", "known", "helped")}
        campaign.found = {"of": of, "named": [str(one.pk) for one in found.named], **counts}
        Campaign.objects.filter(pk=campaign.pk).update(found=campaign.found)
        return found
    counts = {name: value for name, value in campaign.found.items() if name not in ("of", "named")}
    named = campaign.enrolments.filter(pk__in=campaign.found["named"]).select_related("person")
    return Guarantee(list(named), **counts)


def _told_of(campaign: Campaign) -> str:
    """Return what changes with every outcome, deleted version, blind judgement and new proof. Two queries."""
    sums = {name: Sum(name) for name in ("after", "after_low")}
    own = _standing(campaign).order_by().aggregate(n=Count("pk"), last=Max("settled_at"), **sums)
    proved = Max("artifact__report_card__proved_at")  # a known version's scores are its card's
    judged = Judgement.objects.aggregate(n=Count("pk"), last=Max("created_at"), proved=proved)
    told = (LEVEL, *own.values(), *judged.values())
    # A database may add floats up in any order, so that the last digits say nothing.
    return ":".join(f"{one:.9g}" if isinstance(one, float) else str(one) for one in told)


def _standing(campaign: Campaign) -> QuerySet[Enrolment]:
    """Return who passed the gate with a version that was not deleted since."""
    return _passed(campaign).filter(Exists(Artifact.objects.filter(job=OuterRef("job"))))


def guaranteed(campaign: Campaign, most: int | None = None) -> Guarantee:
    """Return whose versions can be said to help, of them the first `most`. At most five queries."""
    own = _standing(campaign).values_list("pk", "after", "after_low")
    candidates = [(pk, (after, low or 0.0)) for pk, after, low in own if after is not None]
    known = _known(campaign) if candidates else []
    places = promoted_by_best(
        [scores for _, scores in candidates],
        [scores for scores, _ in known],
        [helped for _, helped in known],
        level=LEVEL,
    )
    shown = [candidates[i][0] for i in places[:most]]
    named = campaign.enrolments.filter(pk__in=shown).select_related("person") if shown else []
    helped = sum(helped for _, helped in known)
    return Guarantee(list(named), len(places), len(candidates), len(known), helped)


def _passed(campaign: Campaign) -> QuerySet[Enrolment]:
    return campaign.enrolments.filter(state__in=PASSED, job__isnull=False)


def _known(campaign: Campaign) -> list[tuple[Scores, bool]]:
    """Return what is known of others' versions of its kind: scores, and whether they won more than half."""
    own_jobs = _passed(campaign).order_by().values("job")
    kind = Artifact.objects.filter(job__in=own_jobs).order_by().values_list("kind", flat=True).first()
    others = Judgement.objects.filter(artifact__kind=kind).exclude(artifact__job__in=own_jobs)
    won = Case(
        *(When(answer=answer, then=worth) for answer, worth in WORTH.items()), output_field=FloatField()
    )
    counted = others.order_by().values("artifact")
    judged = counted.annotate(n=Count("pk"), share=Avg(won)).filter(n__gte=FEWEST_JUDGED)
    latest = judged.order_by("-artifact__created_at", "artifact").values_list("artifact", "share")
    shares = dict(latest[:MOST_KNOWN])
    accuracy = "report_card__results__accuracy__artifact"
    value, low = (Cast(KeyTextTransform(name, accuracy), FloatField()) for name in ("value", "low"))
    found = Artifact.objects.filter(pk__in=shares).order_by().values_list("pk", value, low)
    return [((value, low or 0.0), shares[pk] > 0.5) for pk, value, low in found if value is not None]

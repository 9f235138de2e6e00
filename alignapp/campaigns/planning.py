"""The dry run of a campaign: whom it would touch, how long it would take and what it would fill.

Changes nothing. Minutes and bytes follow from the last jobs of the same method here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db.models import Avg, F, QuerySet

from alignapp.accounts.models import Consent, Person
from alignapp.adapters import bases
from alignapp.adapters.errors import WrongField
from alignapp.adapters.models import PROVE, Artifact, Job, KnownModel, MethodInfo
from alignapp.adapters.proofs import KINDS
from alignapp.campaigns.models import Campaign
from alignapp.panel.models import Worker
from personalization.errors import AlignError, UnknownName
from workers import queues

if TYPE_CHECKING:
    from datetime import timedelta

LOOKED_BACK = 50
IN_SERVICE = (Artifact.State.PROVEN, Artifact.State.NOT_PROVEN)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign would do. Seconds and bytes are None where no job of the method was done here yet."""

    people: int
    left_out: int  # without consent
    waves: int
    seconds_each: float | None
    bytes_each: float | None
    workers: int  # alive, that would take its jobs
    start_worker: str  # what starts one, where none is alive

    @property
    def minutes(self) -> float | None:
        """How long it takes with as many workers as live now, at least one."""
        if self.seconds_each is None:
            return None
        return self.people * self.seconds_each / max(1, self.workers) / 60

    @property
    def size_bytes(self) -> float | None:
        """What the new versions fill; the old ones stay until they are pruned."""
        return None if self.bytes_each is None else self.people * self.bytes_each

    def as_dict(self) -> dict[str, Any]:
        """Return the plan, JSON-ready."""
        return {**asdict(self), "minutes": self.minutes, "size_bytes": self.size_bytes}


def plan(campaign: Campaign) -> Plan:
    """Say what a campaign (not stored) would do. Raises AlignError for what it cannot do."""
    kind = check(campaign)
    every = _with_one(campaign, kind)
    people = people_of(campaign, kind).count()
    alive = [worker for worker in Worker.alive() if _would_take(worker, campaign)]
    return Plan(
        people=people,
        left_out=every.count() - people,
        waves=-(-people // campaign.wave_size),
        seconds_each=_seconds(campaign.method),
        bytes_each=0.0 if campaign.rewrites else _bytes(campaign.method),
        workers=len(alive),
        start_worker="" if alive else _how_to_start(campaign),
    )


def check(campaign: Campaign) -> str:
    """Return the kind of artifact that a campaign is about. Raises AlignError for what cannot be."""
    if not campaign.name.strip():
        raise AlignError("Give the campaign a name, by which it is found again.")
    kind = _kind_to_prove(campaign) if campaign.proves else _kind_to_learn(campaign)
    try:
        campaign.clean_fields(exclude=["started_by", "reason"])
    except ValidationError as error:
        field, words = next(iter(error.message_dict.items()))
        raise AlignError(f"{field.replace('_', ' ')}: {words[0]}") from None
    if campaign.base_revision:
        bases.check_waiting(campaign.base_revision)
    return kind


def _kind_to_prove(campaign: Campaign) -> str:
    if campaign.kind not in KINDS:
        raise WrongField("kind", f"Say what is proven again: {' or '.join(KINDS)}.")
    if campaign.parameters:
        words = "Proving again has no parameters: what it judges is as it was learned."
        raise WrongField("parameters", words)
    return campaign.kind


def _kind_to_learn(campaign: Campaign) -> str:
    known = MethodInfo.objects.filter(enabled=True).in_bulk()
    if campaign.method not in known:
        raise UnknownName("method", campaign.method, {*known, PROVE})
    method: MethodInfo = known[campaign.method]
    if campaign.kind:
        raise AlignError(f"{method} says by itself what it makes: leave the kind out.")
    for name, value in campaign.parameters.items():
        if name not in method.parameters:
            unknown = UnknownName(f"parameter of {method}", name, method.parameters)
            raise WrongField("parameters", str(unknown))
        low, high = (method.parameters[name][end] for end in ("low", "high"))
        if not low <= value <= high:
            raise WrongField("parameters", f"{name} is {value:g}; it must lie in [{low:g}, {high:g}].")
    return method.produces


def people_of(campaign: Campaign, kind: str) -> QuerySet[Person]:
    """Return whom it would touch, without those who withdrew their consent. Executes no query by itself."""
    consenting = Consent.objects.filter(withdrawn_at=None).values("person")
    return _with_one(campaign, kind).filter(pk__in=consenting)


def _with_one(campaign: Campaign, kind: str) -> QuerySet[Person]:
    people = Person.objects.filter(is_active=True)
    if campaign.whom == Campaign.Whom.ACTIVE:
        return people.filter(**{f"alignment__current__{kind}__isnull": False})
    having = Artifact.objects.filter(kind=kind, state__in=IN_SERVICE, job__from_project=False).values(
        "person"
    )
    return people.filter(pk__in=having)


def _seconds(method: str) -> float | None:
    done = Job.objects.filter(method=method, state=Job.State.DONE).exclude(started_at=None)
    spans = done.order_by("-finished_at").annotate(span=F("finished_at") - F("started_at"))
    found: list[timedelta] = [span for span in spans.values_list("span", flat=True)[:LOOKED_BACK] if span]
    return sum(span.total_seconds() for span in found) / len(found) if found else None


def _bytes(method: str) -> float | None:
    latest = Artifact.objects.filter(job__method=method).order_by("-created_at").values("pk")[:LOOKED_BACK]
    sizes = Artifact.objects.filter(pk__in=list(latest.values_list("pk", flat=True)))
    found: float | None = sizes.aggregate(mean=Avg("size_bytes"))["mean"]
    return found


def _would_take(worker: Worker, campaign: Campaign) -> bool:
    if not campaign.base_revision:
        return queues.TRAIN in worker.queues
    return queues.OTHER_BASE in worker.queues and worker.model_revision == campaign.base_revision


def _how_to_start(campaign: Campaign) -> str:
    if not campaign.base_revision:
        return "celery -A workers.main worker -Q train,evaluate --pool solo"
    known = KnownModel.objects.filter(revision=campaign.base_revision).first()
    spec = known.spec if known else bases.EMBEDDED
    return f"ALIGN_MODEL={spec} celery -A workers.main worker -Q {queues.OTHER_BASE} --pool solo"

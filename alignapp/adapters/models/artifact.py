"""What a job learned, and what was found when it met feedback it had never seen."""

from __future__ import annotations

from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Max

from alignapp.owned import OwnedModel, OwnedQuerySet
from personalization.errors import AlignError

from .job import MERGE, Job

MOST_STRENGTH = 1.5  # of what was learned; beyond, text breaks


class ArtifactQuerySet(OwnedQuerySet):
    """What can be asked of many artifacts."""

    def damaged(self) -> Self:
        """Return those whose files were found changed or missing, whatever their state. Executes no query."""
        return self.exclude(damage="")


class Artifact(OwnedModel):
    """A sealed folder in the artifact store (`personalization.artifacts`): an adapter or a vector."""

    class Kind(models.TextChoices):
        ADAPTER = "adapter", "Adapter"
        VECTOR = "vector", "Steering vector"
        PERSONALITY = "personality", "Personality vector"
        VALUES = "values", "Values direction"

    class State(models.TextChoices):
        CANDIDATE = "candidate", "Not yet proven"
        PROVEN = "proven", "Proven"
        NOT_PROVEN = "not_proven", "Not proven"
        QUARANTINED = "quarantined", "Quarantined"
        EXPIRED = "expired", "Expired"

    OUT_OF_SERVICE = (State.QUARANTINED, State.EXPIRED)

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="artifacts")
    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="artifact")
    number = models.PositiveIntegerField()  # per person and kind, from 1
    kind = models.CharField(max_length=12, choices=Kind)
    state = models.CharField(max_length=12, choices=State, default=State.CANDIDATE)
    # sha256 of the contents; the folder's name in the store
    digest = models.CharField(max_length=64, db_index=True)
    size_bytes = models.PositiveBigIntegerField()
    model_revision = models.CharField(max_length=80)
    profile_version = models.ForeignKey(
        "profiles.ProfileVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="artifacts"
    )
    summary = models.JSONField(
        default=dict
    )  # the manifest's metrics: layer, strength, pairs learned from, ...
    parents = models.ManyToManyField("self", symmetrical=False, related_name="children", blank=True)  # merged
    pinned = models.BooleanField(default=False)  # neither expires nor is pruned
    checked_at = models.DateTimeField(null=True, blank=True, db_index=True)  # when every byte was last read
    damage = models.TextField(blank=True)  # what that found; empty: nothing

    objects = ArtifactQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(fields=["person", "kind", "number"], name="artifact_number"),
            models.CheckConstraint(
                condition=~models.Q(pinned=True, state="expired"), name="a_pinned_artifact_does_not_expire"
            ),
        ]
        indexes = [
            models.Index(fields=["state"], name="artifact_by_state"),
            models.Index(fields=["-created_at"], name="artifact_damaged", condition=~models.Q(damage="")),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} v{self.number}"

    @classmethod
    def of_job(cls, job: Job, **fields: Any) -> Artifact:
        """Return the artifact of a job, made at most once; a resumed job finds the first one."""
        with transaction.atomic():
            Job.objects.select_for_update().get(pk=job.pk)
            if found := cls.objects.filter(job=job).first():
                return found
            numbered = cls.objects.filter(person=job.person, kind=fields["kind"])
            last = numbered.aggregate(last=Max("number"))["last"] or 0
            return cls.objects.create(
                job=job, person=job.person, profile_version=job.profile_version, number=last + 1, **fields
            )

    @classmethod
    def named(cls, name: str) -> Artifact:
        """Return the one of this id, or whose digest begins so (six letters at least), with its person.

        Raises AlignError unless there is one. Two queries at most.
        """
        rows = cls.objects.select_related("person", "job", "report_card")
        try:
            found = list(rows.filter(pk=name)[:1])
        except ValidationError:
            found = list(rows.filter(digest__startswith=name.lower())[:2]) if len(name) >= 6 else []
        if len(found) != 1:
            which = "Several artifacts match" if found else "No artifact has the id or digest"
            raise AlignError(f"{which} {name!r}.")
        return found[0]

    @property
    def is_of_several(self) -> bool:
        """Whether several people's adapters are in it, so that it must stay where it can be taken back.

        It is not downloaded, exported or merged further. One query where `job` was not selected.
        """
        return self.job.from_project and self.job.method == MERGE

    @property
    def share(self) -> float:
        """How much of what was learned it holds, 0 to 1: all, or what the safety gate let pass."""
        return float(self.summary.get("share", 1.0))

    @property
    def most_strength(self) -> float:
        """How strongly it may act at most: as it was proven, or stronger where the gate passed that, too.

        One query where `report_card` was not selected.
        """
        card: ReportCard | None = getattr(self, "report_card", None)
        return (card.most_strength if card else None) or 1.0

    @property
    def passed_gate(self) -> bool:
        """Whether it may act at all: it was judged, and the safety gate was asked and found nothing.

        The state alone does not say so: a program without the gate may have proven it. Read from rows; one
        query where `report_card` was not selected.
        """
        if self.state not in (self.State.PROVEN, self.State.NOT_PROVEN):
            return False
        card: ReportCard | None = getattr(self, "report_card", None)
        return card is not None and card.is_safe

    @property
    def state_by_card(self) -> str:
        """The state that follows from the evidence alone, whatever was done since. One query at most."""
        card: ReportCard | None = getattr(self, "report_card", None)
        if card is None:
            return self.State.CANDIDATE
        if not card.is_safe:
            return self.State.QUARANTINED
        return self.State.PROVEN if card.proven else self.State.NOT_PROVEN

    def may_act_for(self, person_id: Any, part: str) -> bool:
        """Say whether it may act as this part of this person's alignment."""
        return self.person_id == person_id and self.kind == part and self.passed_gate

    def judge(self, *, proven: bool, verdict: str, results: dict[str, Any]) -> ReportCard:
        """Store the evidence and the state that follows from it, in one transaction.

        What the safety gate (`results["safety"]`) objects to is quarantined: nobody can switch it on. Raises
        ValueError where the gate was not asked.
        """
        if "objection" not in (results.get("safety") or {}):
            raise ValueError("The safety gate was not asked about this artifact; it cannot be judged.")
        with transaction.atomic():
            card, _ = ReportCard.objects.update_or_create(
                artifact=self, defaults={"proven": proven, "verdict": verdict, "results": results}
            )
            judged = self.State.PROVEN if proven and card.is_safe else self.State.NOT_PROVEN
            # What was taken out of service stays out of it, whatever a late proof says.
            Artifact.objects.filter(pk=self.pk).exclude(state__in=self.OUT_OF_SERVICE).update(
                state=judged if card.is_safe else self.State.QUARANTINED
            )
            self.refresh_from_db(fields=["state"])
        self.report_card = card  # an earlier one may have been read
        return card


class ReportCard(OwnedModel):
    """The evidence for one artifact; its fields follow `personalization.evaluation.report.Report.as_dict`."""

    owner_path = "artifact__person"

    artifact = models.OneToOneField(Artifact, on_delete=models.CASCADE, related_name="report_card")
    proven = models.BooleanField()
    verdict = models.TextField()  # one sentence in plain words
    results = models.JSONField()
    proved_at = models.DateTimeField(auto_now=True)  # the last time: a version can be proven again

    class Meta:
        indexes = [models.Index(fields=["-created_at"], name="card_newest")]  # the latest are read

    @property
    def is_safe(self) -> bool:
        """Whether the safety gate was asked and found nothing."""
        return (self.results.get("safety") or {}).get("objection") == ""

    @property
    def most_strength(self) -> float | None:
        """How strongly it may act at most; None where the gate was not asked about more than strength 1."""
        most: float | None = (self.results.get("safety") or {}).get("most")
        return most

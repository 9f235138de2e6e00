"""A campaign learns anew, or proves again, for many people, some at a time; its rows say where it is."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from alignapp.adapters.models import PROVE, Artifact, Job
from alignapp.leased import NOBODY, LeasedModel
from alignapp.owned import OwnedModel

SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]
MOST_IN_A_WAVE = 1000


class Campaign(LeasedModel):
    """What is learned anew or proven again, for whom, how many at a time, and when it stops by itself."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        STOPPED = "stopped", "Stopped by its rule"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Cancelled"

    class Whom(models.TextChoices):
        ACTIVE = "active", "who has one switched on"
        IN_SERVICE = "in_service", "who has one that is in service, switched on or not"

    ENDED = (State.DONE, State.CANCELLED)
    running: ClassVar[dict[str, str]] = {}  # a worker looks after it in any state, for a moment

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    name = models.CharField(max_length=80)
    method = models.CharField(max_length=40)  # or PROVE
    # What is proven again, where the method is PROVE; a learning method says by itself what it makes.
    kind = models.CharField(max_length=12, blank=True, choices=Artifact.Kind)
    parameters = models.JSONField(default=dict, blank=True)
    # A base model that does not answer yet; empty: the one that does.
    base_revision = models.CharField(max_length=80, blank=True)
    whom = models.CharField(max_length=10, choices=Whom, default=Whom.ACTIVE)
    wave_size = models.PositiveSmallIntegerField(
        default=10, validators=[MinValueValidator(1), MaxValueValidator(MOST_IN_A_WAVE)]
    )
    # A person loses when the new version's win rate lies further than this below the old one's.
    margin = models.FloatField(default=0.1, validators=SHARE)
    # It stops when more than these shares of those who are through lose, or are refused by the gate or fail.
    most_lost = models.FloatField(default=0.3, validators=SHARE)
    most_refused = models.FloatField(default=0.2, validators=SHARE)
    switch_on = models.BooleanField(default=True)  # what is proven and loses nothing

    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    reason = models.TextField(blank=True)  # why it stopped (kept when it ends so), or was paused or cancelled
    wave = models.PositiveIntegerField(default=0)  # the current one, from 1
    judged_from = models.DateTimeField(default=timezone.now)  # the rule counts who got through since
    # Whose versions help as far as was worked out, and from which outcomes and judgements (`guarantee.kept`).
    found = models.JSONField(default=dict, blank=True)
    started_by = models.CharField(max_length=40)  # a pseudonym, or "terminal"
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["method", "base_revision"],
                condition=Q(state__in=["running", "paused", "stopped"]),
                name="one_open_campaign",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def proves(self) -> bool:
        """Whether it learns nothing and proves what people have."""
        return self.method == PROVE

    @property
    def rewrites(self) -> bool:
        """Whether it makes no new version, and writes the report cards of those that there are."""
        return self.proves and not self.base_revision

    @property
    def what(self) -> str:
        """What it does with everybody, in words."""
        return _("prove again: %(kind)s") % {"kind": self.kind} if self.proves else self.method

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will be asked for."""
        return self.state in self.ENDED

    @property
    def broke_its_rule(self) -> bool:
        """Whether its rule said stop, before or when the last person got through."""
        return self.state == self.State.STOPPED or (self.state == self.State.DONE and bool(self.reason))

    @classmethod
    def open_ones(cls) -> models.QuerySet[Campaign]:
        """Return those that something is to be done about: running, with people under way, or to be ended."""
        left = Q(state=Enrolment.State.WAITING, campaign__state=cls.State.CANCELLED)
        under_way = Enrolment.objects.filter(Q(state=Enrolment.State.LEARNING) | left)
        waits = Enrolment.objects.filter(campaign=OuterRef("pk"), state__in=Enrolment.OPEN)
        is_over = Q(state__in=(cls.State.PAUSED, cls.State.STOPPED)) & ~Exists(waits)
        return cls.objects.filter(
            Q(state=cls.State.RUNNING) | Q(pk__in=under_way.values("campaign")) | is_over
        )

    @classmethod
    def claim(cls, campaign_id: uuid.UUID | str, owner: str) -> Campaign | None:
        """Take a campaign for the length of a lease; None while another worker has it."""
        now = timezone.now()
        free = cls.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), pk=campaign_id)
        return cls.objects.get(pk=campaign_id) if free.update(**cls.held_by(owner)) else None

    def release(self, owner: str) -> None:
        """Give it back."""
        Campaign.objects.filter(pk=self.pk, lease_owner=owner).update(**NOBODY)


class Enrolment(OwnedModel):
    """One person in a campaign, and what came of it. At most one job of a person at a time belongs to it."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waits for a wave"
        LEARNING = "learning", "Under way"
        MOVED = "moved", "Proven and switched on"
        READY = "ready", "Proven, not switched on"
        KEPT = "kept", "Proven again"
        NOT_PROVEN = "not_proven", "Not proven; what acted stays"
        LOST = "lost", "Lost win rate; what acted stays"
        REFUSED = "refused", "Refused by the safety gate"
        FAILED = "failed", "The job failed"
        SKIPPED = "skipped", "Left out"

    OPEN = (State.WAITING, State.LEARNING)
    JUDGED = (State.MOVED, State.READY, State.KEPT, State.NOT_PROVEN, State.LOST, State.REFUSED, State.FAILED)

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="enrolments")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="enrolments")
    wave = models.PositiveIntegerField(default=0)  # 0: none yet
    job = models.OneToOneField(
        Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="enrolment"
    )
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    # What acted for the person when the job was asked for, and how often it preferred their choice.
    before_artifact = models.ForeignKey(
        Artifact, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    before = models.FloatField(null=True, blank=True)
    after = models.FloatField(null=True, blank=True)
    after_low = models.FloatField(null=True, blank=True)  # the lower end of its 95 % interval
    note = models.TextField(blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("wave", "created_at")
        constraints = [models.UniqueConstraint(fields=["campaign", "person"], name="enrolled_once")]
        indexes = [
            models.Index(fields=["campaign", "state"], name="enrolment_by_state"),
            models.Index(fields=["campaign", "created_at", "id"], name="enrolment_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.person} in {self.campaign}"

"""A job turns one person's records into one artifact. The row is the truth; Celery only wakes a worker."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Case, F, Q, When
from django.utils import timezone

from alignapp.leased import NOBODY, LeasedModel
from alignapp.owned import OwnedModel
from personalization.errors import AlignError, Cancelled

RETRY_AFTER = timedelta(seconds=10)  # times two to the power of the attempts so far
CURVE_POINTS = 500
# What operators ask for; no learning method has these names.
MERGE = "merge"  # merges adapters
PROVE = "prove"  # proves a version again
STOPPED = "You stopped it."


class Job(OwnedModel, LeasedModel):
    """One run of one method for one person, claimed by a worker for the length of a lease."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Cancelled"
        DEAD = "dead", "Failed"

    class Phase(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DATA = "data", "Reading your feedback"
        LEARN = "learn", "Learning"
        PROVE = "prove", "Proving on held-out feedback"
        FINISHED = "finished", "Finished"

    ENDED = (State.DONE, State.CANCELLED, State.DEAD)
    MAX_ATTEMPTS = 3

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="jobs")
    method = models.CharField(max_length=40)
    # Only a worker that was started with this base model takes it; empty: one with the model that answers.
    base_revision = models.CharField(max_length=80, blank=True, default="")
    parameters = models.JSONField(default=dict, blank=True)
    profile_version = models.ForeignKey(
        "profiles.ProfileVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="jobs"
    )
    # {"seed": 0, "train": [conversation ids], "held_out": [conversation ids]}; set once, by the first attempt
    # Where only "held_out" is given before it, that is held out again, so that two proofs can be compared.
    split = models.JSONField(default=dict, blank=True)

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    phase = models.CharField(max_length=10, choices=Phase, default=Phase.WAITING)
    progress = models.FloatField(default=0.0)  # 0 to 1
    seconds_left = models.FloatField(null=True, blank=True)
    curve = models.JSONField(default=list, blank=True)  # [{"step": 3, "loss": 0.6, "held_out_accuracy": 0.7}]
    priority = models.SmallIntegerField(default=0)  # higher is taken first; operators raise it
    # Learns from what was said in a project of several people (`alignapp.studies`), not in the chat.
    from_project = models.BooleanField(default=False)
    reason = models.TextField(blank=True)  # why it is dead, or what it waits for
    # Where the last attempt broke: files and lines of the program, never an error's message, which may quote.
    traceback = models.TextField(blank=True)
    cancel_requested = models.BooleanField(default=False)

    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(condition=Q(progress__gte=0, progress__lte=1), name="job_progress_range"),
            # One job of a method at a time for each person: a double click makes no second one. A study of a
            # project has one job of each person by its own rows.
            models.UniqueConstraint(
                fields=["person", "method", "base_revision"],
                condition=Q(state__in=["queued", "running"], from_project=False),
                name="one_open_job_per_method",
            ),
        ]
        indexes = [
            # The sweeper looks for jobs whose lease ran out.
            models.Index(
                fields=["lease_until"], name="job_open", condition=Q(state__in=["queued", "running"])
            ),
            # Operators' lists, and the queue.
            models.Index(fields=["-created_at"], name="job_newest"),
            models.Index(fields=["state", "-created_at"], name="job_by_state"),
            models.Index(fields=["finished_at"], name="job_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.method} job {str(self.id)[:8]}"

    @classmethod
    def claim(cls, job_id: uuid.UUID | str, owner: str) -> Job | None:
        """Take a queued job for the length of a lease; None when it is not there to be taken.

        One conditional UPDATE: of many workers that are woken for the same row, one gets it.
        """
        begun = {"attempts": F("attempts") + 1, "started_at": timezone.now(), "reason": ""}
        taken = cls._waiting().filter(pk=job_id).update(**cls.held_by(owner), **begun)
        return cls.objects.filter(pk=job_id).first() if taken else None

    def claim_company(
        self, most: int, owner: Callable[[], str], *, methods: Collection[str], in_turn: bool = False
    ) -> Iterator[Job]:
        """Take up to `most` other people's waiting jobs of these methods, in the queue's order, by `claim`.

        `in_turn`: only those who are next of all that wait for this base model, so that whoever learns
        something else waits for no newcomer. Each gets a lease of its own, in the name of a new `owner`. Only
        first attempts keep company: a job that killed its worker is tried again alone, and so are those that
        were with it.
        """
        if self.attempts > 1:
            return
        for _ in range(most):
            queue = self._queue(self.base_revision)
            alike = queue.filter(method__in=methods, attempts=0).exclude(person=self.person_id)
            found = alike.values_list("pk", flat=True).first()
            if found is None or (in_turn and found != queue.values_list("pk", flat=True).first()):
                return
            if job := Job.claim(found, owner()):
                yield job

    @classmethod
    def _waiting(cls) -> models.QuerySet[Job]:
        due = Q(not_before__isnull=True) | Q(not_before__lte=timezone.now())
        return cls.objects.filter(due, state=cls.State.QUEUED)

    @classmethod
    def next_one(cls, named: uuid.UUID | str, base_revision: str = "") -> uuid.UUID | None:
        """Return the job to do next, for a worker that was woken for the one named; None when none waits.

        In the queue's order; of equals the one named comes first. Two queries.
        """
        return cls._queue(base_revision, named).values_list("pk", flat=True).first()

    @classmethod
    def _queue(cls, base_revision: str, named: uuid.UUID | str | None = None) -> models.QuerySet[Job]:
        """Return the jobs that wait for this base model only; empty: for the one that answers. One query.

        A higher priority comes first; then who has no job running, so that nobody fills every worker; of
        equals the one named, then who waits longest.
        """
        busy = list(cls.objects.filter(state=cls.State.RUNNING).order_by().values_list("person", flat=True))
        has_one = [Case(When(person__in=busy, then=1), default=0)] if busy else []
        named_first = [Case(When(pk=named, then=0), default=1)] if named else []
        order: list[str | Case] = ["-priority", *has_one, *named_first, "created_at"]
        return cls._waiting().filter(base_revision=base_revision).order_by(*order)

    @property
    def system_message(self) -> str:
        """What stands before every prompt: that of the profile that the job is for, empty without one."""
        return self.profile_version.system_message if self.profile_version else ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in self.ENDED

    @property
    def queue_position(self) -> int | None:
        """Its place among the waiting jobs, from 1; None when it does not wait. One query."""
        if self.state != self.State.QUEUED:
            return None
        before = Q(priority__gt=self.priority) | Q(priority=self.priority, created_at__lt=self.created_at)
        return Job.objects.filter(before, state=self.State.QUEUED).count() + 1

    def renew(self) -> None:
        """Keep the lease. Raises LeaseLost, or Cancelled when the person asked to stop."""
        self._hold()
        if Job.objects.filter(pk=self.pk, cancel_requested=True).exists():
            raise Cancelled("The person stopped this job.")

    def report(
        self,
        phase: str,
        progress: float,
        *,
        seconds_left: float | None = None,
        point: dict[str, float] | None = None,
    ) -> None:
        """Say where the job is (`progress` 0 to 1) and renew the lease. Raises as `renew` does.

        `point` is appended to the curve; a resumed job overwrites the points it repeats.
        """
        curve = self.curve
        if point:
            earlier = [p for p in curve if p["step"] < point["step"]]
            curve = [*earlier[-CURVE_POINTS:], point]
        self._change(
            phase=phase, progress=min(max(progress, 0.0), 1.0), seconds_left=seconds_left, curve=curve
        )
        self.renew()

    def keep_split(self, split: dict[str, Any]) -> None:
        """Store the split of the first attempt; later attempts use the same one."""
        self._change(split=split)

    def finish(self) -> None:
        """End well."""
        self._change(
            state=self.State.DONE,
            phase=self.Phase.FINISHED,
            progress=1.0,
            seconds_left=None,
            finished_at=timezone.now(),
            **NOBODY,
        )

    def fail(self, reason: str, *, retryable: bool = True, traceback: str = "") -> None:
        """Put the job back for another attempt, or end it dead with the reason; keep where it broke.

        A last attempt and an error that would come again end it.
        """
        self._change(traceback=traceback)
        if retryable and self.attempts < self.MAX_ATTEMPTS:
            wait = RETRY_AFTER * 2 ** (self.attempts - 1)
            self._change(
                state=self.State.QUEUED,
                phase=self.Phase.WAITING,
                reason=f"Attempt {self.attempts} failed: {reason} It is tried again.",
                not_before=timezone.now() + wait,
                **NOBODY,
            )
        else:
            self._end(self.State.DEAD, reason)

    def release(self) -> None:
        """Give the job back unfinished, as when the worker is told to stop; the attempt is not counted."""
        self._change(
            state=self.State.QUEUED,
            phase=self.Phase.WAITING,
            attempts=max(self.attempts - 1, 0),
            **NOBODY,
        )

    def stop(self) -> None:
        """End a running job that was cancelled, with the reason that `cancel` left."""
        reason = Job.objects.filter(pk=self.pk).values_list("reason", flat=True).first()
        self._end(self.State.CANCELLED, reason or STOPPED)

    def _end(self, state: str, reason: str) -> None:
        self._change(
            state=state,
            reason=reason,
            seconds_left=None,
            finished_at=timezone.now(),
            **NOBODY,
        )

    def cancel(self, reason: str = STOPPED) -> bool:
        """Stop a waiting job at once and a running one at its next report; False for one that has ended."""
        ended = Job.objects.filter(pk=self.pk, state=self.State.QUEUED).update(
            state=self.State.CANCELLED, reason=reason, finished_at=timezone.now()
        )
        if ended:
            return True
        running = Job.objects.filter(pk=self.pk, state=self.State.RUNNING)
        return bool(running.update(cancel_requested=True, reason=reason))

    def put_back(self) -> None:
        """Queue a job that failed or was cancelled, as if it were new; its split and parameters stay.

        Raises AlignError for another state, and when the person has an open job of this method meanwhile.
        """
        ended = Job.objects.filter(pk=self.pk, state__in=(self.State.DEAD, self.State.CANCELLED))
        fresh: dict[str, Any] = {
            "state": self.State.QUEUED,
            "phase": self.Phase.WAITING,
            "progress": 0.0,
            "attempts": 0,
            "reason": "",
            "traceback": "",
            "cancel_requested": False,
            "not_before": None,
            "finished_at": None,
        }
        try:
            with transaction.atomic():
                if not ended.update(**fresh):
                    raise AlignError("Only a job that failed or was cancelled can be tried again.")
        except IntegrityError:
            raise AlignError(f"{self.person} has another open job of {self.method}.") from None

"""Conversations as trees: a turn is a person's message, its replies are the candidates."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from alignapp.leased import NOBODY, LeasedModel, LeaseLost
from alignapp.owned import OwnedModel

ERROR_CHARACTERS = 300


class Conversation(OwnedModel):
    """A thread of turns. Its kind follows PRISM (arXiv:2404.16019)."""

    class Kind(models.TextChoices):
        UNGUIDED = "unguided", "Anything"
        VALUES = "values", "Something about my values"
        CONTROVERSY = "controversy", "A disputed topic"
        API = "api", "By a program"

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations"
    )
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.UNGUIDED)
    title = models.CharField(max_length=200, blank=True)
    updated_at = models.DateTimeField(auto_now=True)
    personalised = models.BooleanField(default=True)  # False: only the base model answers here
    for_training = models.BooleanField(default=True)  # False: nothing here is learned from
    # Not shown, and deleted then: what a program asked without wanting it stored.
    expires_at = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        ordering = ("-updated_at",)

    def __str__(self) -> str:
        return self.title or "New conversation"


class Turn(OwnedModel):
    """One message of the person. A regenerated or edited turn is a sibling: same parent reply."""

    owner_path = "conversation__person"

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    parent = models.ForeignKey(
        "chat.Reply", null=True, blank=True, on_delete=models.CASCADE, related_name="next_turns"
    )
    text = models.TextField()
    # What stood before a program's message, [{"role": ..., "content": ...}]; empty in the chat.
    earlier = models.JSONField(default=list, blank=True)
    chosen = models.ForeignKey(
        "chat.Reply", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    blind = models.BooleanField(default=True)  # makers are hidden until the person rated or picked
    revealed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("created_at",)

    @property
    def is_blind(self) -> bool:
        """Say whether the makers are still hidden."""
        return self.blind and self.revealed_at is None

    def reveal(self) -> None:
        """Show who made the candidates, for good. The first moment counts."""
        now = timezone.now()
        if Turn.objects.filter(pk=self.pk, revealed_at=None).update(revealed_at=now):
            self.revealed_at = now

    def choose(self, reply: Reply) -> None:
        """Let the conversation go on with this reply, which is one of this turn's own."""
        self.chosen = reply
        self.save(update_fields=["chosen"])


class Reply(OwnedModel, LeasedModel):
    """One candidate answer to a turn, and everything that shaped it."""

    owner_path = "turn__conversation__person"

    class Maker(models.TextChoices):
        BASE = "base", "Base model"
        SYSTEM_MESSAGE = "system_message", "With your system message"
        ALIGNMENT = "alignment", "Your alignment"
        SAMPLING = "sampling", "Other sampling"

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        STOPPED = "stopped"
        FAILED = "failed"

    ENDED = (Status.DONE, Status.STOPPED, Status.FAILED)
    lease_setting = "REPLY_LEASE_SECONDS"
    running = {"status": Status.RUNNING}

    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="replies")
    position = models.PositiveSmallIntegerField()  # where it is shown, from 0; random, stored
    maker = models.CharField(max_length=20, choices=Maker)
    is_comparison = models.BooleanField(default=False)  # made by "what would base have said", not a candidate
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    text = models.TextField(blank=True)
    error = models.CharField(max_length=ERROR_CHARACTERS, blank=True)

    # What shaped it.
    profile_version = models.ForeignKey(
        "profiles.ProfileVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="replies"
    )
    alignment_version = models.ForeignKey(
        "adapters.AlignmentVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="replies"
    )
    system_message = models.TextField(blank=True)
    # [{"artifact": uuid, "digest": sha256, "strength": 1.0, "kind": a part of the composition}]
    interventions = models.JSONField(default=list, blank=True)
    sampling = models.JSONField(
        default=dict
    )  # personalization.engine.requests.Sampling as a dict, seed included
    # "Think longer": {"best_of": attempts}; then which one was kept, from 0, and all tokens that were written
    # ("chosen", "tokens"), or why there was only one ("reason"). "reward": the id of a project's reward model
    # that chooses, instead of the person's own.
    decoding = models.JSONField(default=dict, blank=True)
    model_revision = models.CharField(max_length=80, blank=True)

    # How it went.
    finish_reason = models.CharField(max_length=20, blank=True)  # eos, length, cancelled
    token_count = models.PositiveIntegerField(default=0)
    prompt_token_count = models.PositiveIntegerField(default=0)
    first_token_ms = models.PositiveIntegerField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    @property
    def has_ended(self) -> bool:
        """Say whether nothing more will be added to the text."""
        return self.status in self.ENDED

    @property
    def maker_words(self) -> str:
        """Say who wrote it. One more draw of the same is told by what shaped it: one maker wrote it, too."""
        if self.maker != self.Maker.SAMPLING:
            return self.get_maker_display()
        shape = self.Maker.SYSTEM_MESSAGE if self.system_message else self.Maker.BASE
        maker = self.Maker.ALIGNMENT if self.interventions else shape
        return _("%(maker)s, another draw") % {"maker": maker.label}

    @property
    def first_token_seconds(self) -> float | None:
        """Return how long its first token took, from when a worker had it."""
        return None if self.first_token_ms is None else self.first_token_ms / 1000

    @property
    def duration_seconds(self) -> float | None:
        """Return how long all of it took."""
        return None if self.duration_ms is None else self.duration_ms / 1000

    @classmethod
    def claim(cls, reply_id: UUID | str, owner: str) -> Reply | None:
        """Take a queued reply for the length of a lease; None when it is not there to be taken.

        One conditional UPDATE: of many workers that are woken for the same row, one gets it.
        """
        waiting = cls.objects.filter(pk=reply_id, status=cls.Status.QUEUED)
        taken = waiting.update(**cls.held_by(owner))
        related = cls.objects.select_related("turn__conversation")
        return related.filter(pk=reply_id, lease_owner=owner).first() if taken else None

    @property
    def attempts(self) -> int:
        """How many answers are written so that one is shown."""
        return int(self.decoding.get("best_of", 1))

    def think_no_longer(self, reason: str, sampling: dict[str, Any]) -> bool:
        """Write down that it is one answer, so sampled, and why, while the lease is ours; as `finish`."""
        return self._write(sampling=sampling, decoding={**self.decoding, "best_of": 1, "reason": reason})

    def renew(self) -> bool:
        """Keep the lease; False when the row is somebody else's by now, or gone."""
        return self._write(**self.held_by(self.lease_owner))

    def finish(self, status: str, **fields: Any) -> bool:
        """End with what came of it; False when the row is somebody else's by now, or gone."""
        return self._write(status=status, finished_at=timezone.now(), **NOBODY, **fields)

    def fail(self, reason: str, **fields: Any) -> bool:
        """End with an error that the person reads; returns as `finish` does."""
        return self.finish(self.Status.FAILED, error=reason[:ERROR_CHARACTERS], **fields)

    def release(self) -> bool:
        """Put the row back unwritten, for another worker; returns as `finish` does."""
        return self._write(status=self.Status.QUEUED, **NOBODY)

    def weaken(self, part: dict[str, Any], strength: float) -> bool:
        """Let one part shape this reply less, or at 0 not at all, before it is written; returns as `finish`.

        Where nothing else shapes it, its maker is named accordingly.
        """
        weaker = [{**part, "strength": strength}] if strength > 0 else []
        rest = [kept for other in self.interventions for kept in (weaker if other == part else [other])]
        fields: dict[str, Any] = {"interventions": rest}
        if not rest and self.maker != self.Maker.SAMPLING:
            fields["maker"] = self.Maker.SYSTEM_MESSAGE if self.system_message else self.Maker.BASE
        return self._write(**fields)

    def _write(self, **fields: Any) -> bool:
        """Write fields while the lease is ours; False when it is not."""
        try:
            self._change(**fields)
        except LeaseLost:  # whoever streams has nothing to undo: it only stops
            return False
        return True

    class Meta:
        ordering = ("position",)
        constraints = [models.UniqueConstraint(fields=["turn", "position"], name="one_reply_per_position")]
        indexes = [
            # The sweeper looks for replies whose worker is gone.
            models.Index(
                fields=["lease_until"],
                name="reply_open",
                condition=models.Q(status__in=["queued", "running"]),
            ),
            # What is measured by the minute.
            models.Index(fields=["finished_at"], name="reply_by_end"),
        ]

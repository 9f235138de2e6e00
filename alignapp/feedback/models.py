"""What a person shows: one append-only row per act of feedback. A change of mind is a new row."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from alignapp.owned import OwnedModel


class Act(models.Model):
    """What an act of feedback carries, in the chat and in the annotators' console alike."""

    class Kind(models.TextChoices):
        RATING = "rating", "Rating"
        PICK = "pick", "Pick"
        RANKING = "ranking", "Ranking"
        THUMB = "thumb", "Thumb"
        EDIT = "edit", "Edited answer"
        CRITIQUE = "critique", "Critique"
        FOLLOW_UP = "follow_up", "Follow-up"
        REPEAT = "repeat", "Blind repeat"  # the same two answers judged again; never learned from

    kind = models.CharField(max_length=12, choices=Kind)
    protocol = models.CharField(max_length=40)  # how it was asked: "slider-1-100", "pick-1-of-n", ...
    score = models.PositiveSmallIntegerField(null=True, blank=True)  # rating, 1 to 100
    thumb = models.SmallIntegerField(null=True, blank=True)  # 1 or -1
    ranking = models.JSONField(
        null=True, blank=True
    )  # [[id of an answer, ...], ...] best first; a tie shares a list
    text = models.TextField(blank=True)  # edit, critique, follow-up
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    input_kind = models.CharField(max_length=12, blank=True)  # keyboard, pointer, touch

    class Meta:
        abstract = True


class Feedback(Act, OwnedModel):
    """One act. `kind` says which of score, thumb, ranking, text and reply it carries."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="feedback")
    turn = models.ForeignKey("chat.Turn", on_delete=models.CASCADE, related_name="feedback")
    reply = models.ForeignKey(
        "chat.Reply", null=True, blank=True, on_delete=models.CASCADE, related_name="feedback"
    )
    # The candidates in the order shown: [{"reply": uuid, "maker": "base", "digests": [...]}]
    shown = models.JSONField(default=list)
    blind = models.BooleanField(default=True)  # False when the makers had been revealed before
    profile_version = models.ForeignKey(
        "profiles.ProfileVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("created_at", "id")
        constraints = [
            models.CheckConstraint(
                name="feedback_carries_what_its_kind_says",
                condition=(
                    Q(kind="rating", reply__isnull=False, score__gte=1, score__lte=100)
                    | Q(kind="pick")  # no reply: none of them is good
                    | Q(kind="repeat")  # no reply: both are alike now
                    | Q(kind="ranking", ranking__isnull=False)
                    | Q(kind="thumb", reply__isnull=False, thumb__in=[-1, 1])
                    | (Q(kind__in=["edit", "critique"], reply__isnull=False) & ~Q(text=""))
                    | (Q(kind="follow_up", reply__isnull=False) & ~Q(text=""))
                ),
            )
        ]

    @property
    def answer_id(self) -> Any:
        """The id of the answer that it is about; None where it is about all of a turn."""
        return self.reply_id

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only. Raises TypeError when the row exists."""
        if not self._state.adding:
            raise TypeError("Feedback is never changed; add a new row.")
        super().save(*args, **kwargs)


class GapResolution(OwnedModel):
    """What a person says to a gap between a stated value and their ratings. The latest word counts."""

    class Gap(models.TextChoices):
        SAID = "said", "Said, not shown"
        SHOWN = "shown", "Shown, not said"

    class Decision(models.TextChoices):
        CHANGED = "changed", "I changed"
        NOISE = "noise", "Noise"
        CONTEXT = "context", "Depends on context"

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="resolutions")
    value = models.CharField(max_length=80)  # a key of the taxonomy
    gap = models.CharField(max_length=8, choices=Gap)
    decision = models.CharField(max_length=8, choices=Decision)
    note = models.CharField(max_length=500, blank=True)
    evidence = models.JSONField(default=dict)  # what the ratings said then: value, low, high, n, p

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(fields=["person", "value", "gap"], name="one_resolution_of_a_gap"),
            models.CheckConstraint(name="context_says_which", condition=~Q(decision="context") | ~Q(note="")),
        ]

"""What a program was answered, so that the same request twice is done once."""

from __future__ import annotations

from datetime import timedelta

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from alignapp.api.models import ApiToken
from alignapp.owned import OwnedModel

KEPT = timedelta(days=1)


class AnsweredRequest(OwnedModel):
    """One act that a token asked for under an `Idempotency-Key`, with its answer, for a day."""

    owner_path = "token__person"

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="answered_requests")
    key = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64)  # SHA-256 of method, address and body
    answer = models.JSONField(default=dict, encoder=DjangoJSONEncoder)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "key"], name="one_answer_per_key")]
        indexes = [models.Index(fields=["created_at"], name="answered_by_time")]

    def __str__(self) -> str:
        return f"answer to {self.key}"

    @classmethod
    def forget_old(cls) -> None:
        """Delete the answers that nobody asks for again."""
        cls.objects.filter(created_at__lt=timezone.now() - KEPT).delete()

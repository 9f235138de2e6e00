"""An append-only record of who did what with whose data, chained by hashes so that tampering shows."""

from django.conf import settings
from django.db import models


class AuditEvent(models.Model):
    """One act: actor, verb, object, reason. Its hash covers the row before it. See `services.record`."""

    at = models.DateTimeField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # Whose data it was about: the object's owner, or the actor where there is no object.
    subject = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    actor_label = models.CharField(max_length=40)  # the pseudonym, or "worker" or "system"
    subject_label = models.CharField(max_length=40, blank=True)
    verb = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    # What is masked when a person leaves. The chain covers its salted digest, so it holds afterwards;
    # the salt goes too, so that nobody can guess from the digest what was there.
    reason = models.CharField(max_length=500, blank=True)
    evidence = models.JSONField(default=dict, blank=True)  # never a person's own words
    salt = models.CharField(max_length=32, blank=True)
    detail_digest = models.CharField(max_length=64)
    masked = models.BooleanField(default=False)
    # Unique: two events can never follow the same one.
    previous_hash = models.CharField(max_length=64, unique=True)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(fields=["verb", "id"], name="audit_by_verb"),
            models.Index(fields=["object_id", "id"], name="audit_by_object"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} by {self.actor_label}"

    @property
    def receipt(self) -> str:
        """The event's number and the beginning of its hash, by which anybody finds it in the record."""
        return f"{self.pk}-{self.hash[:12]}"


class ChainHead(models.Model):
    """The end of the chain: one signed row, locked by whoever appends, so that a cut-off end shows."""

    count = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64)
    signature = models.CharField(max_length=64, blank=True)  # by SECRET_KEY, which the database does not hold


class AuditCheck(models.Model):
    """One walk over the whole chain, by a worker: what it found. See `chain.verify_chain`."""

    asked_at = models.DateTimeField(auto_now_add=True)
    asked_by = models.CharField(max_length=40)  # a pseudonym, or "system"
    finished_at = models.DateTimeField(null=True, blank=True)
    events = models.PositiveBigIntegerField(default=0)
    problems = models.JSONField(default=list)  # [{"event": 12, "what": "it was edited"}], the first ones
    problem_count = models.PositiveIntegerField(default=0)
    head = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ("-id",)

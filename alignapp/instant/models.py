"""The vector that follows every rating: the states it is made of, where it starts, and the switches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction

from alignapp.owned import OwnedModel

if TYPE_CHECKING:
    from alignapp.accounts.models import Person
    from alignapp.chat.models import Reply
    from alignapp.instant.evidence import Evidence
    from personalization.steering.instant import MeanStates
    from personalization.steering.reward import Reward


class ReplyStates(OwnedModel):
    """What the base model's layers hold while it reads one answer, without system message or artifact.

    Answers are comparable across time only so: what shaped an answer is not in its states.
    """

    owner_path = "reply__turn__conversation__person"

    reply = models.OneToOneField("chat.Reply", on_delete=models.CASCADE, related_name="states")
    model_revision = models.CharField(max_length=80)
    layers = models.JSONField()  # their numbers, in the order of `means`
    tokens = models.PositiveIntegerField()
    means = models.BinaryField()  # personalization.steering.instant.pack

    class Meta:
        verbose_name_plural = "reply states"

    @classmethod
    def keep(cls, reply: Reply, model_revision: str, states: MeanStates) -> None:
        """Store an answer's states, in place of earlier ones."""
        from personalization.steering.instant import pack

        cls.objects.update_or_create(
            reply=reply,
            defaults={
                "model_revision": model_revision,
                "layers": list(states.layers),
                "tokens": states.tokens,
                "means": pack(states.means),
            },
        )


class InstantChoice(models.Model):
    """A person's switch. Without a row it is on, alone or beside stated values, at the full share."""

    owner_path = "person"

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="instant_choice"
    )
    on = models.BooleanField(default=True)
    beside = models.BooleanField(default=False)  # also next to what was learned and is switched on
    # How much of what the evidence carries acts.
    share = models.FloatField(default=1.0, validators=[MinValueValidator(0.0), MaxValueValidator(1.0)])
    since = models.DateTimeField(null=True, blank=True)  # older ratings were put aside ("forget")
    starts = models.BooleanField(default=True)  # from stated values and the common taste, where there is one
    gives = models.BooleanField(default=False)  # what the ratings say to the next common taste

    @classmethod
    def of(cls, person: Person) -> InstantChoice:
        """Return the person's choice; an unsaved one with the defaults where there is none."""
        return cls.objects.filter(person=person).first() or cls(person=person)


class CommonTaste(models.Model):
    """What people who agreed to it like on average, with noise. Of a model's, the latest acts.

    An empty `mean` was let go; its row stays, for it says when the next one may be made.
    """

    model_revision = models.CharField(max_length=80)
    layers = models.JSONField()
    mean = models.BinaryField()  # float32, (layers * hidden,); personalization.steering.shared.Common
    people = models.PositiveIntegerField()
    privacy = models.FloatField()  # mu of the noise that is in it
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"common taste of {self.people} people"


class PersonalReward(models.Model):
    """What tells which of several answers the person would rate highest: a head on states, and its worth.

    At most one of a person; it follows every rating, as the vector does.
    """

    owner_path = "person"

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="reward"
    )
    model_revision = models.CharField(max_length=80)
    layers = models.JSONField()
    weights = models.BinaryField()  # float32, (layers, hidden)
    summary = models.JSONField()  # personalization.steering.reward.Reward.as_dict
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"reward from {self.summary['ratings']} ratings"

    @classmethod
    def keep(cls, person: Person, evidence: Evidence) -> None:
        """Store what the ratings say now; nothing where they say nothing."""
        reward = evidence.reward
        if reward is None:
            cls.objects.filter(person=person).delete()
            return
        cls.objects.update_or_create(
            person=person,
            defaults={
                "model_revision": evidence.model_revision,
                "layers": list(evidence.layers),
                "weights": reward.weights.astype("<f4").tobytes(),
                "summary": reward.as_dict(),
            },
        )

    @property
    def percent(self) -> int:
        """How many of a hundred pairs of held-out answers it orders as the person did."""
        return round(100 * float(self.summary["accuracy"]["value"]))

    def head(self) -> Reward:
        """Return the reward as the library has it."""
        from personalization.steering.reward import Reward

        return Reward.of_bytes(bytes(self.weights), len(self.layers), self.summary)

    @property
    def is_useful(self) -> bool:
        """Say whether it orders held-out answers better than chance."""
        return bool(self.summary.get("useful"))


class InstantVector(OwnedModel):
    """One state of the vector: a sealed folder in the artifact store. At most one of a person is current.

    It acts as far as it passed the safety gate; a worker asks the gate before the first reply it shapes.
    """

    class State(models.TextChoices):
        NEW = "new", "Not yet tested"
        PASSED = "passed", "Passed the safety gate"
        QUARANTINED = "quarantined", "Quarantined"

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="instant_vectors"
    )
    is_current = models.BooleanField(default=True)
    state = models.CharField(max_length=12, choices=State, default=State.NEW)
    digest = models.CharField(max_length=64)  # the folder's name in the store
    weights = models.CharField(max_length=64)  # SHA-256 of the tensor's file: the same vector, the same
    model_revision = models.CharField(max_length=80)
    # What it started from besides the person's own; once that was let go, it acts no more.
    taste = models.ForeignKey(CommonTaste, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    ratings = models.PositiveIntegerField()
    prompts = models.PositiveIntegerField()
    strength = models.FloatField()  # 0 to 1, the share of the limit that the evidence carries
    summary = models.JSONField(default=dict)  # personalization.steering.instant.Direction.as_dict
    # personalization.safety.gate.Gate.as_dict, and the share of the strength that was asked about last.
    gate = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["person"], condition=models.Q(is_current=True), name="one_current_instant_vector"
            )
        ]

    def __str__(self) -> str:
        return f"vector from {self.ratings} ratings"

    @property
    def safe_share(self) -> float:
        """How much of it may act, 0 to 1: as much as passed the gate, and all of it until it is asked."""
        if self.state == self.State.QUARANTINED:
            return 0.0
        return float((self.gate or {}).get("share", 1.0))

    def judge(self, gate: dict[str, Any], share: float = 1.0) -> None:
        """Store what the gate found at this share: an objection quarantines. The first verdict counts."""
        state = self.State.QUARANTINED if gate["objection"] else self.State.PASSED
        found = {**gate, "share": share}
        with transaction.atomic():
            InstantVector.objects.filter(pk=self.pk, state=self.State.NEW).update(state=state, gate=found)
        self.refresh_from_db()

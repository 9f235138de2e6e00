"""A person's alignment: which system message, vectors and adapter shape their replies, and how strongly."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction

from alignapp.owned import OwnedModel
from personalization.errors import AlignError

from .artifact import MOST_STRENGTH, Artifact

STRENGTH: dict[str, Any] = {
    "default": 1.0,
    "validators": [MinValueValidator(0.0), MaxValueValidator(MOST_STRENGTH)],
}

PARTS = ("adapter", "vector", "personality", "values")
COMPOSITION = (
    "use_system_message",
    "adapter",
    "adapter_strength",
    "vector",
    "vector_strength",
    "personality",
    "personality_strength",
    "values",
    "values_strength",
)


class SwitchedMeanwhile(AlignError):
    """Another switch came first; look at the page again and repeat it."""

    retryable = True


class AlignmentVersion(OwnedModel):
    """One composition, never changed. Every reply names the version that made it."""

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alignment_versions"
    )
    number = models.PositiveIntegerField()
    use_system_message = models.BooleanField(default=True)
    adapter = models.ForeignKey(Artifact, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    adapter_strength = models.FloatField(**STRENGTH)
    vector = models.ForeignKey(Artifact, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    vector_strength = models.FloatField(**STRENGTH)
    personality = models.ForeignKey(
        Artifact, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    personality_strength = models.FloatField(**STRENGTH)
    values = models.ForeignKey(Artifact, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    values_strength = models.FloatField(**STRENGTH)
    change = models.CharField(max_length=200)  # "Switched on adapter v2", "Vector strength 0.6"

    class Meta:
        ordering = ("-number",)
        constraints = [models.UniqueConstraint(fields=["person", "number"], name="alignment_version_number")]

    def __str__(self) -> str:
        return f"alignment v{self.number}"

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that act: the person's own, switched on, with a strength above 0, past the gate.

        Up to two queries a part where the artifacts and their report cards were not selected.
        """
        return tuple(part for part in PARTS if self._acts(part))

    def composition(self) -> dict[str, Any]:
        """Return the fields that a next version starts from."""
        return {name: getattr(self, name) for name in COMPOSITION}

    def _acts(self, part: str) -> bool:
        artifact: Artifact | None = getattr(self, part)
        if artifact is None or getattr(self, f"{part}_strength") == 0:
            return False
        return artifact.may_act_for(self.person_id, part)


class Alignment(models.Model):
    """The pointer to a person's current composition; switching moves it in one conditional update."""

    owner_path = "person"

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="alignment"
    )
    current = models.ForeignKey(AlignmentVersion, on_delete=models.RESTRICT, related_name="+")

    @classmethod
    def switch(cls, person: Any, previous: AlignmentVersion | None, **composition: Any) -> AlignmentVersion:
        """Make the next version and move the pointer to it, all or nothing.

        `previous` is the version that the person saw. Raises SwitchedMeanwhile when it is not the
        current one any more, ValidationError for a strength out of range, and AlignError for an artifact that
        may not act. One that `previous` holds may stay, though it acts no more: other parts go on changing.
        """
        for part in Artifact.Kind.values:
            artifact: Artifact | None = composition.get(part)
            if artifact is None or artifact.pk == getattr(previous, f"{part}_id", None):
                continue
            if not Artifact.objects.get(pk=artifact.pk).may_act_for(person.pk, part):
                raise AlignError(f"{artifact} did not pass your safety gate and cannot be switched on.")
        with transaction.atomic():
            version = AlignmentVersion(
                person=person, number=previous.number + 1 if previous else 1, **composition
            )
            version.clean_fields()
            taken = AlignmentVersion.objects.filter(person=person, number=version.number)
            if taken.select_for_update().exists():
                raise SwitchedMeanwhile("Something else was switched meanwhile. Look again and repeat it.")
            version.save(force_insert=True)
            if previous is None:
                cls.objects.create(person=person, current=version)
            elif not cls.objects.filter(person=person, current=previous).update(current=version):
                raise SwitchedMeanwhile("Something else was switched meanwhile. Look again and repeat it.")
        return version

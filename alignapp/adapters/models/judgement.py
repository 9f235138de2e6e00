"""What a person says of a fresh answer of their model beside the base model's, not knowing which is which."""

from __future__ import annotations

from django.db import models

from alignapp.owned import OwnedModel

from .artifact import Artifact


class Judgement(OwnedModel):
    """One blind comparison of fresh answers; `position` is its place among the card's fresh answers."""

    owner_path = "artifact__person"

    class Answer(models.TextChoices):
        ARTIFACT = "artifact", "The artifact's answer"
        BASE = "base", "The base model's answer"
        ALIKE = "alike", "Alike"

    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="judgements")
    position = models.PositiveSmallIntegerField()
    answer = models.CharField(max_length=8, choices=Answer)
    artifact_first = models.BooleanField()  # for a look at whether the left side wins by itself

    class Meta:
        ordering = ("artifact", "position")
        constraints = [models.UniqueConstraint(fields=["artifact", "position"], name="judged_once")]


# What an answer counts for the artifact's win rate.
WORTH: dict[str, float] = {
    Judgement.Answer.ARTIFACT: 1.0,
    Judgement.Answer.ALIKE: 0.5,
    Judgement.Answer.BASE: 0.0,
}

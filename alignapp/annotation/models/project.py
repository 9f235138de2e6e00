"""A project: what is asked of whom, and how. Knows nothing of its items and answers."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Max, Q
from django.utils.translation import get_language_info

from alignapp.annotation.access import InProjectQuerySet
from alignapp.owned import OwnedModel

SHORTEST_SECONDS = 5  # of a time limit
GUIDELINES_CHARACTERS = 100_000
SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]


class Project(OwnedModel):
    """One collection of judgements. It belongs to its owner; managers and annotators are members."""

    owner_path = "owner"
    project_path = ""

    class Strategy(models.TextChoices):
        RANDOM = "random", "Random"
        FILL = "fill", "Finish begun items first"
        ACTIVE = "active", "Least certain first"

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="owned_projects"
    )
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True, max_length=2_000)
    languages = models.JSONField(default=list, blank=True)  # ["en", "de"], BCP 47
    consent_text = models.TextField(blank=True, max_length=20_000)
    # How it is asked, in the order of the page: [{"name": "pick-1-of-n", "required": true, ...settings}]
    protocols = models.JSONField(default=list)
    overlap = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1)])
    # Of the items, the share that two people judge where `overlap` is 1.
    double_share = models.FloatField(default=0.0, validators=SHARE)
    candidates_shown = models.PositiveSmallIntegerField(default=0)  # 0: all of an item; 2: pairs of them
    # Answers that are written for an item that comes without, and how freely. 0: none.
    generated = models.PositiveSmallIntegerField(default=2, validators=[MaxValueValidator(8)])
    # Who writes them, in turn: "base", or a maker and the member whose model it is ("alignment:<id>").
    writers = models.JSONField(default=list, blank=True)
    temperature = models.FloatField(  # as in the chat at first
        default=0.85, validators=[MinValueValidator(0.0), MaxValueValidator(2.0)]
    )
    blind = models.BooleanField(default=True)  # annotators do not see who made a candidate
    shuffled = models.BooleanField(default=True)  # each annotator gets a random order, which is stored
    repeat_share = models.FloatField(default=0.0, validators=SHARE)  # hidden repeats, of what a person does
    gold_share = models.FloatField(default=0.1, validators=SHARE)  # gold and attention items, likewise
    # Attention checks that somebody may miss before no more items come; None: any number.
    attention_limit = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    # For each item, while its page is visible; then a complete answer is taken and others get what is not.
    time_limit_seconds = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(SHORTEST_SECONDS)]
    )
    payment = models.CharField(max_length=200, blank=True)  # what the annotators are told of it
    strategy = models.CharField(max_length=10, choices=Strategy, default=Strategy.FILL)
    is_open = models.BooleanField(default=True)

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(name="project_overlap_is_positive", condition=Q(overlap__gte=1)),
            models.CheckConstraint(
                name="project_shares_are_shares",
                condition=Q(double_share__range=(0, 1), repeat_share__range=(0, 1), gold_share__range=(0, 1)),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def language_names(self) -> list[tuple[str, str]]:
        """Return the project's languages with what they are called; an unknown code is its own name."""
        return [(code, _language_name(code)) for code in self.languages]

    @property
    def only_language(self) -> str:
        """Return the language of items that name none, where the project has one; "" where it has several."""
        return str(self.languages[0]) if len(self.languages) == 1 else ""

    @property
    def guidelines(self) -> Guidelines | None:
        """Return the version in force; None before there is any. One query."""
        return self.guideline_versions.order_by("-number").first()


def _language_name(code: str) -> str:
    try:
        return str(get_language_info(code.lower())["name_translated"])
    except KeyError:
        return code


class Guidelines(OwnedModel):
    """One version of what annotators are told, as Markdown. Never changed: an edit is a new version."""

    owner_path = "project__owner"
    project_path = "project"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guideline_versions")
    number = models.PositiveIntegerField()
    text = models.TextField(max_length=GUIDELINES_CHARACTERS)
    note = models.CharField(max_length=300, blank=True)  # what is new in it

    objects = InProjectQuerySet.as_manager()  # type: ignore[misc] # the base has a plainer one

    class Meta:
        ordering = ("-number",)
        verbose_name_plural = "guidelines"
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="one_guidelines_of_a_number")
        ]

    def __str__(self) -> str:
        return f"v{self.number}"

    @classmethod
    def add(cls, project: Project, text: str, note: str = "") -> Guidelines:
        """Store the next version. Two at once: the second raises IntegrityError."""
        last = project.guideline_versions.aggregate(last=Max("number"))["last"] or 0
        return cls.objects.create(project=project, number=last + 1, text=text, note=note)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only. Raises TypeError when the row exists."""
        if not self._state.adding:
            raise TypeError("Guidelines are never changed; add a new version.")
        super().save(*args, **kwargs)

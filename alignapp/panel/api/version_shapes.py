"""What goes in and comes out of the addresses about people's versions, field by field, as in `shapes`."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Schema
from pydantic import Field

from alignapp.adapters import acts, asking
from alignapp.adapters.models import Artifact
from alignapp.panel.api.shapes import Asked, Given, JobDetails


class AskedArtifacts(Asked):
    """Which artifacts."""

    state: Artifact.State | None = None
    kind: Artifact.Kind | None = None
    person: str = Field("", max_length=16, description="Pseudonym")
    method: str = ""
    model: str = Field("", description="Revision of the base model")
    damaged: bool = Field(default=False, description="Only those whose files were found changed or missing")


class ArtifactFacts(Schema):
    """One version of a person's adapter or vector."""

    id: UUID
    name: str
    person: str
    kind: str
    state: str
    pinned: bool
    method: str
    model_revision: str
    size_bytes: int
    digest: str
    created_at: datetime


class ListedArtifact(ArtifactFacts):
    """The same, and whether it is switched on."""

    active: bool


class Finding(Schema):
    """One number of a report card, as the panel writes it."""

    name: str
    value: str
    interval: str


class ArtifactDetails(ArtifactFacts):
    """All that is said of one version."""

    aliases: list[str]
    parents: list[str]
    parameters: dict[str, Any]
    verdict: str
    objection: str | None = Field(description="Of the safety gate; empty: none, null: it was not asked")
    findings: list[Finding]
    damage: str
    possible: list[str] = Field(description="Acts that make sense now")


class AlarmFacts(Schema):
    """A version that loses blind comparisons; `done` is rolled_back, undone (by the person) or pinned."""

    artifact: UUID
    name: str
    person: str
    at: str
    done: str
    back_to: UUID | None
    evidence: dict[str, Any]


class ArtifactAct(Given):
    """What to do with an artifact, and why."""

    act: str = Field(json_schema_extra={"enum": list(acts.BY_NAME)})
    reason: str = Field(min_length=1, max_length=500)


class Parent(Given):
    """One adapter of a merge."""

    artifact: UUID
    weight: float = 1.0


class Merge(Given):
    """Which adapters to merge, how, and why; of several people those that one study made."""

    parents: list[Parent] = Field(min_length=2)
    way: str
    parameters: dict[str, float] = Field(default_factory=dict)
    reason: str = Field(min_length=1, max_length=500)


class ComparedArtifact(Schema):
    """One of several versions side by side."""

    id: UUID
    name: str
    person: str
    state: str


class ComparedLine(Schema):
    """What was measured, and what each card says of it, in the order of `artifacts`."""

    name: str
    values: list[str]


class Compared(Schema):
    """Several versions side by side; numbers as the page words them, those of pairs as measured."""

    artifacts: list[ComparedArtifact]
    lines: list[ComparedLine]
    held_out: dict[str, Any] | None
    weights: list[dict[str, Any]] | None
    waits: list[str]


class Prove(Given):
    """Why a version is proven again; `base_revision`: on this base model, empty on the one that answers."""

    reason: str = Field(min_length=1, max_length=500)
    base_revision: str = ""


class Give(Given):
    """Why members who agreed are given a version of a group's merge."""

    reason: str = Field(min_length=1, max_length=500)


class GivenJobs(Schema):
    """The jobs that make a version for each member."""

    jobs: list[JobDetails]


class Ask(Given):
    """Which versions to ask what, and why: the first so many neutral questions, and your own."""

    artifacts: list[UUID] = Field(min_length=1, max_length=asking.MOST_ARTIFACTS)
    neutral: int = Field(0, ge=0, le=asking.MOST_PROMPTS)
    prompts: list[str] = Field(default_factory=list, max_length=asking.MOST_PROMPTS)
    reason: str = Field(min_length=1, max_length=500)


class Answer(Schema):
    """One answer, as far as it is written; of the base model where `artifact` is null."""

    artifact: UUID | None
    name: str
    person: str | None
    text: str
    has_ended: bool
    error: str


class Question(Schema):
    """One question, and what each answers."""

    question: str
    answers: list[Answer]


class AskedAnswers(Schema):
    """What was asked; look again under its id until it has ended."""

    id: UUID
    has_ended: bool
    questions: list[Question]


class Prune(Given):
    """Which versions to delete: as many as `GET pruning` counted, and not one more."""

    days: int
    keep: int
    states: list[Artifact.State] = Field(default_factory=list)
    count: int = Field(ge=0)
    reason: str = Field(min_length=1, max_length=500)


class Doomed(Schema):
    """What a rule would delete now."""

    rule: str
    count: int
    data: list[ArtifactFacts]


class Pruned(Schema):
    """What a rule deleted."""

    rule: str
    deleted: list[str]


class Verified(Schema):
    """What reading every byte of an artifact found; empty: nothing."""

    damage: str

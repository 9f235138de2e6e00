"""What goes in and comes out, field by field: what is not named here leaves no address of this API."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from ninja import Schema
from pydantic import ConfigDict, Field

from alignapp.adapters import acts, asking
from alignapp.adapters.models import Artifact, Job
from alignapp.panel.forms import REASON_CHARACTERS
from alignapp.panel.jobs import ACTS, PRIORITIES
from alignapp.panel.pages.listing import PER_PAGE

MOST_PER_PAGE = 200
Row = TypeVar("Row")


class Given(Schema):
    """What a program sends; a field that is not known is an error, not silence."""

    model_config = ConfigDict(extra="forbid")


class Asked(Schema):
    """Which page of a list: `before` is the `next` of the page before it."""

    before: str = ""
    limit: int = Field(PER_PAGE, ge=1, le=MOST_PER_PAGE)


class AskedArtifacts(Asked):
    """Which artifacts."""

    state: Artifact.State | None = None
    kind: Artifact.Kind | None = None
    person: str = Field("", max_length=16, description="Pseudonym")
    method: str = ""
    model: str = Field("", description="Revision of the base model")


class AskedJobs(Asked):
    """Which jobs."""

    id: str = Field("", description="Id, or its beginning")
    state: Job.State | None = None
    method: str = ""
    person: str = Field("", max_length=16, description="Beginning of a pseudonym")
    older: str = Field("", description="Asked for more than an hour, a day or a week ago: hour, day, week")


class AskedPeople(Asked):
    """Which people."""

    person: str = Field("", max_length=16, description="Beginning of a pseudonym")


class AskedEvents(Asked):
    """Which events of the audit record."""

    verb: str = Field("", description="Verb, or its beginning")
    actor: str = Field("", description="Pseudonym")
    subject: str = Field("", description="Pseudonym")
    since: date | None = None
    until: date | None = None


class Page(Schema, Generic[Row]):
    """One page, newest first. `count` stops at a thousand; then `is_counted` is false."""

    data: list[Row]
    next: str | None
    count: int
    is_counted: bool


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


class JobFacts(Schema):
    """One job."""

    id: UUID
    state: str
    phase: str
    person: str
    method: str
    progress: float
    priority: int
    attempts: int
    seconds_left: float | None
    cause: str
    asked_for: datetime
    ended: datetime | None


class JobDetails(JobFacts):
    """One job with its curve, and where it broke: files and lines, never a message."""

    queue_position: int | None
    traceback: str
    curve: list[dict[str, float]]


class WorkerFacts(Schema):
    """What a worker said of itself last."""

    name: str
    alive: bool
    seconds_silent: int
    queues: list[str]
    device: str
    memory_bytes: int
    device_memory_bytes: int
    model_revision: str
    versions: dict[str, str]
    resident: list[str]


class JobsByState(Schema):
    """Open and failed jobs of one state."""

    state: str
    count: int
    oldest: datetime | None


class Point(Schema):
    """One number of one minute, hour or day."""

    at: datetime
    mean: float
    total: float
    most: float


class Overview(Schema):
    """How everything is (`levels`), what was ever counted (`totals`), and how it was (`trend`).

    Of the levels people, artifacts and jobs that ended are those of the last minute that was measured.
    """

    at: datetime
    levels: dict[str, float]
    totals: dict[str, float]
    first_token_p95_seconds: float | None
    jobs: list[JobsByState]
    queues_without_worker: list[str]
    trend: dict[str, list[Point]]


class PersonFacts(Schema):
    """A person in numbers."""

    id: UUID
    person: str
    is_active: bool
    joined: datetime
    artifacts: int
    jobs: int


class PersonDetails(PersonFacts):
    """The same, with what is switched on and whether training is consented to."""

    consented: bool
    conversations: int
    feedback: int
    active: list[UUID]
    alignment_version: int | None


class EventFacts(Schema):
    """One event of the audit record: what its hash is made of, without what may quote a person."""

    id: int
    at: datetime
    actor_label: str
    subject_label: str
    verb: str
    object_type: str
    object_id: str
    detail_digest: str
    masked: bool
    previous_hash: str
    hash: str


class ArtifactAct(Given):
    """What to do with an artifact, and why."""

    act: str = Field(json_schema_extra={"enum": list(acts.BY_NAME)})
    reason: str = Field(min_length=1, max_length=500)


class JobAct(Given):
    """What to do with a job, and why; `prioritise` takes a `priority`."""

    act: str = Field(json_schema_extra={"enum": [*ACTS, "prioritise"]})
    reason: str = Field(min_length=1, max_length=REASON_CHARACTERS)
    priority: int | None = Field(None, ge=PRIORITIES[0], le=PRIORITIES[1])


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


class ErrorBody(Schema):
    """What went wrong, for people (`message`) and programs (`code`, `param`)."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(Schema):
    """The shape of every error."""

    error: ErrorBody

"""What goes in and comes out, field by field: what is not named here leaves no address of this API."""

from __future__ import annotations

from datetime import date, datetime
from typing import Generic, TypeVar
from uuid import UUID

from ninja import Schema
from pydantic import ConfigDict, Field

from alignapp.adapters.models import Job
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


class JobAct(Given):
    """What to do with a job, and why; `prioritise` takes a `priority`."""

    act: str = Field(json_schema_extra={"enum": [*ACTS, "prioritise"]})
    reason: str = Field(min_length=1, max_length=REASON_CHARACTERS)
    priority: int | None = Field(None, ge=PRIORITIES[0], le=PRIORITIES[1])


class ErrorBody(Schema):
    """What went wrong, for people (`message`) and programs (`code`, `param`)."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(Schema):
    """The shape of every error."""

    error: ErrorBody

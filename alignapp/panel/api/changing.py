"""What changes for many: campaigns, options (limits, presets, methods) and base models, field by field."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Schema
from pydantic import Field

from alignapp.adapters.models import PROVE
from alignapp.adapters.proofs import KINDS
from alignapp.campaigns import running
from alignapp.campaigns.models import MOST_IN_A_WAVE, Campaign, Enrolment
from alignapp.panel.api.shapes import Asked, Given
from alignapp.panel.forms import REASON_CHARACTERS

REASON = Field(min_length=1, max_length=REASON_CHARACTERS)


class CampaignFacts(Schema):
    """One campaign in numbers; `reason` says why it stopped, or was paused or cancelled."""

    id: UUID
    name: str
    state: str
    reason: str
    method: str
    kind: str
    parameters: dict[str, float]
    base_revision: str
    whom: str
    wave: int
    wave_size: int
    people: int
    outcomes: dict[str, int] = Field(description="How many people are through, or not yet, and how")
    change: float | None = Field(description="Mean change of the win rate, where both are known")
    started_by: str
    created_at: datetime
    finished_at: datetime | None


class AskedEnrolments(Asked):
    """Whose places in a campaign."""

    state: Enrolment.State | None = None


class EnrolmentFacts(Schema):
    """One person in a campaign, and what came of it."""

    person: str
    state: str
    wave: int
    job: UUID | None
    before: float | None
    after: float | None
    settled_at: datetime | None


class WantedCampaign(Given):
    """What is learned anew, for whom, how many at a time, and when it stops by itself."""

    method: str = Field(description=f"Or {PROVE}: prove again what people have")
    kind: str = Field("", description=f"What {PROVE} proves: {' or '.join(KINDS)}; empty otherwise")
    name: str = Field("", max_length=80, description="Empty: the method and the base model")
    parameters: dict[str, float] = Field(default_factory=dict)
    base_revision: str = Field("", description="One that does not answer yet")
    whom: Campaign.Whom = Campaign.Whom.ACTIVE
    wave_size: int = Field(10, ge=1, le=MOST_IN_A_WAVE)
    margin: float = Field(0.1, ge=0, le=1, description="How far a win rate may fall")
    most_lost: float = Field(0.3, ge=0, le=1)
    most_refused: float = Field(0.2, ge=0, le=1)
    switch_on: bool = True

    def wanted(self) -> Campaign:
        """Return the campaign, not stored."""
        given = self.model_dump(exclude={"reason", "people"})
        return Campaign(**{**given, "name": self.name or f"{self.method} {self.base_revision}".strip()[:80]})


class StartedCampaign(WantedCampaign):
    """The same with a reason, and as many people as `POST campaigns/plan` counted."""

    people: int = Field(ge=1)
    reason: str = REASON


class CampaignPlan(Schema):
    """What a campaign would do; null where no job of the method was done here yet."""

    people: int
    left_out: int
    waves: int
    minutes: float | None
    size_bytes: float | None
    workers: int
    start_worker: str = Field(description="What starts a worker that would take its jobs, where none lives")


class CampaignAct(Given):
    """What to do with a campaign, and why."""

    act: str = Field(json_schema_extra={"enum": list(running.BY_NAME)})
    reason: str = REASON


class OptionFacts(Schema):
    """One option: a limit, `method.NAME` (on or off) or `preset.NAME` (what differs from its own)."""

    name: str
    label: str
    kind: str
    value: Any
    default: Any
    low: float | None
    high: float | None
    parameters: dict[str, dict[str, float]] = Field(description="Of a preset: default, low and high")


class OptionDetails(OptionFacts):
    """The same with the number of its last change, to be sent with the next."""

    seen: int


class AskedChanges(Asked):
    """Which changes."""

    name: str = Field("", description="Of one option")


class ChangeFacts(Schema):
    """One change of an option; null is the program's own value."""

    id: int
    at: datetime
    name: str
    before: Any
    value: Any
    by: str
    reason: str


class OptionSet(Given):
    """A new value, null for the program's own, and why."""

    value: float | bool | dict[str, float] | None
    reason: str = REASON
    seen: int | None = Field(None, description="Refused where there is a later change than this one")


class Why(Given):
    """A reason."""

    reason: str = REASON


class Tried(Given):
    """Parameters of a method that differ from its own."""

    parameters: dict[str, float] = Field(default_factory=dict)


class Spread(Schema):
    """The middle of several numbers and what nine of ten stay below."""

    middle: float
    nine_of_ten_below: float
    n: int


class DryRun(Schema):
    """What a job with these parameters would take, by those that ended well here."""

    method: str
    parameters: dict[str, float]
    jobs: int
    same_parameters: int
    asked_for_in_a_week: int
    failed: int
    pairs: Spread | None
    minutes: Spread | None
    memory_bytes: Spread | None
    worker_minutes_a_day: float | None


class ModelFacts(Schema):
    """What is on record of a base model; `checks` in their order."""

    id: UUID
    spec: str
    name: str
    revision: str
    content_hash: str
    licence: str
    state: str
    progress: float
    reason: str
    is_default: bool
    moving: bool
    checked_at: datetime | None
    facts: dict[str, Any]
    checks: list[dict[str, Any]]


class NewModel(Given):
    """A base model to put on record: `embedded`, a folder's whole path, or a hub id."""

    spec: str = Field(min_length=1, max_length=300)
    licence: str = Field("", max_length=100)


class DefaultModel(Why):
    """Move everybody to a base model: its name, typed, and why."""

    name: str

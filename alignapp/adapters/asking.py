"""Put the same questions to several artifacts and to the base model, for an operator who compares.

Knows nothing of engines or pages. Questions are neutral ones or the operator's own: no message, profile or
system message of a person is put to the model, and each of those whose artifact is asked reads who asked and
why. Questions and answers lie in the broker only, for an hour; erasing a person removes theirs at once.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import redis
from django.db import transaction

from alignapp.adapters import dispatch
from alignapp.adapters.models import Artifact
from alignapp.audit.services import record
from alignapp.chat import streams
from personalization.errors import AlignError
from personalization.values.prompts import REPORT

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

NEUTRAL = REPORT[:8]
MOST_ARTIFACTS, MOST_PROMPTS, PROMPT_CHARACTERS = 6, 4, 2000
KEPT_SECONDS = 3600
STALLED_SECONDS = 120  # without a word; then no worker took it on
AWAY = "The broker does not answer, so nothing can be asked now."


@dataclass(frozen=True, slots=True)
class Column:
    """Who is asked: an artifact, or the base model (all empty)."""

    artifact: str = ""
    digest: str = ""
    name: str = ""
    person: str = ""  # pseudonym


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of whom, by whom (an id, or "terminal") and when (seconds since 1970)."""

    id: str
    by: str
    at: float
    prompts: Sequence[str]
    columns: Sequence[Column]

    def cell_id(self, prompt: int, column: int) -> str:
        """Return the name of one answer: of its stream, and of the message that wakes a worker for it."""
        return f"{self.id}:{prompt}:{column}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One answer, as far as it was written."""

    column: Column
    text: str
    has_ended: bool
    error: str


def ask(by: Person | str, artifacts: Sequence[Artifact], prompts: Sequence[str], reason: str) -> Asked:
    """Have a generation worker put the questions to each artifact and to the base model; on record.

    Raises AlignError without a reason, for no or too many artifacts or questions, for an artifact that may
    not act, and where the broker does not answer.
    """
    questions = list(dict.fromkeys(text for prompt in prompts if (text := prompt.strip())))
    _check(artifacts, questions, reason)
    columns = [Column(), *(Column(str(a.pk), a.digest, str(a), a.person.pseudonym) for a in artifacts)]
    made = Asked(str(uuid.uuid4()), _label(by), time.time(), questions, columns)
    cells = [(i, j) for i in range(len(questions)) for j in range(len(columns))]
    neutral = sum(question in NEUTRAL for question in questions)
    try:
        with transaction.atomic():
            for artifact in artifacts:
                record(
                    by, "artifact.asked", artifact, reason=reason, questions=len(questions), neutral=neutral
                )
            _keep(made, artifacts)
            for i, j in cells:
                dispatch.wake_for_asked(made.cell_id(i, j))
    except redis.RedisError:
        raise AlignError(AWAY) from None
    return made


def find(asked_id: object, by: Person | str) -> Asked | None:
    """Return what this person asked; None for somebody else's, and once it has expired."""
    found = _read(asked_id)
    return found if found is not None and found.by == _label(by) else None


def answers(asked: Asked) -> list[tuple[str, list[Cell]]]:
    """Return each question with its answers so far. One query.

    Of an artifact that was deleted or taken out of service meanwhile nothing is shown any more. Raises
    AlignError where the broker does not answer.
    """
    ids = [column.artifact for column in asked.columns if column.artifact]
    acting: set[str] = {
        str(artifact.pk)
        for artifact in Artifact.objects.select_related("report_card").filter(pk__in=ids)
        if artifact.passed_gate
    }
    try:
        return [
            (prompt, [_cell(asked, i, j, acting) for j in range(len(asked.columns))])
            for i, prompt in enumerate(asked.prompts)
        ]
    except redis.RedisError:
        raise AlignError(AWAY) from None


def take(cell_id: str) -> tuple[Asked, str, Column] | None:
    """Return what one message asks for, its question and whom: once, and None for what has expired."""
    asked_id, _, place = cell_id.partition(":")
    found = _read(asked_id)
    if found is None or not streams.connection().set(f"asked:{cell_id}:taken", 1, nx=True, ex=KEPT_SECONDS):
        return None
    prompt, column = map(int, place.split(":"))
    return found, found.prompts[prompt], found.columns[column]


def _check(artifacts: Sequence[Artifact], questions: Sequence[str], reason: str) -> None:
    if not reason.strip():
        raise AlignError("Say why: whoever it was learned from reads who asked it, and why.")
    if not 1 <= len(artifacts) <= MOST_ARTIFACTS:
        raise AlignError(f"Choose 1 to {MOST_ARTIFACTS} to ask, not {len(artifacts)}.")
    if not 1 <= len(questions) <= MOST_PROMPTS:
        raise AlignError(f"Choose or type 1 to {MOST_PROMPTS} questions, not {len(questions)}.")
    if any(len(question) > PROMPT_CHARACTERS for question in questions):
        raise AlignError(f"A question has at most {PROMPT_CHARACTERS} characters.")
    for artifact in artifacts:
        if not artifact.passed_gate:
            raise AlignError(f"{artifact} is out of service or was not tested for safety; leave it out.")


def _keep(asked: Asked, artifacts: Sequence[Artifact]) -> None:
    streams.connection().set(f"asked:{asked.id}", json.dumps(asdict(asked)), ex=KEPT_SECONDS)
    for column, artifact in enumerate(artifacts, start=1):
        streams.note(artifact.person_id, *(asked.cell_id(i, column) for i in range(len(asked.prompts))))


def _read(asked_id: object) -> Asked | None:
    try:
        kept = streams.connection().get(f"asked:{asked_id}")
    except redis.RedisError:
        raise AlignError(AWAY) from None
    if not kept:
        return None
    given: dict[str, Any] = json.loads(str(kept))
    return Asked(**{**given, "columns": [Column(**each) for each in given["columns"]]})


def _cell(asked: Asked, prompt: int, number: int, acting: set[str]) -> Cell:
    column = asked.columns[number]
    if column.artifact and column.artifact not in acting:
        return Cell(column, "", has_ended=True, error="It was deleted or taken out of service meanwhile.")
    text, done = streams.so_far(asked.cell_id(prompt, number))
    if done is None and not text and time.time() - asked.at > STALLED_SECONDS:
        return Cell(column, "", has_ended=True, error="No generation worker took it on. Ask again.")
    return Cell(column, text, done is not None, str((done or {}).get("error", "")))


def _label(by: Person | str) -> str:
    return by if isinstance(by, str) else str(by.pk)

"""What programs read of artifacts and base models, by terminal and API. No word of a person."""

from __future__ import annotations

from typing import Any

from alignapp.adapters import asking
from alignapp.adapters.aliases import aliases_of
from alignapp.adapters.models import Artifact, KnownModel, LiveAlarm


def facts(artifact: Artifact) -> dict[str, Any]:
    """Return what a list says of an artifact, JSON-ready. No query where person and job were selected."""
    return {
        "id": str(artifact.pk),
        "name": str(artifact),
        "person": artifact.person.pseudonym,
        "kind": artifact.kind,
        "state": artifact.state,
        "pinned": artifact.pinned,
        "method": artifact.job.method,
        "model_revision": artifact.model_revision,
        "size_bytes": artifact.size_bytes,
        "digest": artifact.digest,
        "created_at": artifact.created_at.isoformat(timespec="seconds"),
    }


def more_facts(artifact: Artifact) -> dict[str, Any]:
    """Return all that is said of one artifact. Four queries."""
    card = getattr(artifact, "report_card", None)
    return {
        **facts(artifact),
        "aliases": aliases_of(artifact.person, artifact.kind).of(artifact),
        "parents": [parent.digest for parent in artifact.parents.all()],
        "parameters": artifact.summary.get("parameters", {}),
        "verdict": card.verdict if card else "",
        "damage": artifact.damage,
    }


def alarm_facts(alarm: LiveAlarm) -> dict[str, Any]:
    """Return one alarm of daily use, JSON-ready. No query where its artifacts and person were selected."""
    done = "undone" if alarm.undone_at else "rolled_back" if alarm.rolled_back else "pinned"
    return {
        "artifact": str(alarm.artifact_id),
        "name": str(alarm.artifact),
        "person": alarm.person.pseudonym,
        "at": alarm.created_at.isoformat(timespec="seconds"),
        "done": done,
        "back_to": str(alarm.back_to_id) if alarm.back_to_id else None,
        "evidence": alarm.evidence,
    }


def asked_facts(asked: asking.Asked) -> dict[str, Any]:
    """Return what was asked of whom, with the answers so far, JSON-ready. One query."""
    rows = asking.answers(asked)
    return {
        "id": asked.id,
        "has_ended": all(cell.has_ended for _prompt, cells in rows for cell in cells),
        "questions": [
            {
                "question": prompt,
                "answers": [
                    {
                        "artifact": cell.column.artifact or None,
                        "name": cell.column.name or "base model",
                        "person": cell.column.person or None,
                        "text": cell.text,
                        "has_ended": cell.has_ended,
                        "error": cell.error,
                    }
                    for cell in cells
                ],
            }
            for prompt, cells in rows
        ],
    }


def model_facts(known: KnownModel) -> dict[str, Any]:
    """Return what is on record of a base model, JSON-ready."""
    return {
        "id": str(known.pk),
        "spec": known.spec,
        "name": known.name,
        "revision": known.revision,
        "content_hash": known.content_hash,
        "licence": known.licence,
        "state": known.state,
        "progress": known.progress,
        "reason": known.reason,
        "is_default": known.is_default,
        "moving": known.moving,
        "checked_at": known.checked_at.isoformat() if known.checked_at else None,
        "facts": known.facts,
        "checks": known.checks,
    }

"""What programs read of an artifact, on the terminal and through the API. No word of a person."""

from __future__ import annotations

from typing import Any

from alignapp.adapters.aliases import aliases_of
from alignapp.adapters.models import Artifact


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

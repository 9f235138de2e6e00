"""Which base model answers now, as the generation workers say it themselves."""

from __future__ import annotations

from alignapp.adapters.models import Artifact
from alignapp.panel.models import Worker
from workers import queues


def served_revisions() -> set[str]:
    """Return the base models that living generation workers have loaded; none without one. One query."""
    alive = Worker.alive().exclude(model_revision="")
    return {worker.model_revision for worker in alive if queues.GENERATE in worker.queues}


def is_served(artifact: Artifact) -> bool:
    """Say whether an artifact's base model answers now; without a living worker nobody knows, so yes."""
    served = served_revisions()
    return not served or artifact.model_revision in served

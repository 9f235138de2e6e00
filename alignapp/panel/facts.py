"""What programs read of jobs and workers, on the terminal and through the API. No word of a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from alignapp.adapters.models import Job
from alignapp.panel.models import Worker
from alignapp.panel.pages.jobs import cause


def job_facts(job: Job) -> dict[str, Any]:
    """Return a job without what may quote a person, JSON-ready. No query where the person was selected."""
    return {
        "id": str(job.id),
        "state": job.state,
        "phase": job.phase,
        "person": job.person.pseudonym,
        "method": job.method,
        "progress": job.progress,
        "priority": job.priority,
        "attempts": job.attempts,
        "seconds_left": job.seconds_left,
        "cause": cause(job),
        "asked_for": job.created_at.isoformat(timespec="seconds"),
        "ended": job.finished_at.isoformat(timespec="seconds") if job.finished_at else None,
    }


def worker_facts(worker: Worker, now: datetime) -> dict[str, Any]:
    """Return what a worker said of itself last, JSON-ready."""
    return {
        "name": worker.name,
        "alive": worker.is_alive,
        "seconds_silent": round((now - worker.seen_at).total_seconds()),
        "queues": worker.queues,
        "device": worker.device,
        "memory_bytes": worker.memory_bytes,
        "device_memory_bytes": worker.device_memory_bytes,
        "model_revision": worker.model_revision,
        "versions": worker.versions,
        "resident": worker.resident,
    }

"""What programs read of jobs, workers and options, by terminal and API. No word of a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from alignapp.adapters.models import Job, OptionChange
from alignapp.adapters.options import Option
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


def option_facts(option: Option, now: Any) -> dict[str, Any]:
    """Return what an option is now and what it may be, JSON-ready; `null` where there are no bounds."""
    bounds = (option.low, option.high) if option.kind in ("whole", "number") else (None, None)
    return {
        "name": option.name,
        "label": str(option.label),
        "kind": option.kind,
        "value": now,
        "default": option.default(),
        "low": bounds[0],
        "high": bounds[1],
        "parameters": {
            name: {"default": p.default, "low": p.range.low, "high": p.range.high}
            for name, p in option.parameters.items()
        },
    }


def change_facts(change: OptionChange) -> dict[str, Any]:
    """Return one change of an option, JSON-ready; `null` stands for the program's own value."""
    return {
        "id": change.pk,
        "at": change.created_at.isoformat(timespec="seconds"),
        "name": change.name,
        "before": change.before,
        "value": change.value,
        "by": change.by_label,
        "reason": change.reason,
    }

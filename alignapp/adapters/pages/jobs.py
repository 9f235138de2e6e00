"""A job as it is watched: where it is, how long it still takes, what it measured so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alignapp.adapters.charts import job_curves
from alignapp.adapters.models import MERGE, PROVE, Job, MethodInfo
from alignapp.adapters.pages.parts import method_title
from alignapp.adapters.phases import phase_words, steps_of


@dataclass(frozen=True, slots=True)
class PhaseView:
    """One step of a job: done, current or ahead."""

    label: str
    state: str


def job_page(job: Job) -> dict[str, Any]:
    """Return the context of a job's page and of the part that moves."""
    info = MethodInfo.objects.filter(name=job.method).first()
    return {
        **progress_of(job),
        "title": method_title(info) if info else untaught(job.method),
        "info": info,
        # What a project asked for is asked for again on the project's page.
        "can_try_again": job.state in (Job.State.DEAD, Job.State.CANCELLED) and not job.from_project,
    }


def progress_of(job: Job) -> dict[str, Any]:
    """Return what every page of a job shows, its person's and the operators'. At most two queries."""
    return {
        "job": job,
        "artifact": getattr(job, "artifact", None),
        "position": job.queue_position,
        "percent": round(100 * job.progress),
        "phases": phase_views(job),
        "phase": phase_words(job),
        "when_done": steps_of(job).done,
        "curves": job_curves(job.curve),
        "time_left": time_left(job.seconds_left),
        "n_train": len(job.split.get("train", ())),
        "n_held_out": len(job.split.get("held_out", ())),
    }


def phase_views(job: Job) -> list[PhaseView]:
    """Return the steps of a job; of one that was stopped the step where it stopped is marked."""
    steps = [Job.Phase.DATA, Job.Phase.LEARN, Job.Phase.PROVE]
    words = steps_of(job)
    at = steps.index(job.phase) if job.phase in steps else -1  # type: ignore[arg-type]
    if job.state == Job.State.DONE:
        at = len(steps)
    here = "stopped" if job.has_ended else "current"
    return [
        PhaseView(words.of(step), "done" if i < at else here if i == at else "ahead")
        for i, step in enumerate(steps)
    ]


def time_left(seconds: float | None) -> str:
    """Say roughly how long it still takes."""
    if seconds is None:
        return ""
    if seconds < 50:
        return _("less than a minute left")
    minutes = max(1, round(seconds / 60))
    return ngettext("about %(n)d minute left", "about %(n)d minutes left", minutes) % {"n": minutes}


def untaught(name: str) -> str:
    """Return the title of a job that no learning method does."""
    return {MERGE: _("Adapter merged of several"), PROVE: _("A version proven again")}.get(name, name)


def titles() -> dict[str, str]:
    """Return every method's title by name."""
    return {name: untaught(name) for name in (MERGE, PROVE)} | {
        info.name: method_title(info) for info in MethodInfo.objects.all()
    }

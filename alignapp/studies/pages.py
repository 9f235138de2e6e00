"""What the page of a project's models shows: who is in a study, how far it is, and what it found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from alignapp import charts
from alignapp.adapters.models import Artifact, Job
from alignapp.annotation.models import Project
from alignapp.studies import reward_page, services
from alignapp.studies.models import Arm, Study
from alignapp.studies.report import Compared, Report, kept

VERDICTS = {
    "own": gettext_lazy("their own is better"),
    "group": gettext_lazy("the group's is better"),
    "open": gettext_lazy("cannot be told"),
    "few": gettext_lazy("too few held-out items"),
}
EARLIER = 10


@dataclass(frozen=True, slots=True)
class JobView:
    """One job of a study: whose it is, where it is, and why it failed."""

    who: str
    job: Job | None
    percent: int
    comparisons: int | None
    note: str  # why there is no job, or what is to be known of its adapter

    @property
    def words(self) -> str:
        """The note, and why the job ended where it did not end well."""
        return " ".join(filter(None, (self.note, self.job.reason if self.job else "")))


def page(project: Project, study: Study | None) -> dict[str, Any]:
    """Return the context of the whole page."""
    earlier = Study.objects.filter(project=project)
    return {
        **part(project, study),
        "plan": services.plan(project),
        "methods": list(services.methods()),
        "earlier": list(earlier[:EARLIER]),
    }


def part(project: Project, study: Study | None) -> dict[str, Any]:
    """Return the context of the part that moves: one study."""
    if study is None:
        return {"project": project, "study": None}
    arms = list(study.arms.select_related("person", "job").order_by("-comparisons", "id"))
    jobs = [study.reward_job, study.group_job, *(arm.job for arm in arms)]
    present = [job for job in jobs if job is not None]
    found = kept(study, arms)
    return {
        "project": project,
        "study": study,
        "views": _views(study, arms, _notes(present)),
        "is_open": any(not job.has_ended for job in present),
        "percent": _percent(present),
        "n_held_out": len(study.split.get("held_out", ())),
        "n_train": len(study.split.get("train", ())),
        "report": found,
        "reward": reward_page.view_of(study, arms),
        "overall_chart": _overall_chart(found),
        "people_chart": _people_chart(found),
        "rows": [(one, VERDICTS[one.verdict]) for one in found.people],
    }


def _views(study: Study, arms: list[Arm], notes: dict[object, str]) -> list[JobView]:
    group, reward = study.group_job, study.reward_job
    views = []
    if reward is not None and study.withdrawn_at is None:
        views.append(JobView(_("Reward models"), reward, _percent([reward]), None, ""))
    if study.method and study.withdrawn_at is None:
        note = notes.get(group.pk, "") if group else _("Its job was deleted.")
        views.append(JobView(_("The group"), group, _percent([group] if group else []), None, note))
    for arm in arms:
        without = _("In the group's only: too few of their own.") if study.method else ""
        note = notes.get(arm.job.pk, "") if arm.job else without
        percent = _percent([arm.job] if arm.job else [])
        views.append(JobView(str(arm.person), arm.job, percent, arm.comparisons, note))
    return views


def _notes(jobs: list[Job]) -> dict[object, str]:
    """Return what is to be known of the jobs' adapters beside the comparison. One query."""
    found = Artifact.objects.filter(job__in=jobs, state=Artifact.State.QUARANTINED)
    words = _("The safety gate objects: nobody can use it. It is compared all the same.")
    return dict.fromkeys(found.values_list("job_id", flat=True), words)


def _percent(jobs: list[Job]) -> int:
    done = [1.0 if job.has_ended else job.progress for job in jobs]
    return round(100 * sum(done) / len(done)) if done else 0


def _overall_chart(found: Report) -> charts.BarChart | None:
    if found.overall is None:
        return None
    names = {
        "own": _("Each person's own adapter"),
        "group": _("The group's adapter"),
        "others": _("The reward model of the other people"),
        "base": _("The base model"),
    }
    bars = [
        charts.Bar(name, one.value, one.low, one.high, one.n, "" if arm == "own" else "muted")
        for arm, name in names.items()
        if (one := found.overall.accuracy.get(arm)) is not None
    ]
    return charts.bar_chart(
        _("Prefers what the person preferred"),
        bars,
        scale=charts.Scale(reference=0.5),
        note=_("The dashed line is a coin. All people's held-out comparisons."),
    )


def _people_chart(found: Report) -> charts.BarChart | None:
    if not found.people:
        return None
    shown = [*found.people, found.overall] if found.overall else found.people
    bars = [_bar(one) for one in shown]
    ends = [end for bar in bars for end in (bar.value, bar.low, bar.high) if end is not None]
    return charts.bar_chart(
        _("Own adapter minus the group's, in points of the share"),
        bars,
        scale=charts.symmetric(ends, at_least=10.0, number=charts.signed(0)),
        note=_("Right of the line a person's own adapter is better, left of it the group's."),
    )


def _bar(one: Compared) -> charts.Bar:
    difference = one.difference
    low, high = (100 * end if math.isfinite(end) else None for end in (difference.low, difference.high))
    kind = {"own": "", "group": "warn"}.get(one.verdict, "muted")
    name = one.person or pgettext("people", "Everybody")
    return charts.Bar(name, 100 * difference.value, low, high, difference.n, kind)

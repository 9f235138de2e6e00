"""The page "My alignment", gathered in a handful of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alignapp.adapters import composition, services
from alignapp.adapters.models import AlignmentVersion, Artifact, Job
from alignapp.adapters.pages.advice import advice_view
from alignapp.adapters.pages.learning import learn_views
from alignapp.adapters.pages.parts import artifact_groups, part_views
from alignapp.adapters.readiness import given_by
from alignapp.audit.models import AuditEvent
from alignapp.feedback import repeats
from alignapp.instant.pages import instant_view
from alignapp.profiles.services import current_profile

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

HISTORY_LENGTH = 20


def alignment_page(person: Person) -> dict[str, Any]:
    """Return the context of "My alignment"."""
    version = services.current_alignment(person)
    profile = current_profile(person)
    artifacts = list(Artifact.objects.for_person(person).select_related("report_card", "job"))
    jobs = list(Job.objects.for_person(person).filter(state__in=[Job.State.QUEUED, Job.State.RUNNING]))
    history = AlignmentVersion.objects.for_person(person).select_related(*composition.PARTS)
    given = given_by(person)
    learn = learn_views(person, jobs, given)
    names = {view.info.name: view.title for view in learn}
    return {
        "version": version,
        "profile": profile,
        "uses_message": bool(profile and profile.system_message)
        and (version is None or version.use_system_message),
        "parts": part_views(version, artifacts),
        "instant": instant_view(person, version),
        "artifacts": artifact_groups(artifacts, version),
        "jobs": [(job, names.get(job.method, job.method)) for job in jobs],
        "learn": learn,
        "offered": [view for view in learn if view.is_offered],
        "advice": advice_view(person, given, learn),
        "history": list(history[:HISTORY_LENGTH]),
        "operated": _operated(person),
        "consistency": repeats.consistency(person),
        "is_empty": not artifacts and profile is None and not jobs,
    }


def _operated(person: Person) -> set[str]:
    """Return the ids of the versions that somebody else made, as the record says."""
    switched = AuditEvent.objects.filter(subject=person, verb="alignment.switched").exclude(actor=person)
    return set(switched.order_by("-id").values_list("object_id", flat=True)[:HISTORY_LENGTH])

"""The page "My alignment", gathered in a handful of queries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from alignapp.adapters import composition, live, services
from alignapp.adapters.models import AlignmentVersion, Artifact, Job
from alignapp.adapters.pages.advice import advice_view
from alignapp.adapters.pages.jobs import untaught
from alignapp.adapters.pages.learning import learn_views
from alignapp.adapters.pages.live import live_view
from alignapp.adapters.pages.parts import artifact_groups, part_views
from alignapp.adapters.phases import phase_words
from alignapp.adapters.readiness import given_by
from alignapp.adapters.removal import taken_back
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
    instant = instant_view(person, version)
    return {
        "version": version,
        "profile": profile,
        "uses_message": bool(profile and profile.system_message)
        and (version is None or version.use_system_message),
        "parts": part_views(version, artifacts),
        "instant": instant,
        "live": live_view(live.live_of(person)),
        "alarms": [(alarm, live.evidence_words(alarm.evidence)) for alarm in live.unread(person)],
        "taken_back": taken_back(person, version),
        "artifacts": artifact_groups(artifacts, version),
        "jobs": [(job, names.get(job.method) or untaught(job.method), phase_words(job)) for job in jobs],
        "learn": learn,
        "offered": [view for view in learn if view.is_offered],
        "advice": advice_view(person, given, learn),
        "history": _with_who(person, history[:HISTORY_LENGTH]),
        "consistency": repeats.consistency(person),
        "is_empty": not (artifacts or profile or jobs or instant.is_acting),
    }


def _with_who(person: Person, versions: Iterable[AlignmentVersion]) -> list[tuple[AlignmentVersion, str]]:
    """Return versions, each with who made it: the person, or what the audit record says. Two queries."""
    found = list(versions)
    events = AuditEvent.objects.filter(
        subject=person, verb="alignment.switched", object_id__in=[str(version.pk) for version in found]
    )
    others = dict(events.exclude(actor=person).values_list("object_id", "actor_label"))
    names = {"system": _("by itself"), "worker": _("by itself")}
    return [
        (version, names.get(by, _("by an operator")) if (by := others.get(str(version.pk))) else _("by you"))
        for version in found
    ]

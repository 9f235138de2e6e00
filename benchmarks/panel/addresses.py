"""What is asked for: every GET route of the panel and of its API, and lists with filters and further down."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count
from django.test import Client
from django.urls import reverse

from alignapp.accounts.models import Person
from alignapp.adapters import asking, comparison
from alignapp.adapters.models import Artifact, Job, KnownModel
from alignapp.annotation.models import Membership, Project
from alignapp.campaigns.models import Campaign
from tests.contracts.routes import ROUTES
from tests.contracts.walk import address
from tests.web.operating import signed_in_with
from tests.web.programs import operators_program

SPACES = ("panel:", "operator_api:")
# Whole files, and what is asked for below with what it needs.
LEFT_OUT = (
    "panel:export_audit", "panel:asked", "panel:compare",
    "operator_api:export_events", "operator_api:asked_answers", "operator_api:compare_artifacts",
    "operator_api:unknown",
)  # fmt: skip


def addresses() -> Iterator[tuple[Client, str, str]]:
    """Yield a client that may open it, a name, and the address, of everything that is measured."""
    operator = Person.objects.create_user("operator@example.org")
    browser = signed_in_with("operator", operator)
    program = Client(headers={"Authorization": f"Bearer {operators_program().secret}"})
    rows = _rows()
    seen = set()
    for route in ROUTES:
        if route.name.startswith(SPACES) and "GET" in route.methods and route.name not in LEFT_OUT:
            url = address(route, rows).replace("p-0123456789", rows.artifact.person.pseudonym)
            if url in seen:  # another method of the same address
                continue
            seen.add(url)
            is_api = route.name.startswith("operator_api:")
            yield program if is_api else browser, route.name.replace("operator_api:", "API "), url
    for name, url in chain(_filtered(rows), _compared(operator), _projects(operator)):
        yield program if name.startswith("API ") else browser, name, url


def _rows() -> Any:
    own = Artifact.objects.filter(job__from_project=False)
    artifact = own.select_related("person").order_by("-created_at").first()
    assert artifact is not None
    return SimpleNamespace(
        artifact=artifact,
        job=artifact.job,
        person=artifact.person,
        known=KnownModel.objects.first(),
        campaign=Campaign.objects.filter(name="everybody").get(),
        token=None,
    )


def _filtered(rows: Any) -> Iterator[tuple[str, str]]:
    dead = Job.objects.filter(state="dead").order_by("created_at").first()
    assert dead is not None
    pseudonym = rows.artifact.person.pseudonym
    for page, query in (
        ("jobs", {"state": "dead"}),
        ("jobs", {"state": "queued", "older": "day"}),
        ("jobs", {"person": pseudonym}),
        ("jobs", {"id": str(rows.job.pk)[:8]}),
        ("jobs", {"before": f"{dead.created_at.isoformat()}~{dead.pk}"}),
        ("adapters", {"state": "proven", "kind": "adapter", "method": "dpo"}),
        ("adapters", {"person": pseudonym}),
        ("overview", {"over": "day"}),
        ("overview", {"over": "month"}),
        ("people", {"person": "p-0000001"}),
        ("audit", {"verb": "something", "subject": pseudonym}),
        ("plan_campaign", {"name": "n", "method": "dpo", "whom": "active", "wave_size": "10", "margin": "10",
                           "most_lost": "30", "most_refused": "20"}),
    ):  # fmt: skip
        name = f"panel:{page} {' '.join(query.values())[:24]}"
        yield name, f"{reverse(f'panel:{page}')}?{urlencode(query)}"
    yield "panel:person advice", f"{reverse('panel:person', args=[rows.person.pk])}?advice=1"
    yield "panel:limit preset", reverse("panel:limit", args=["preset.dpo"])
    for state in ("lost", "moved"):
        yield f"panel:campaign {state}", f"{reverse('panel:campaign', args=[rows.campaign.pk])}?state={state}"


def _compared(operator: Person) -> Iterator[tuple[str, str]]:
    """Compare as many as can be, of one person and of several, and look at what they were asked."""
    proven = Artifact.objects.filter(state="proven", job__from_project=False).select_related("person", "job")
    several = list(proven[: asking.MOST_ARTIFACTS])
    most = proven.order_by().values("person").annotate(n=Count("pk")).order_by("-n", "person")[:1]
    of_one = list(proven.filter(person=most[0]["person"])[: asking.MOST_ARTIFACTS])
    for name, chosen in (("several people", several), ("one person", of_one)):
        ids = urlencode([("id", artifact.pk) for artifact in chosen])
        yield f"panel:compare {name}, waiting", f"{reverse('panel:compare')}?{ids}"
        _keep_compared(chosen)
        yield f"panel:compare {name}", f"{reverse('panel:compare')}?{ids}"
        api = urlencode([("artifact", artifact.pk) for artifact in chosen])
        yield f"API compare {name}", f"{reverse('operator_api:compare_artifacts')}?{api}"
    asked = asking.ask(operator, several, asking.NEUTRAL[: asking.MOST_PROMPTS], "to be measured")
    yield "panel:asked", reverse("panel:asked", args=[asked.id])


def _keep_compared(chosen: list[Artifact]) -> None:
    """Keep what a worker would compute of these: 30 layers, and everybody's held-out comparisons."""
    share = {"value": 0.6, "n": 40, "low": 0.45, "high": 0.74}
    places = range(len(chosen))
    alike = {"cosine": 0.1, "sign_conflict": 0.5, "overlap": 0.2}
    rows = [
        {"layer": layer, "first": i, "second": j, **alike}
        for layer in range(30)
        for i, j in combinations(places, 2)
    ]
    comparison.keep(chosen, {"rows": rows})
    every = combinations(range(len(chosen) + 1), 2)
    measured = {
        "conversations": 10,
        "accuracy": [share] * (len(chosen) + 1),
        "differences": [{"first": i, "second": j, "gain": share, "p": 0.1} for i, j in every],
    }
    several = len({a.person_id for a in chosen}) > 1
    people = [
        {"person": pseudonym, "own": [1], **measured, "personal": share if several else None}
        for pseudonym in dict.fromkeys(a.person.pseudonym for a in chosen)
    ]
    comparison.keep(chosen, {"people": people}, comparison.HELD_OUT)


def _projects(operator: Person) -> Iterator[tuple[str, str]]:
    """Look at the models of a project, with a study of some hundred people, and at a merge they are given."""
    project = Project.objects.get(name="made")
    Project.objects.filter(pk=project.pk).update(owner=operator)
    Membership.objects.filter(project=project, role="owner").update(person=operator)
    yield "studies:page", reverse("studies:page", args=[project.pk])
    merge = Artifact.objects.get(person__group_of__project=project)
    yield "panel:adapter merge of a group", reverse("panel:adapter", args=[merge.pk])

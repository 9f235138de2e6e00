"""Artifacts: list, show, act, verify, merge, prune. The rules are those of `alignapp.adapters`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from ninja import Query, Router

from alignapp.adapters import acts, asking, pruning
from alignapp.adapters.aliases import active_ids
from alignapp.adapters.facts import alarm_facts, asked_facts, facts, more_facts
from alignapp.adapters.models import Artifact, LiveAlarm
from alignapp.adapters.proofs import start_proof
from alignapp.adapters.together import findings
from alignapp.api.errors import ApiError
from alignapp.panel.api import shapes
from alignapp.panel.api import version_shapes as versions
from alignapp.panel.api.answers import KEYED, once, page, responses
from alignapp.panel.api.auth import ACT, READ, TokenRequest
from alignapp.panel.api.jobs import details as job_details
from alignapp.panel.pages.adapters import MOST_COMPARED, narrowed, possible
from alignapp.panel.pages.comparing import compared
from alignapp.studies import giving
from alignapp.studies.merging import start_merge

router = Router(auth=READ, tags=["artifacts"])


def _every() -> QuerySet[Artifact]:
    return Artifact.objects.select_related("person", "job", "report_card")


def _one(artifact_id: UUID) -> Artifact:
    artifact: Artifact = get_object_or_404(_every(), pk=artifact_id)
    return artifact


@router.get("", response=responses(shapes.Page[versions.ListedArtifact]))
def artifacts(request: TokenRequest, asked: Query[versions.AskedArtifacts]) -> dict[str, Any]:
    """List versions of everybody, newest first."""
    return page(request, asked, narrowed(asked.model_dump()), _listed)


def _listed(rows: Sequence[Artifact]) -> list[dict[str, Any]]:
    active = active_ids({artifact.person_id for artifact in rows})
    return [{**facts(artifact), "active": artifact.pk in active} for artifact in rows]


@router.get("/{uuid:artifact_id}", response=responses(versions.ArtifactDetails))
def artifact(request: TokenRequest, artifact_id: UUID) -> dict[str, Any]:  # noqa: ARG001
    """Show one version: where it comes from, how it did, what can be done with it."""
    return details(_one(artifact_id))


def details(artifact: Artifact) -> dict[str, Any]:
    """Return all that is said of one version. About six queries."""
    card = getattr(artifact, "report_card", None)
    more = more_facts(artifact)
    gate = (card.results.get("safety") or {}) if card else {}
    return {
        **more,
        "objection": gate.get("objection"),
        "findings": [
            {"name": str(f.name), "value": f.words, "interval": f.interval} for f in findings(card.results)
        ]
        if card
        else [],
        "possible": [name for name, _, _ in possible(artifact, is_active="active" in more["aliases"])],
    }


@router.post(
    "/{uuid:artifact_id}/acts",
    auth=ACT,
    response=responses(versions.ArtifactDetails),
    openapi_extra=KEYED,
)
def act_on_artifact(request: TokenRequest, artifact_id: UUID, asked: versions.ArtifactAct) -> dict[str, Any]:
    """Promote, roll back, quarantine, restore, expire, pin or unpin one version."""
    artifact = _one(artifact_id)
    if asked.act not in acts.BY_NAME:
        known = ", ".join(acts.BY_NAME)
        raise ApiError(400, f"act: there is no {asked.act!r}. Known: {known}.", code="invalid", param="act")

    def do() -> dict[str, Any]:
        acts.BY_NAME[asked.act].do(request.auth.person, artifact, asked.reason)
        return details(_one(artifact_id))

    return once(request, do)


@router.post("/{uuid:artifact_id}/verify", response=responses(versions.Verified), openapi_extra=KEYED)
def verify_artifact(request: TokenRequest, artifact_id: UUID) -> dict[str, Any]:
    """Read every byte of one version now. That is reading: auditors may, too."""
    artifact = _one(artifact_id)
    return once(request, lambda: {"damage": acts.verify(artifact)})


@router.post("/merge", auth=ACT, response=responses(shapes.JobDetails), openapi_extra=KEYED)
def merge_artifacts(request: TokenRequest, asked: versions.Merge) -> dict[str, Any]:
    """Queue a merge of adapters, of one person or of people who agreed in one study; it must be proven."""
    weights = {parent.artifact: parent.weight for parent in asked.parents}
    found = _every().in_bulk(list(weights))
    if absent := [str(pk) for pk in weights if pk not in found]:
        raise ApiError(404, f"There is no artifact {absent[0]}.", code="not_found", param="parents")
    parents = {found[pk]: weight for pk, weight in weights.items()}
    person = request.auth.person
    return once(
        request,
        lambda: job_details(start_merge(person, parents, asked.way, asked.parameters, asked.reason)),
    )


@router.post(
    "/{uuid:artifact_id}/prove", auth=ACT, response=responses(shapes.JobDetails), openapi_extra=KEYED
)
def prove_artifact(request: TokenRequest, artifact_id: UUID, asked: versions.Prove) -> dict[str, Any]:
    """Queue another proof of a version, by what was said since, or of a copy on another base model."""
    artifact, person = _one(artifact_id), request.auth.person
    return once(
        request, lambda: job_details(start_proof(person, artifact, asked.reason, asked.base_revision))
    )


@router.post(
    "/{uuid:artifact_id}/give", auth=ACT, response=responses(versions.GivenJobs), openapi_extra=KEYED
)
def give_artifact(request: TokenRequest, artifact_id: UUID, asked: versions.Give) -> dict[str, Any]:
    """Make a version of a group's merge for each member who agreed to that; each must be proven."""
    merge, person = _one(artifact_id), request.auth.person
    return once(
        request, lambda: {"jobs": [job_details(job) for job in giving.give(person, merge, asked.reason)]}
    )


@router.get("/compare", response=responses(versions.Compared))
def compare_artifacts(request: TokenRequest, artifact: Query[list[UUID]] = []) -> dict[str, Any]:  # noqa: ARG001, B006
    """Show versions side by side: their cards, the same held-out comparisons, and how alike weights are.

    What a worker still computes is named in `waits`: ask again in a moment.
    """
    if not 1 <= len(set(artifact)) <= MOST_COMPARED:
        message = f"artifact: name 1 to {MOST_COMPARED} different versions."
        raise ApiError(400, message, code="invalid", param="artifact")
    found = _every().in_bulk(artifact)
    if absent := [str(pk) for pk in artifact if pk not in found]:
        raise ApiError(404, f"There is no artifact {absent[0]}.", code="not_found", param="artifact")
    return compared([found[pk] for pk in dict.fromkeys(artifact)])


@router.post("/ask", auth=ACT, response=responses(versions.AskedAnswers), openapi_extra=KEYED)
def ask_artifacts(request: TokenRequest, asked: versions.Ask) -> dict[str, Any]:
    """Put the same questions to several versions and to the base model; each person reads that, and why."""
    found = _every().in_bulk(asked.artifacts)
    if absent := [str(pk) for pk in asked.artifacts if pk not in found]:
        raise ApiError(404, f"There is no artifact {absent[0]}.", code="not_found", param="artifacts")
    chosen = [found[pk] for pk in dict.fromkeys(asked.artifacts)]
    prompts = [*asking.NEUTRAL[: asked.neutral], *asked.prompts]
    person = request.auth.person
    return once(request, lambda: asked_facts(asking.ask(person, chosen, prompts, asked.reason)))


@router.get("/asked/{uuid:asked_id}", auth=ACT, response=responses(versions.AskedAnswers))
def asked_answers(request: TokenRequest, asked_id: UUID) -> dict[str, Any]:
    """Show the answers as far as they are written, to whoever asked, within an hour."""
    found = asking.find(asked_id, request.auth.person)
    if found is None:
        raise Http404
    return asked_facts(found)


@router.get("/alarms", response=responses(shapes.Page[versions.AlarmFacts]))
def alarms(request: TokenRequest, asked: Query[shapes.Asked]) -> dict[str, Any]:
    """List what daily use was found to lose by, and what was done about it, newest first."""
    rows = LiveAlarm.objects.select_related("person", "artifact", "back_to")
    return page(request, asked, rows, lambda found: [alarm_facts(one) for one in found])


@router.get("/pruning", response=responses(versions.Doomed))
def pruning_preview(
    request: TokenRequest,  # noqa: ARG001 - ninja passes it
    days: int | None = None,
    keep: int | None = None,
    states: Query[list[Artifact.State]] = [],  # noqa: B006 - ninja reads it, nobody changes it
) -> dict[str, Any]:
    """Say what a rule would delete now, the oldest first."""
    usual = pruning.usual()
    kept = (usual.days if days is None else days, usual.keep if keep is None else keep)
    rule = pruning.Rule(*kept, tuple(states))
    doomed = _every().in_bulk([artifact.pk for artifact in pruning.doomed(rule)])
    return {
        "rule": str(rule),
        "count": len(doomed),
        "data": [facts(artifact) for artifact in doomed.values()],
    }


@router.post("/prune", auth=ACT, response=responses(versions.Pruned), openapi_extra=KEYED)
def prune_artifacts(request: TokenRequest, asked: versions.Prune) -> dict[str, Any]:
    """Delete what a rule takes now, if it is as many as were counted. This cannot be undone."""
    rule = pruning.Rule(asked.days, asked.keep, tuple(asked.states))
    person = request.auth.person
    return once(
        request,
        lambda: {
            "rule": str(rule),
            "deleted": pruning.prune(person, rule, asked.reason, expected=asked.count),
        },
    )

"""Campaigns: list, follow, plan, start, hold and end. The rules are those of `alignapp.campaigns`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from ninja import Query, Router

from alignapp.api.errors import ApiError
from alignapp.campaigns import outcomes, planning, running
from alignapp.campaigns.models import Campaign, Enrolment
from alignapp.panel.api import changing
from alignapp.panel.api.answers import KEYED, once, page, responses
from alignapp.panel.api.auth import ACT, READ, TokenRequest
from alignapp.panel.api.shapes import Asked, Page

router = Router(auth=READ, tags=["campaigns"])


def _one(campaign_id: UUID) -> Campaign:
    campaign: Campaign = get_object_or_404(Campaign, pk=campaign_id)
    return campaign


@router.get("", response=responses(Page[changing.CampaignFacts]))
def campaigns(request: TokenRequest, asked: Query[Asked]) -> dict[str, Any]:
    """List campaigns, newest first."""
    return page(request, asked, Campaign.objects.all(), outcomes.as_dicts)


@router.get("/{uuid:campaign_id}", response=responses(changing.CampaignFacts))
def campaign(request: TokenRequest, campaign_id: UUID) -> dict[str, Any]:  # noqa: ARG001
    """Show one campaign in numbers."""
    return outcomes.as_dict(_one(campaign_id))


@router.get("/{uuid:campaign_id}/people", response=responses(Page[changing.EnrolmentFacts]))
def campaign_people(
    request: TokenRequest, campaign_id: UUID, asked: Query[changing.AskedEnrolments]
) -> dict[str, Any]:
    """List the people of a campaign by pseudonym, and how each got through."""
    rows = _one(campaign_id).enrolments.select_related("person")
    if asked.state:
        rows = rows.filter(state=asked.state)
    return page(request, asked, rows, lambda found: list(map(_enrolment, found)))


def _enrolment(row: Enrolment) -> dict[str, Any]:
    """Return one place; its note is left out, as a job's reason is, which may quote a person."""
    names = ("state", "wave", "before", "after", "settled_at")
    return {"person": row.person.pseudonym, "job": row.job_id, **{name: getattr(row, name) for name in names}}


@router.post("/plan", auth=ACT, response=responses(changing.CampaignPlan))
def plan_a_campaign(request: TokenRequest, asked: changing.WantedCampaign) -> dict[str, Any]:  # noqa: ARG001
    """Say what a campaign would do; nothing is changed by that."""
    return planning.plan(asked.wanted()).as_dict()


@router.post("", auth=ACT, response=responses(changing.CampaignFacts), openapi_extra=KEYED)
def start_a_campaign(request: TokenRequest, asked: changing.StartedCampaign) -> dict[str, Any]:
    """Start what was planned, if as many people would be touched as were counted."""

    def do() -> dict[str, Any]:
        counted = planning.plan(asked.wanted()).people
        if counted != asked.people:
            words = f"people: {counted} would be touched now, not {asked.people}. Plan again."
            raise ApiError(409, words, code="counted_otherwise", param="people")
        return outcomes.as_dict(running.start(request.auth.person, asked.wanted(), asked.reason))

    return once(request, do)


@router.post(
    "/{uuid:campaign_id}/acts",
    auth=ACT,
    response=responses(changing.CampaignFacts),
    openapi_extra=KEYED,
)
def act_on_a_campaign(
    request: TokenRequest, campaign_id: UUID, asked: changing.CampaignAct
) -> dict[str, Any]:
    """Pause, resume or cancel."""
    chosen, person = _one(campaign_id), request.auth.person
    if asked.act not in running.BY_NAME:
        known = ", ".join(running.BY_NAME)
        raise ApiError(400, f"act: there is no {asked.act!r}. Known: {known}.", code="invalid", param="act")

    def do() -> dict[str, Any]:
        running.BY_NAME[asked.act](person, chosen, asked.reason)
        return outcomes.as_dict(_one(campaign_id))

    return once(request, do)

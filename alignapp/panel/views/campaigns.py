"""Operators' pages about campaigns: plan, start, follow, hold and end."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from alignapp.answers import wants_fragment
from alignapp.campaigns import planning, running
from alignapp.campaigns.models import Campaign
from alignapp.panel import undo
from alignapp.panel.campaign_forms import CampaignForm, TypedWhyForm
from alignapp.panel.pages.campaigns import (
    campaign_page,
    campaigns_page,
    form_of,
    moving_part,
    plan_page,
    possible,
)
from alignapp.panel.pages.frame import shown
from alignapp.panel.roles import READERS, PanelRequest, Role, needs
from personalization.errors import AlignError

PART = "campaigns"
UNDONE_BY = {"pause": "resume", "resume": "pause"}


@require_GET
@needs(*READERS)
def page(request: PanelRequest) -> HttpResponse:
    """List campaigns, newest first."""
    return shown(request, "panel/campaigns.html", PART, campaigns_page())


@require_GET
@needs(Role.OPERATOR)
def plan(request: PanelRequest) -> HttpResponse:
    """Say what a campaign would do; nothing is changed by that."""
    return shown(request, "panel/campaign_plan.html", PART, plan_page(request.GET))


@require_POST
@needs(Role.OPERATOR, fresh=True)
def start(request: PanelRequest) -> HttpResponse:
    """Start what was planned, if as many people would be touched; what was typed stays where that fails."""
    form = CampaignForm(request.POST)
    if not form.is_valid():
        return shown(request, "panel/campaign_plan.html", PART, plan_page(request.POST), status=400)
    confirmed = None
    try:
        people = planning.plan(form.wanted()).people
        confirmed = TypedWhyForm(request.POST, name=str(people))
        if confirmed.is_valid():
            begun = running.start(request.user, form.wanted(), confirmed.cleaned_data["reason"])
            messages.success(request, _("Started. The first wave begins in some seconds."), extra_tags="good")
            return redirect("panel:campaign", begun.pk)
    except AlignError as error:
        messages.error(request, str(error), extra_tags="bad")
    context = plan_page(request.POST, confirmed)
    return shown(request, "panel/campaign_plan.html", PART, context, status=400)


@require_GET
@needs(*READERS)
@vary_on_headers("HX-Request")
def one(request: PanelRequest, campaign_id: uuid.UUID) -> HttpResponse:
    """Show one campaign; HTMX asks again and again for the part that moves."""
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    if wants_fragment(request):
        return shown(request, "panel/_campaign.html", PART, moving_part(campaign))
    return shown(request, "panel/campaign.html", PART, campaign_page(campaign, request.GET))


@require_POST
@needs(Role.OPERATOR, fresh=True)
def act(request: PanelRequest, campaign_id: uuid.UUID, act: str) -> HttpResponse:
    """Pause, resume or cancel; what was typed stays where that fails."""
    campaign = get_object_or_404(Campaign, pk=campaign_id)
    if act not in running.BY_NAME:
        raise Http404
    form = form_of(campaign, act, request.POST)
    if form.is_valid():
        try:
            running.BY_NAME[act](request.user, campaign, form.cleaned_data["reason"])
        except AlignError as error:
            form.add_error(None, str(error))
    if form.errors:
        context = campaign_page(campaign, request.GET) | possible(campaign, act, form)
        context["problem"] = "; ".join(str(each) for each in form.non_field_errors())
        return shown(request, "panel/campaign.html", PART, context, status=400)
    words = _("%(name)s: %(state)s.") % {"name": campaign, "state": campaign.get_state_display().lower()}
    if act in UNDONE_BY:
        url = reverse("panel:act_on_campaign", args=[campaign.pk, UNDONE_BY[act]])
        undo.offer(request, words, url, reason=_("Undone"))
    else:
        messages.success(request, words, extra_tags="good")
    return redirect("panel:campaign", campaign.pk)

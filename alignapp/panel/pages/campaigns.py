"""What the pages about campaigns show: the plan, the waves, who got through and how, and a plot of it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Count, Q
from django.http import QueryDict
from django.utils.translation import gettext as _

from alignapp import charts
from alignapp.adapters.errors import WrongField
from alignapp.audit.wording import told_of
from alignapp.campaigns import guarantee, outcomes, planning
from alignapp.campaigns.models import Campaign, Enrolment
from alignapp.panel.campaign_forms import CampaignForm, TypedWhyForm, WhyForm
from alignapp.panel.pages.listing import listing
from personalization.errors import AlignError

PLOTTED = 20  # waves, the latest
State = Campaign.State


def campaigns_page() -> dict[str, Any]:
    """Return the context of the list. One query."""
    through = Count("enrolments", filter=~Q(enrolments__state__in=Enrolment.OPEN))
    every = Campaign.objects.annotate(people=Count("enrolments"), through=through)
    return {"campaigns": every.order_by("-created_at")[:100]}


def plan_page(query: QueryDict, start_form: forms.Form | None = None) -> dict[str, Any]:
    """Return the context of a dry run; without a query an empty form."""
    is_filled = "name" in query  # a link may only preselect something
    form = CampaignForm(query) if is_filled else CampaignForm(initial=query.dict())
    context: dict[str, Any] = {"form": form, "plan": None}
    if not is_filled or not form.is_valid():
        return context
    try:
        plan = planning.plan(form.wanted())
    except WrongField as error:
        form.add_error(error.field, str(error))
        return context
    except AlignError as error:
        return {**context, "problem": str(error)}
    kept = [(name, value) for name, value in query.items() if name in form.fields]
    start = start_form or TypedWhyForm(name=str(plan.people))
    rewrites = form.wanted().rewrites
    return {**context, "plan": plan, "rewrites": rewrites, "kept": kept, "start_form": start}


def campaign_page(campaign: Campaign, query: QueryDict) -> dict[str, Any]:
    """Return the context of one campaign. At most fifteen queries, however many people."""
    state = query.get("state", "")
    rows = campaign.enrolments.select_related("person", "job")
    if state in Enrolment.State.values:
        rows = rows.filter(state=state)
    kept = query.copy()
    kept.pop("before", None)
    return {
        **moving_part(campaign),
        "listing": listing(rows, query),
        "query": kept.urlencode(),
        "wanted_state": state,
        "states": Enrolment.State.choices,
        # Where nothing is made there is no new version to speak of.
        "guarantee": None if campaign.rewrites else guarantee.kept(campaign),
        "events": told_of(campaign, 20),
        **possible(campaign),
    }


def moving_part(campaign: Campaign) -> dict[str, Any]:
    """Return the context of the part that moves: progress, outcomes, waves, plot. Three queries."""
    counted = campaign.enrolments.order_by().values("state").annotate(count=Count("pk"))
    counts = {row["state"]: row["count"] for row in counted}
    people = sum(counts.values())
    # What comes of the other kind of campaign is told only where there is any.
    odd = Enrolment.State.MOVED if campaign.rewrites else Enrolment.State.KEPT
    through = people - sum(counts.get(state, 0) for state in Enrolment.OPEN)
    waves = outcomes.waves_of(campaign, PLOTTED)
    return {
        "campaign": campaign,
        "people": people,
        "through": through,
        "percent": round(100 * through / people) if people else 100,
        "outcomes": [
            (label, value, counts.get(value, 0))
            for value, label in Enrolment.State.choices
            if counts.get(value) or value != odd
        ],
        "waves": [_wave(wave) for wave in waves[::-1]],
        "plot": _plot(campaign, waves),
        "is_moving": campaign.state == State.RUNNING or bool(counts.get(Enrolment.State.LEARNING)),
    }


def possible(campaign: Campaign, act: str = "", form: forms.Form | None = None) -> dict[str, Any]:
    """Return the acts that make sense now, each with its form: name, label, what it does, form."""
    stopped = campaign.state in (State.PAUSED, State.STOPPED)
    every = [
        (
            campaign.state == State.RUNNING,
            "pause",
            _("Pause"),
            _("Jobs that run go on to the end; nobody begins."),
        ),
        (stopped, "resume", _("Resume"), _("Whoever got through is not done again.")),
        (
            not campaign.has_ended,
            "cancel",
            _("Cancel the campaign"),
            _("Open jobs stop. What was done already stays. This cannot be undone."),
        ),
    ]
    return {
        "acts": [
            (name, label, words, form if form is not None and name == act else form_of(campaign, name))
            for makes_sense, name, label, words in every
            if makes_sense
        ]
    }


def form_of(campaign: Campaign, act: str, data: QueryDict | None = None) -> WhyForm:
    """Return the form of an act; what cannot be undone asks for the campaign's name."""
    ids = f"{act}_%s"
    if act == "cancel":
        return TypedWhyForm(data, name=campaign.name, auto_id=ids)
    return WhyForm(data, auto_id=ids)


def _wave(wave: outcomes.Wave) -> dict[str, Any]:
    names = dict(Enrolment.State.choices)
    counts = [(names[state], wave.counts[state]) for state in names if state in wave.counts]
    change, number = wave.change, charts.signed(0)
    return {
        "number": wave.number,
        "people": wave.people,
        "counts": counts,
        "change": number(100 * change.value) if change else "",
        "interval": charts.interval_words(100 * change.low, 100 * change.high, number) if change else "",
    }


def _plot(campaign: Campaign, waves: list[outcomes.Wave]) -> charts.BarChart | None:
    """Lay out each wave's mean change of the win rate in points; None where nothing can be compared yet."""
    known = [(wave, change) for wave in waves if (change := wave.change) is not None]
    if not known:
        return None
    bars = [
        charts.Bar(
            _("Wave %(n)d") % {"n": wave.number},
            100 * change.value,
            100 * change.low,
            100 * change.high,
            change.n,
            "warn" if change.value < 0 else "",
        )
        for wave, change in known
    ]
    return charts.bar_chart(
        _("Change of the win rate, points"),
        bars,
        scale=charts.symmetric([bar.value for bar in bars], at_least=10.0, number=charts.signed(0)),
        note=_("This proof minus the one before, what was said since included; a wave's people's mean.")
        if campaign.proves
        else _("New version minus old one, on the same held-out conversations; the mean of a wave's people."),
    )

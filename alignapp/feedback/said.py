"""The page "Said and shown": what a person states beside what their ratings imply."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from alignapp.answers import PersonRequest, refusal
from alignapp.charts import Bar, BarChart, bar_chart, interval_words, p_words, signed, symmetric
from alignapp.chat.errors import Refused
from alignapp.feedback.forms import GapForm
from alignapp.feedback.gaps import Comparison, Gap, compare, reopen, resolve
from alignapp.feedback.models import GapResolution
from alignapp.instant.evidence import rated_prompts
from alignapp.instant.models import InstantChoice
from alignapp.profiles.wording import IMPORTANCE
from personalization.errors import AlignError
from personalization.values.measures import measures
from personalization.values.taxonomy import values

if TYPE_CHECKING:
    from alignapp.accounts.models import Person


@login_required
@require_GET
def overview(request: PersonRequest) -> HttpResponse:
    """Show what agrees, what does not, and what cannot be told."""
    found = compare(request.user)
    said = [_view(gap) for gap in found.gaps if gap.kind == GapResolution.Gap.SAID]
    shown = [_view(gap) for gap in found.gaps if gap.kind == GapResolution.Gap.SHOWN]
    context = {
        "found": found,
        "chart": _chart(found),
        "seen": None if found.missing else _seen(request.user),
        "said": said,
        "shown": shown,
        "agreeing": [_view(gap) for gap in found.agreeing],
        "undecided": [_view(gap) for gap in found.undecided],
        "resolved": [(one, _label(one.value)) for one in found.resolved],
    }
    return render(request, "feedback/gaps.html", context)


@login_required
@require_POST
def resolve_gap(request: PersonRequest) -> HttpResponse:
    """Store what the person says to a gap."""
    form, here = GapForm(request.POST), reverse("feedback:gaps")
    try:
        if not form.is_valid():
            raise Refused("Say which gap you mean, and what you say to it.")
        given = form.cleaned_data
        resolve(request.user, given["value"], given["gap"], given["decision"], note=given["note"])
    except AlignError as error:
        return refusal(request, error, here)
    changed = given["decision"] == GapResolution.Decision.CHANGED
    said = _("Your values are changed; your next replies use them.") if changed else _("Noted.")
    messages.success(request, said, extra_tags="good")
    return redirect(here)


@login_required
@require_POST
def reopen_gap(request: PersonRequest, resolution_id: uuid.UUID) -> HttpResponse:
    """List a gap again."""
    resolution = get_object_or_404(GapResolution.objects.for_person(request.user), id=resolution_id)
    reopen(request.user, resolution)
    messages.success(request, _("Open again, as long as your ratings still say so."), extra_tags="good")
    return redirect("feedback:gaps")


def _view(gap: Gap) -> dict[str, Any]:
    one, number = gap.shown, signed(2)
    return {
        "gap": gap,
        "label": _(gap.value.label),
        "importance": IMPORTANCE.get(gap.importance, ""),
        "is_against": one.direction < 0,
        "words": number(one.correlation.value),
        "interval": interval_words(one.correlation.low, one.correlation.high, number),
        "p": p_words(one.p),
        "n": one.correlation.n,
        "measured": _(measure.says) if (measure := measures().get(gap.value.key)) else "",
        "echoes": [_(value.label) for value in gap.echoes],
    }


def _seen(person: Person) -> dict[str, Any] | None:
    """Return how far the model tells the person's judgements apart, or what is missing to know it."""
    from personalization.agreement.representational import missing_conversations, similarity_to_states

    prompts = rated_prompts(person, InstantChoice.of(person))
    if prompts is None:
        return None
    told, number = similarity_to_states(prompts), signed(2)
    if told is None:
        return {"missing": missing_conversations(prompts)}
    interval = interval_words(told.low, told.high, number)
    return {"words": number(told.value), "interval": interval, "n": told.n, "is_clear": told.low > 0}


def _chart(found: Comparison) -> BarChart | None:
    said = found.said
    # Thirty undecided bars would hide the few that say something.
    told = {k: one for k, one in found.shown.items() if k in said or (one.direction and not one.alongside)}
    bars = [
        Bar(
            _label(key),
            one.correlation.value,
            one.correlation.low,
            one.correlation.high,
            one.correlation.n,
            "" if key in said else "muted",
        )
        for key, one in told.items()
    ]
    if not bars:
        return None
    note = _("To the right: with more of it answers were rated better. In colour: values that you state.")
    return bar_chart(
        _("What your ratings go with"), bars, scale=symmetric([1.0], number=signed(1)), note=note
    )


def _label(key: str) -> str:
    return _(values()[key].label) if key in values() else key

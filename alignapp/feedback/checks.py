""" "Check my consistency": a few pairs of one's own, judged again without being told what one said before."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from alignapp.answers import PersonRequest, refusal
from alignapp.charts import Bar, BarChart, Scale, bar_chart
from alignapp.chat.errors import Refused
from alignapp.feedback.forms import RepeatForm
from alignapp.feedback.repeats import Consistency, consistency, offers, record_repeat
from alignapp.numbers import whole
from personalization.errors import AlignError
from personalization.statistics import best_agreement

SITTING = 10  # pairs in one go: about three minutes


@login_required
@require_GET
def overview(request: PersonRequest) -> HttpResponse:
    """Show what was found so far, and offer a sitting."""
    found = consistency(request.user)
    context = {
        "waiting": len(offers(request.user)),
        "sitting": SITTING,
        "days": settings.REPEAT_AFTER_DAYS,
        "acts": settings.REPEAT_AFTER_ACTS,
        "found": found,
        "chart": chart(found) if found else None,
    }
    return render(request, "feedback/consistency.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def pair(request: PersonRequest) -> HttpResponse:
    """Show one pair, or store what was said about it and go on to the next."""
    if request.method == "POST":
        return _judge(request)
    done = whole(request.GET.get("done", "")) or 0
    waiting = offers(request.user)
    if done >= SITTING or not waiting:
        if done:
            messages.success(request, _("Thank you. This is what they say so far."), extra_tags="good")
        return redirect("feedback:consistency")
    offer = waiting[0]
    *before, message = offer.messages()
    context = {
        "offer": offer,
        "before": before,
        "message": message.content,
        "done": done,
        "number": done + 1,
        "total": min(SITTING, done + len(waiting)),
    }
    return render(request, "feedback/pair.html", context)


def _judge(request: PersonRequest) -> HttpResponse:
    form = RepeatForm(request.POST)
    here = reverse("feedback:pair")
    try:
        if not form.is_valid():
            raise Refused("Say which of the two answers is better, or that they are alike.")
        record_repeat(request.user, form.cleaned_data["turn"], form.cleaned_data["answer"])
    except AlignError as error:
        return refusal(request, error, here)
    return redirect(f"{here}?done={(form.cleaned_data['done'] or 0) + 1}")


def chart(found: Consistency) -> BarChart:
    """Return the agreement beside the best that any model could reach, as far as it can be told."""
    share = found.estimate
    best, low, high = (best_agreement(value) for value in (share.value, share.low, share.high))
    bars = [
        Bar(_("You with yourself"), share.value, share.low, share.high, share.n),
        Bar(_("A model that knows your taste exactly"), best, low, high, kind="muted"),
    ]
    note = _("The dashed line at 50 % is what guessing reaches. The thin line is the 95 % interval.")
    return bar_chart(_("Agreement with one judgement of yours"), bars, scale=Scale(reference=0.5), note=note)

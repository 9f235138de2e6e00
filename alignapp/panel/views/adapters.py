"""Operators' pages about people's artifacts, and what they do with them: each act with a reason."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from alignapp.adapters import acts
from alignapp.adapters.models import Artifact
from alignapp.adapters.proofs import start_proof
from alignapp.adapters.pruning import Rule, doomed, prune, usual
from alignapp.numbers import whole
from alignapp.panel import undo
from alignapp.panel.comparing_forms import MergeForm, focus_first_wrong
from alignapp.panel.pages.adapters import MOST_COMPARED, adapter_page, adapters_page
from alignapp.panel.pages.comparing import compare_page, weights_of
from alignapp.panel.pages.frame import shown
from alignapp.panel.pages.held_out import held_out_of
from alignapp.panel.roles import READERS, PanelRequest, Role, needs
from alignapp.studies import giving
from alignapp.studies.merging import start_merge
from personalization.errors import AlignError

PART = "adapters"
# Of the comparison: what is shown once a worker has computed it.
PARTS_APART = {
    "weights": ("panel/_weights.html", weights_of),
    "held_out": ("panel/_held_out.html", held_out_of),
}


def _artifact(artifact_id: uuid.UUID) -> Artifact:
    every = Artifact.objects.select_related("person", "job", "report_card", "profile_version")
    artifact: Artifact = get_object_or_404(every, pk=artifact_id)
    return artifact


@require_GET
@needs(*READERS)
def page(request: PanelRequest) -> HttpResponse:
    """List artifacts, newest first."""
    return shown(request, "panel/adapters.html", PART, adapters_page(request.GET))


@require_GET
@needs(*READERS)
def one(request: PanelRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Show one artifact."""
    return shown(request, "panel/adapter.html", PART, adapter_page(_artifact(artifact_id)))


@require_POST
@needs(Role.OPERATOR, fresh=True)
def act(request: PanelRequest, artifact_id: uuid.UUID, act: str) -> HttpResponse:
    """Promote, roll back, pin, quarantine, restore or expire; what was typed stays where that fails."""
    artifact = _artifact(artifact_id)
    if act not in acts.BY_NAME:
        raise Http404
    chosen = acts.BY_NAME[act]
    reason = request.POST.get("reason", "")
    try:
        chosen.do(request.user, artifact, reason)
    except AlignError as error:
        context = {**adapter_page(_artifact(artifact_id)), "problem": str(error), "reason": reason}
        return shown(request, "panel/adapter.html", PART, context, status=400)
    words = f"{artifact} {chosen.done}."
    if chosen.undone_by:
        url = reverse("panel:adapter_act", args=[artifact.pk, chosen.undone_by])
        undo.offer(request, words, url, reason=_("Undone: %(reason)s") % {"reason": reason})
    else:
        messages.success(request, words, extra_tags="good")
    return redirect("panel:adapter", artifact.pk)


@require_POST
@needs(Role.OPERATOR, fresh=True)
def give(request: PanelRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Make a version of a group's merge for each member who agreed; what was typed stays where that fails."""
    artifact = _artifact(artifact_id)
    reason = request.POST.get("reason", "")
    try:
        made = giving.give(request.user, artifact, reason)
    except AlignError as error:
        context = {**adapter_page(artifact), "problem": str(error), "reason_to_give": reason}
        return shown(request, "panel/adapter.html", PART, context, status=400)
    said = ngettext(
        "A version of it is queued for %(n)d member; it must be proven on what they answered.",
        "Versions of it are queued for %(n)d members; each must be proven on what that member answered.",
        len(made),
    )
    messages.success(request, said % {"n": len(made)}, extra_tags="good")
    return redirect("panel:adapter", artifact.pk)


@require_POST
@needs(Role.OPERATOR, fresh=True)
def prove(request: PanelRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Have a version proven again, here or on another base model; what was typed stays where that fails."""
    artifact = _artifact(artifact_id)
    reason, base = request.POST.get("reason", ""), request.POST.get("base", "")
    try:
        job = start_proof(request.user, artifact, reason, base)
    except AlignError as error:
        context = {**adapter_page(artifact), "problem": str(error), "reason": reason, "base": base}
        return shown(request, "panel/adapter.html", PART, context, status=400)
    said = _("The proof is queued, number %(n)s in the queue. What acts now goes on meanwhile.")
    messages.success(request, said % {"n": job.queue_position}, extra_tags="good")
    return redirect("panel:job", job.pk)


@require_POST
@needs(*READERS)
def verify(request: PanelRequest, artifact_id: uuid.UUID) -> HttpResponse:
    """Read every byte of an artifact now."""
    artifact = _artifact(artifact_id)
    if damage := acts.verify(artifact):
        messages.error(request, damage, extra_tags="bad")
    else:
        messages.success(request, _("Every byte is as it was sealed."), extra_tags="good")
    return redirect("panel:adapter", artifact.pk)


@require_GET
@needs(*READERS)
def compare(request: PanelRequest) -> HttpResponse:
    """Show several artifacts side by side; `part` asks for the one that a worker computes alone.

    `add` is one more, by id or the beginning of its digest.
    """
    chosen = chosen_of(request.GET.getlist("id"))
    if chosen and (name := request.GET.get("add", "").strip()):
        return _with_another(request, chosen, name)
    if chosen and (part := PARTS_APART.get(request.GET.get("part", ""))):
        template, look = part
        ids = "&".join(f"id={a.pk}" for a in chosen)
        return render(request, template, {request.GET["part"]: look(chosen), "ids": ids})
    if not chosen:
        said = _("Choose one to compare with the base model, or several.")
        messages.error(request, said, extra_tags="bad")
        return redirect("panel:adapters")
    return shown(request, "panel/compare.html", PART, compare_page(chosen))


def _with_another(request: PanelRequest, chosen: list[Artifact], name: str) -> HttpResponse:
    every = list(chosen)
    try:
        if len(chosen) >= MOST_COMPARED:
            raise AlignError(_("No more than %(n)d can be compared at once.") % {"n": MOST_COMPARED})
        every.append(Artifact.named(name))
    except AlignError as error:
        messages.error(request, str(error), extra_tags="bad")
    return redirect(f"{reverse('panel:compare')}?{urlencode([('id', one.pk) for one in every])}")


@require_POST
@needs(Role.OPERATOR, fresh=True)
def merge(request: PanelRequest) -> HttpResponse:
    """Queue a merge of the chosen adapters; what was typed stays where that fails."""
    chosen = chosen_of(request.POST.getlist("id"))
    form, problem = MergeForm(request.POST, artifacts=chosen), ""
    if form.is_valid():
        way, reason = form.cleaned_data["way"].name, form.cleaned_data["reason"]
        try:
            job = start_merge(request.user, form.weights(), way, form.parameters(), reason)
        except AlignError as error:
            problem = str(error)
    else:
        problem = _("Nothing is queued. What is wrong is marked below.")
        focus_first_wrong(form)
    if problem and not chosen:
        messages.error(request, _("Choose the adapters to merge."), extra_tags="bad")
        return redirect("panel:adapters")
    if problem:
        context = {**compare_page(chosen, merge_form=form), "problem": problem}
        return shown(request, "panel/compare.html", PART, context, status=400)
    said = _("The merge is queued, number %(n)s in the queue. Its result must be proven like any other.")
    messages.success(request, said % {"n": job.queue_position}, extra_tags="good")
    return redirect("panel:job", job.pk)


@require_GET
@needs(Role.OPERATOR)
def prune_page(request: PanelRequest) -> HttpResponse:
    """Say what a rule would delete; what was typed stays where it is no rule."""
    return _prune_page(request, request.GET)


@require_POST
@needs(Role.OPERATOR, fresh=True)
def prune_now(request: PanelRequest) -> HttpResponse:
    """Delete what the rule takes now, if as many were shown; what was typed stays where that fails."""
    reason, counted = request.POST.get("reason", ""), whole(request.POST.get("count", "").strip())
    errors: dict[str, str] = {}
    try:
        rule = _rule(request.POST)
        if not reason.strip():
            errors["reason"] = _("Say why: what is pruned is gone, and the record keeps the reason.")
        if counted != (now := len(doomed(rule))):
            errors["count"] = _("The rule takes %(n)d now. Type that number to delete them.") % {"n": now}
        if errors:
            return _prune_page(request, request.POST, errors=errors)
        gone = prune(request.user, rule, reason, expected=counted)
    except AlignError as error:
        return _prune_page(request, request.POST, problem=str(error))
    said = ngettext("%(n)d version is deleted.", "%(n)d versions are deleted.", len(gone))
    messages.success(request, said % {"n": len(gone)}, extra_tags="good")
    return redirect("panel:adapters")


def _prune_page(
    request: PanelRequest, sent: QueryDict, *, problem: str = "", errors: Mapping[str, str] | None = None
) -> HttpResponse:
    found: list[Artifact] = []
    try:
        rule = _rule(sent)
        found = doomed(rule)
    except AlignError as error:
        rule, problem = usual(), str(error)
    context = {
        "rule": rule,
        "doomed": found,
        "typed": sent,
        "problem": problem,
        "errors": errors or {},
        "states": Artifact.State.choices,
    }
    return shown(request, "panel/prune.html", PART, context, status=400 if problem or errors else 200)


def chosen_of(ids: list[str]) -> list[Artifact]:
    """Return the artifacts of these ids, the oldest first. Raises Http404 for what is no id."""
    try:
        every = Artifact.objects.select_related("person", "job", "report_card").in_bulk(ids[:MOST_COMPARED])
    except ValidationError:
        raise Http404 from None
    return sorted(every.values(), key=lambda artifact: artifact.created_at)


def _rule(given: QueryDict) -> Rule:
    kept = usual()
    try:
        days, keep = int(given.get("days") or kept.days), int(given.get("keep") or kept.keep)
    except ValueError:
        raise AlignError(_("Days and versions to keep are whole numbers.")) from None
    state = given.get("state", "")
    return Rule(days, keep, (state,) if state else ())

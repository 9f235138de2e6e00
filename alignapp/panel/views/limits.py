"""Operators' pages of methods, presets and limits: each change has a reason and is undone by a click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from alignapp.adapters import options
from alignapp.adapters.forms import PARAMETER_PREFIX, ParametersForm
from alignapp.adapters.models import MethodInfo, OptionChange
from alignapp.adapters.options import Option
from alignapp.numbers import whole
from alignapp.panel import undo
from alignapp.panel.pages.frame import shown
from alignapp.panel.pages.limits import limit_page, limits_page, preset_context
from alignapp.panel.roles import READERS, PanelRequest, Role, needs
from personalization.errors import AlignError, UnknownName

PART = "limits"


def _shown(request: PanelRequest, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Show one option."""
    return shown(request, "panel/limit.html", PART, context, status=status)


def _option(name: str) -> Option:
    try:
        return options.find(name)
    except UnknownName:
        raise Http404 from None


@require_GET
@needs(*READERS)
def page(request: PanelRequest) -> HttpResponse:
    """List methods, limits and the latest changes."""
    return shown(request, "panel/limits.html", PART, limits_page(request.GET))


@require_GET
@needs(*READERS)
def one(request: PanelRequest, name: str) -> HttpResponse:
    """Show one option; for a preset the query's parameters are tried (dry run), and nothing is changed."""
    option = _option(name)
    if option.kind == "preset":
        return _preset_page(request, option, request.GET)
    return _shown(request, limit_page(option))


@require_POST
@needs(Role.OPERATOR, fresh=True)
def change(request: PanelRequest, name: str) -> HttpResponse:
    """Change an option, or set it back to the program's own; what was typed stays where that fails."""
    option = _option(name)
    reason, sent = request.POST.get("reason", ""), request.POST
    problem, errors = "", _wrong(option, sent)
    if not errors:
        new = None if "default" in sent else _sent(option, sent)
        seen = whole(sent.get("seen", ""))
        try:
            made = options.change(option.name, new, by=request.user, reason=reason, seen=seen)
        except AlignError as error:
            problem = str(error)
        else:
            _offer_undo(request, option, made, reason)
            return redirect("panel:limit", option.name)
    if option.kind == "preset":
        return _preset_page(request, option, sent, problem=problem, errors=errors)
    context = {**limit_page(option, typed=sent), "problem": problem, "errors": errors}
    return _shown(request, context, status=400)


@require_POST
@needs(Role.OPERATOR, fresh=True)
def undo_change(request: PanelRequest, change_id: int) -> HttpResponse:
    """Make an option what it was before a change."""
    found = OptionChange.objects.filter(pk=change_id).first()
    if found is None:
        raise Http404
    reason = request.POST.get("reason") or _("Undone: %(reason)s") % {"reason": found.reason}
    try:
        options.undo(found.pk, by=request.user, reason=reason)
    except AlignError as error:
        messages.error(request, str(error), extra_tags="bad")
        return redirect("panel:limits")
    option = _option(found.name)
    now = option.words(options.current(option)[0])
    said = _("%(name)s is %(value)s again.") % {"name": option.label, "value": now}
    messages.success(request, said, extra_tags="good")
    return redirect("panel:limit", option.name)


def _offer_undo(request: PanelRequest, option: Option, made: OptionChange, reason: str) -> None:
    words = _("%(name)s: %(value)s now.") % {"name": option.label, "value": option.words(made.value)}
    url = reverse("panel:undo_limit", args=[made.pk])
    undo.offer(request, words, url, reason=_("Undone: %(reason)s") % {"reason": reason})


def _wrong(option: Option, sent: QueryDict) -> dict[str, str]:
    """Return what is wrong with a change, by the name of the field."""
    errors = {}
    if "default" not in sent and option.kind == "preset":
        errors = _form(option, sent).wrong()
    elif "default" not in sent:
        try:
            option.check(_sent(option, sent))
        except AlignError as error:
            errors["value"] = str(error)
    if not sent.get("reason", "").strip():
        errors["reason"] = _("Say why: every change is on record with its reason.")
    return errors


def _sent(option: Option, sent: QueryDict) -> Any:
    """Return the value that was sent; a preset's form is valid. Raises AlignError for what is no number."""
    if option.kind == "switch":
        return sent.get("value") == "on"
    if option.kind == "preset":
        form = _form(option, sent)
        form.is_valid()
        return form.parameters()
    try:
        return float(sent.get("value", ""))
    except ValueError:
        raise AlignError(_("%(name)s needs a number.") % {"name": option.label}) from None


def _form(option: Option, sent: QueryDict) -> ParametersForm:
    return ParametersForm(sent, info=_info(option))


def _info(option: Option) -> MethodInfo:
    return MethodInfo.objects.get(name=option.name.removeprefix(options.PRESET))


def _preset_page(
    request: PanelRequest,
    option: Option,
    sent: QueryDict,
    *,
    problem: str = "",
    errors: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Show a preset with what was typed in the form, and what a job with it would take."""
    info, typed = _info(option), any(name.startswith(PARAMETER_PREFIX) for name in sent)
    tried = options.preset(info.name)
    form = _form(option, sent)
    wrong = {**(form.wrong() if typed else {}), **(errors or {})}
    if typed and form.is_valid():
        tried = form.parameters()
    is_refused = bool(problem or wrong)
    context = {**limit_page(option, typed=sent), **preset_context(info, tried)}
    context |= {"problem": problem, "errors": wrong, "is_tried": typed and not is_refused}
    if is_refused:
        context["sent_from"] = (
            "set" if request.method == "POST" else "try"
        )  # of two forms of the same numbers
        context["parameters"] = _as_typed(context["parameters"], sent, wrong)
    return _shown(request, context, status=400 if is_refused else 200)


def _as_typed(views: list[Any], sent: QueryDict, wrong: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the inputs with the text that was sent in them, right or wrong, and what is wrong with it."""
    names = ("name", "field", "low", "high", "step")
    return [
        {
            **{name: getattr(view, name) for name in names},
            "default": sent.get(view.field, view.default),
            "error": wrong.get(view.field, ""),
        }
        for view in views
    ]

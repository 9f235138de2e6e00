"""Limits, presets and methods: read, change, undo, and try a preset. The rules are those of `options`."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.shortcuts import get_object_or_404
from ninja import Query, Router

from alignapp.adapters import options as verbs
from alignapp.adapters.estimates import dry_run
from alignapp.adapters.models import MethodInfo, OptionChange
from alignapp.panel.api import changing
from alignapp.panel.api.answers import KEYED, once, page, responses
from alignapp.panel.api.auth import ACT, READ, TokenRequest
from alignapp.panel.api.shapes import Page
from alignapp.panel.facts import change_facts, option_facts
from personalization.errors import UnknownName

router = Router(auth=READ, tags=["options"])


def _one(name: str) -> verbs.Option:
    try:
        return verbs.find(name)
    except UnknownName:
        raise Http404 from None


@router.get("", response=responses(list[changing.OptionFacts]))
def options(request: TokenRequest) -> list[dict[str, Any]]:  # noqa: ARG001
    """List every limit, every method's switch and every preset. Three queries."""
    now = verbs.values(verbs.LIMITS)
    infos = list(MethodInfo.objects.all())
    presets = verbs.presets(info.name for info in infos)
    return [
        *(option_facts(option, now[name]) for name, option in verbs.LIMITS.items()),
        *(option_facts(verbs.of_method(info), info.enabled) for info in infos),
        *(option_facts(verbs.preset_of(info), presets[info.name]) for info in infos),
    ]


@router.get("/changes", response=responses(Page[changing.ChangeFacts]))
def option_changes(request: TokenRequest, asked: Query[changing.AskedChanges]) -> dict[str, Any]:
    """List changes, the latest first."""
    rows = verbs.history(asked.name and _one(asked.name).name)
    return page(request, asked, rows, lambda found: list(map(change_facts, found)), by="id")


@router.post(
    "/changes/{int:change_id}/undo",
    auth=ACT,
    response=responses(changing.ChangeFacts),
    openapi_extra=KEYED,
)
def undo_option_change(request: TokenRequest, change_id: int, asked: changing.Why) -> dict[str, Any]:
    """Make an option what it was before a change, by a new change."""
    found, person = get_object_or_404(OptionChange, pk=change_id), request.auth.person
    return once(request, lambda: change_facts(verbs.undo(found.pk, by=person, reason=asked.reason)))


@router.post("/presets/{str:method}/try", response=responses(changing.DryRun))
def try_a_preset(request: TokenRequest, method: str, asked: changing.Tried) -> dict[str, Any]:  # noqa: ARG001
    """Say what a job with these parameters would take; nothing is changed by that."""
    values = _one(f"{verbs.PRESET}{method}").check(asked.parameters)
    return {"method": method, "parameters": values, **dry_run(method, values).as_dict()}


@router.get("/{str:name}", response=responses(changing.OptionDetails))
def option(request: TokenRequest, name: str) -> dict[str, Any]:  # noqa: ARG001
    """Show one option."""
    return _details(_one(name))


@router.post("/{str:name}", auth=ACT, response=responses(changing.ChangeFacts), openapi_extra=KEYED)
def set_an_option(request: TokenRequest, name: str, asked: changing.OptionSet) -> dict[str, Any]:
    """Change an option, with null to the program's own value."""
    chosen, person = _one(name).name, request.auth.person
    return once(
        request,
        lambda: change_facts(
            verbs.change(chosen, asked.value, by=person, reason=asked.reason, seen=asked.seen)
        ),
    )


def _details(option: verbs.Option) -> dict[str, Any]:
    now, number = verbs.current(option)
    return {**option_facts(option, now), "seen": number}

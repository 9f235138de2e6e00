"""What operators may change while everything runs: methods, presets and limits, with the history of each.

Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alignapp.adapters import options
from alignapp.adapters.estimates import dry_run
from alignapp.adapters.models import MethodInfo, OptionChange
from alignapp.adapters.options import Option
from alignapp.adapters.pages.learning import parameter_views
from alignapp.panel.pages.listing import Listing, listing

GROUPS: dict[str, str | Promise] = {
    "jobs": gettext_lazy("Quotas"),
    "retention": gettext_lazy("Retention"),
    "gate": gettext_lazy("Safety gate"),
    "live": gettext_lazy("Going back by itself"),
}
SHOWN = 20  # changes on an option's own page


@dataclass(frozen=True, slots=True)
class Row:
    """One limit in the list."""

    option: Option
    words: str
    is_changed: bool


@dataclass(frozen=True, slots=True)
class MethodRow:
    """One learning method in the list; `preset` says what differs from its own parameters."""

    info: MethodInfo
    preset: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change, in words; `back` is what undoing would make of the option, empty where it is so already."""

    change: OptionChange
    title: str
    before: str
    after: str
    back: str


def limits_page(query: QueryDict) -> dict[str, Any]:
    """Return the context of the list. Eight queries, however many methods and changes there are."""
    now = options.values(options.LIMITS)
    groups: dict[str, list[Row]] = {name: [] for name in GROUPS}
    for name, option in options.LIMITS.items():
        row = Row(option, option.words(now[name]), now[name] != option.default())
        groups[name.partition(".")[0]].append(row)
    methods = list(MethodInfo.objects.all())
    presets = options.presets(info.name for info in methods)
    page = listing(options.history(), query, by="id")
    return {
        "groups": [(label, groups[name]) for name, label in GROUPS.items()],
        "methods": {
            name: [MethodRow(i, _differs(presets[i.name])) for i in methods if i.enabled == (name == "on")]
            for name in ("on", "off")
        },
        "listing": page,
        "changes": _rows(page),
    }


def limit_page(option: Option, *, typed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the context of one option: what it is, what it may be, what became of it, and its form.

    `typed` is what was sent, to be shown again. Of a preset also what its jobs took (`dry_run`).
    """
    now, number = options.current(option)
    changes = options.history(option.name)[:SHOWN]
    context: dict[str, Any] = {
        "option": option,
        "now": option.words(now),
        "default": option.words(None) if not option.name.startswith(options.METHOD) else "",
        "is_default": option.kind != "switch" and now == option.default(),
        "seen": number,
        "value": f"{now:g}" if option.kind in ("whole", "number") else now,
        "step": "1" if option.kind == "whole" else "any",
        "typed": typed or {},
        "changes": _rows_of(option, changes, now),
    }
    if option.name.startswith((options.METHOD, options.PRESET)):
        context["info"] = MethodInfo.objects.get(name=option.name.partition(".")[2])
    return context


def preset_context(info: MethodInfo, parameters: Mapping[str, float]) -> dict[str, Any]:
    """Return the inputs of a preset with these values in them, and what a job with them takes."""
    return {
        "parameters": parameter_views(info.parameters, parameters),
        "dry_run": dry_run(info.name, parameters),
    }


def _rows(page: Listing) -> list[ChangeRow]:
    """Return the changes of a page; undoing is offered where the option still exists. Three queries."""
    infos = {info.name: info for info in MethodInfo.objects.all()}
    names = {change.name for change in page.rows}
    numbers = options.values(name for name in names if name in options.LIMITS)
    presets = options.presets(name.removeprefix(options.PRESET) for name in names if _is_preset(name))
    rows = []
    for change in page.rows:
        option = _known(change.name, infos)
        if option is None:
            rows.append(ChangeRow(change, change.name, str(change.before), str(change.value), ""))
            continue
        method = change.name.partition(".")[2]
        now = numbers.get(change.name, presets.get(method) if _is_preset(change.name) else option.default())
        rows.append(_row(option, change, now))
    return rows


def _rows_of(option: Option, changes: Any, now: Any) -> list[ChangeRow]:
    return [_row(option, change, now) for change in changes]


def _row(option: Option, change: OptionChange, now: Any) -> ChangeRow:
    back = change.before
    is_so = (option.default() if back is None else back) == now
    return ChangeRow(
        change,
        _title(option),
        option.words(back),
        option.words(change.value),
        "" if is_so else option.words(back),
    )


def _title(option: Option) -> str:
    if option.name.startswith(options.METHOD):
        return _("Method %(name)s") % {"name": option.label}
    if option.kind == "preset":
        return _("Preset of %(name)s") % {"name": option.label}
    return str(option.label)


def _known(name: str, infos: Mapping[str, MethodInfo]) -> Option | None:
    if name in options.LIMITS:
        return options.LIMITS[name]
    info = infos.get(name.partition(".")[2])
    if info is None:
        return None
    return options.preset_of(info) if _is_preset(name) else options.of_method(info)


def _is_preset(name: str) -> bool:
    return name.startswith(options.PRESET)


def _differs(preset: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in preset.items())

"""What an operator may change while everything runs: typed, bounded, and every change of it versioned.

Knows nothing of pages. An option's default is the program's own, or a setting of the environment. What is
changed applies to what is asked for from then on: a job keeps the parameters that it was asked for with, and
a report card the margins that it was judged by.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alignapp.adapters.models import MethodInfo, OptionChange
from alignapp.adapters.option_table import LIMITS, METHOD, PRESET, Option
from alignapp.audit.services import record
from personalization import margins
from personalization.errors import AlignError, UnknownName
from personalization.registry import Parameter, Range

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

__all__ = ["LIMITS", "METHOD", "PRESET", "Option", "change", "find", "preset", "undo", "value", "values"]


class ChangedMeanwhile(AlignError):
    """Somebody else changed it after the page was made."""


def find(name: str) -> Option:
    """Return an option by name; methods and presets as the workers registered them. Raises UnknownName."""
    if name in LIMITS:
        return LIMITS[name]
    for prefix, make in ((METHOD, of_method), (PRESET, preset_of)):
        if name.startswith(prefix) and (info := MethodInfo.objects.filter(name=name[len(prefix) :]).first()):
            return make(info)
    known = [*LIMITS, *(f"{p}{m}" for m in MethodInfo.objects.values_list("name", flat=True)
                        for p in (METHOD, PRESET))]  # fmt: skip
    raise UnknownName("option", name, known)


def of_method(info: MethodInfo) -> Option:
    """Return the option that switches a method on or off."""
    words = gettext_lazy("Whether people may learn with it.")
    return Option(f"{METHOD}{info.name}", info.name, words, "switch", lambda: info.enabled)


def preset_of(info: MethodInfo) -> Option:
    """Return the option that holds a method's parameters where a person sets none."""
    parameters = {
        name: Parameter(name, spec["default"], Range(spec["low"], spec["high"]))
        for name, spec in info.parameters.items()
    }
    words = gettext_lazy("What a job learns with where the person sets nothing else.")
    return Option(f"{PRESET}{info.name}", info.name, words, "preset", dict, parameters=parameters)


def value(name: str) -> Any:
    """Return what an option of LIMITS is now. One query. Raises KeyError for another name."""
    return values([name])[name]


def values(names: Iterable[str]) -> dict[str, Any]:
    """Return what options of LIMITS are now. One query."""
    wanted = list(names)
    changed, found = _newest(wanted), {}
    for name in wanted:
        kept = changed[name].value if name in changed else None
        found[name] = LIMITS[name].default() if kept is None else kept
    return found


def preset(method: str) -> dict[str, float]:
    """Return the parameters that an operator set for a method and that differ from its own. One query."""
    return presets([method])[method]


def presets(methods: Iterable[str]) -> dict[str, dict[str, float]]:
    """Return the presets of several methods. One query."""
    wanted = list(methods)
    changed = _newest(f"{PRESET}{method}" for method in wanted)
    kept = {name: each.value or {} for name, each in changed.items()}
    return {method: dict(kept.get(f"{PRESET}{method}", {})) for method in wanted}


def gate_margins() -> margins.Margins | None:
    """Return the safety gate's margins, None while nobody changed them. One query."""
    changed = _newest(("gate.max_drop", "gate.max_loss"))
    if not any(each.value is not None for each in changed.values()):
        return None
    found = values(("gate.max_drop", "gate.max_loss"))
    return margins.Margins(found["gate.max_drop"], found["gate.max_loss"])


def current(option: Option) -> tuple[Any, int]:
    """Return what an option is now and the number of its last change, 0 without any. One query."""
    last = _newest([option.name]).get(option.name)
    if option.name.startswith(METHOD):  # the row itself says; a worker may have written it anew
        return option.default(), last.number if last else 0
    kept = last.value if last else None
    return (option.default() if kept is None else kept), last.number if last else 0


def change(name: str, new: Any, *, by: Person | str, reason: str, seen: int | None = None) -> OptionChange:
    """Set an option, None for its default, on record with the reason; returns the change.

    `seen` is the number of the last change that whoever changes it knew of. Raises AlignError without a
    reason, for a value that it may not have or has already, and ChangedMeanwhile where there is a later
    change.
    """
    option = find(name)
    if not reason.strip():
        raise AlignError(_("Say why: every change is on record with its reason."))
    kept = None if new is None else option.check(new)
    if option.kind == "preset":
        kept = kept or None
    if option.name.startswith(METHOD) and kept is None:
        raise AlignError(_("A method is on or off."))
    with transaction.atomic():
        before, number = _before(option)
        if seen is not None and seen != number:
            raise ChangedMeanwhile(_("Somebody changed it meanwhile. Look at it again, then change it."))
        if kept == before:
            raise AlignError(_("It is so already: %(value)s.") % {"value": option.words(before)})
        return _kept(option, number + 1, kept, before, by, reason)


def undo(change_id: int, *, by: Person | str, reason: str) -> OptionChange:
    """Make an option what it was before a change, by a new change. Raises AlignError as `change` does."""
    found = OptionChange.objects.filter(pk=change_id).first()
    if found is None:
        raise AlignError(_("There is no such change."))
    return change(found.name, found.before, by=by, reason=reason)


def history(name: str = "") -> Any:
    """Return the changes, newest first: all, or of one option."""
    every = OptionChange.objects.all()
    return every.filter(name=name) if name else every


def _before(option: Option) -> tuple[Any, int]:
    """Return what is kept of an option, None for the default, and the number of its last change."""
    if option.name.startswith(METHOD):
        return current(option)
    last = _newest([option.name]).get(option.name)
    return (last.value, last.number) if last else (None, 0)


def _kept(option: Option, number: int, kept: Any, before: Any, by: Person | str, reason: str) -> OptionChange:
    try:
        with transaction.atomic():
            made = OptionChange.objects.create(
                name=option.name,
                number=number,
                value=kept,
                before=before,
                by_label=str(by),
                reason=reason[:300],
            )
    except IntegrityError:  # at the same moment
        raise ChangedMeanwhile(
            _("Somebody changed it meanwhile. Look at it again, then change it.")
        ) from None
    evidence = {"option": option.name, "before": before, "after": kept}
    if option.name.startswith(METHOD):
        info = MethodInfo.objects.get(name=option.name.removeprefix(METHOD))
        info.enabled = kept
        info.save(update_fields=["enabled"])
        record(by, "method.enabled" if kept else "method.disabled", info, reason=reason, **evidence)
    else:
        record(by, "option.changed", made, reason=reason, **evidence)
    return made


def _newest(names: Iterable[str]) -> dict[str, OptionChange]:
    """Return the last change of each of these options that was changed. One query, of one row for each."""
    changes = OptionChange.objects.filter(name__in=list(names)).order_by()
    last = changes.values("name").annotate(last=Max("id")).values("last")
    return {each.name: each for each in OptionChange.objects.filter(pk__in=last)}

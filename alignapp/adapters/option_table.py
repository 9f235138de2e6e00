"""The options that operators may change: what each may be, and what it is while nobody changed it.

Knows nothing of how changes are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from personalization import margins
from personalization.errors import AlignError
from personalization.registry import Parameter, Range, checked

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

METHOD, PRESET = "method.", "preset."
DAYS, KEEP = 90, 3  # what a pruning rule keeps while nobody changed it
Kind = Literal["switch", "whole", "number", "preset"]


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be changed: what it may be, and what it is while nobody changed it."""

    name: str
    label: StrOrPromise
    help: StrOrPromise
    kind: Kind
    default: Callable[[], Any]
    low: float = 0.0
    high: float = 1.0
    parameters: Mapping[str, Parameter] = field(default_factory=dict)  # of a preset

    def check(self, value: Any) -> Any:
        """Return the value as it is kept. Raises AlignError for one of another type or out of range."""
        if self.kind == "preset":
            return self._preset(value)
        if self.kind == "switch":
            if not isinstance(value, bool):
                raise AlignError(_("%(name)s is on or off.") % {"name": self.name})
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise AlignError(_("%(name)s needs a number.") % {"name": self.name})
        default: float = 0 if self.kind == "whole" else 0.0
        return Parameter(self.name, default, Range(self.low, self.high)).check(value)

    def _preset(self, value: Any) -> dict[str, float]:
        if not isinstance(value, Mapping):
            raise AlignError(_("A preset names parameters with their values."))
        given = {name: number for name, number in value.items() if number is not None}
        if wrong := [name for name, number in given.items() if not isinstance(number, int | float)]:
            raise AlignError(_("%(name)s needs a number.") % {"name": wrong[0]})
        found = checked(self.name.removeprefix(PRESET), self.parameters, given)
        return {name: number for name, number in found.items() if number != self.parameters[name].default}

    def words(self, value: Any) -> str:
        """Return a value as it is read; None is the default."""
        value = self.default() if value is None else value
        if self.kind == "switch":
            return _("on") if value else _("off")
        if self.kind == "preset":
            every = {name: p.default for name, p in self.parameters.items()} | value
            return ", ".join(f"{name} {number:g}" for name, number in every.items()) or _("no parameters")
        return f"{value:g}"


LIMITS = {
    option.name: option
    for option in (
        Option(
            "jobs.per_day",
            gettext_lazy("Jobs a day"),
            gettext_lazy("How many jobs a person may start within a day."),
            "whole",
            lambda: settings.JOBS_PER_DAY,
            low=1,
            high=1_000_000,
        ),
        Option(
            "jobs.full_priority",
            gettext_lazy("Jobs a day at full priority"),
            gettext_lazy("A person's further jobs of that day wait behind other people's."),
            "whole",
            lambda: settings.JOBS_PER_DAY,
            low=0,
            high=1_000_000,
        ),
        Option(
            "jobs.later_priority",
            gettext_lazy("Priority of the further ones"),
            gettext_lazy("Between -10 and 0; a higher priority goes first, usual is 0."),
            "whole",
            lambda: -5,
            low=-10,
            high=0,
        ),
        Option(
            "jobs.min_pairs",
            gettext_lazy("Comparisons before an adapter is trained"),
            gettext_lazy("With fewer an adapter learns chance rather than the person."),
            "whole",
            lambda: settings.MIN_TRAINING_PAIRS,
            low=2,
            high=10_000,
        ),
        Option(
            "retention.automatic",
            gettext_lazy("Prune every night"),
            gettext_lazy("Delete for good what the two below take; never active, previous or pinned ones."),
            "switch",
            lambda: False,
        ),
        Option(
            "retention.days",
            gettext_lazy("Keep versions for days"),
            gettext_lazy("Younger versions are never pruned."),
            "whole",
            lambda: DAYS,
            low=1,
            high=36_500,
        ),
        Option(
            "retention.keep",
            gettext_lazy("Keep the newest of each person and kind"),
            gettext_lazy("So many versions are never pruned, however old they are."),
            "whole",
            lambda: KEEP,
            low=1,
            high=1_000,
        ),
        Option(
            "gate.max_drop",
            gettext_lazy("Safety gate: largest fall of a share"),
            gettext_lazy("Of refused harmful and accepted harmless requests. Less is stricter."),
            "number",
            lambda: margins.MAX_DROP,
            low=0.01,
            high=0.15,
        ),
        Option(
            "gate.max_loss",
            gettext_lazy("Safety gate: largest loss of words"),
            gettext_lazy("Nats a token by which openings may become less likely. Less is stricter."),
            "number",
            lambda: margins.MAX_LOSS,
            low=0.2,
            high=2.0,
        ),
        Option(
            "live.rollback",
            gettext_lazy("Roll back by itself"),
            gettext_lazy("Take a version back when fresh blind comparisons show that it does worse."),
            "switch",
            lambda: True,
        ),
        Option(
            "live.level",
            gettext_lazy("Chance of a false alarm"),
            gettext_lazy("At most, each time a version is switched on, however often one looks."),
            "number",
            lambda: 0.05,
            low=0.001,
            high=0.2,
        ),
        Option(
            "live.share",
            gettext_lazy("Win rate that must be refuted"),
            gettext_lazy("0.5: it loses more often than it wins against answers without it."),
            "number",
            lambda: 0.5,
            low=0.2,
            high=0.5,
        ),
    )
}  # fmt: skip

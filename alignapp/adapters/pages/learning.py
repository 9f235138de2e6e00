"""What could be learned now: per method what it needs, what there is, and what is new since the last time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Max
from django.utils.translation import gettext_lazy

from alignapp.adapters import options, services
from alignapp.adapters.forms import PARAMETER_PREFIX
from alignapp.adapters.models import Artifact, Job, MethodInfo
from alignapp.adapters.pages.parts import method_title
from alignapp.adapters.readiness import Given, Readiness, sentence
from alignapp.feedback.models import Feedback
from alignapp.profiles.models import InventoryAnswer, ProfileVersion

if TYPE_CHECKING:
    from datetime import datetime

    from django_stubs_ext import StrOrPromise

    from alignapp.accounts.models import Person

OFFER_AFTER = 12  # acts of feedback since the last time: fewer hardly move a vector or an adapter

DATA = {
    "pairs": gettext_lazy("pairs of answers of which you preferred one"),
    "contrasts": gettext_lazy("answers that you preferred, and the values that you state"),
    "thumbs": gettext_lazy("thumbs up and down"),
    "ratings": gettext_lazy("answers to one message that you rated differently"),
    "edits": gettext_lazy("answers that you rewrote"),
    "critiques": gettext_lazy(
        "critiques and messages with which you went on, and comparisons to check them by"
    ),
    "choices": gettext_lazy("pairs of answers of which you preferred one"),
    "inventory": gettext_lazy("answers to the personality inventory"),
    "prompts": gettext_lazy("messages that you wrote, and comparisons to judge new answers by"),
    "values": gettext_lazy("the values that you state"),
}
# Where a person gives each kind of data; everything else is given in the chat.
PLACES = {
    "inventory": ("profiles:personality", gettext_lazy("Answer the inventory")),
    "values": ("profiles:values", gettext_lazy("State values")),
}
IN_THE_CHAT = ("chat:list", gettext_lazy("Chat and rate answers"))


@dataclass(frozen=True, slots=True)
class ParameterView:
    """One parameter's input."""

    name: str
    field: str
    default: str
    low: str
    high: str
    step: str


@dataclass(frozen=True, slots=True)
class LearnView:
    """One method: what it needs, what there is, and whether it may start."""

    readiness: Readiness
    title: str
    needs: StrOrPromise
    why_not: str
    open_job: Job | None
    parameters: list[ParameterView]
    place: str
    place_label: StrOrPromise
    new_since: int  # acts of feedback, or answers, since this method last learned
    has_learned: bool

    @property
    def info(self) -> MethodInfo:
        """The method."""
        return self.readiness.method

    @property
    def is_offered(self) -> bool:
        """Say whether it is worth learning now: possible, and enough is new."""
        if not self.readiness.is_ready or self.open_job:
            return False
        return not self.has_learned or self.new_since >= OFFER_AFTER


def learn_views(person: Person, jobs: Sequence[Job], given: Given | None = None) -> list[LearnView]:
    """Return a card for every method that this version can offer; `given` is what the person gave."""
    own = Artifact.objects.for_person(person).filter(job__from_project=False)
    learned = own.values_list("job__method").annotate(Max("job__created_at"))
    last_learned = dict(learned)
    ready, views = services.readiness(person, given), []
    presets = options.presets(item.method.name for item in ready)
    for item in ready:
        info = item.method
        place, label = PLACES.get(info.data, IN_THE_CHAT)
        since = last_learned.get(info.name)
        views.append(
            LearnView(
                readiness=item,
                title=method_title(info),
                needs=DATA.get(info.data, info.data),
                why_not="" if item.is_ready else sentence(item),
                open_job=next(
                    (job for job in jobs if job.method == info.name and not job.from_project), None
                ),
                parameters=parameter_views(info.parameters, presets[info.name]),
                place=place,
                place_label=label,
                new_since=_new_since(person, info, since) if since else item.have,
                has_learned=since is not None,
            )
        )
    return views


def _new_since(person: Person, info: MethodInfo, since: datetime) -> int:
    if info.data == "inventory":
        return InventoryAnswer.objects.for_person(person).filter(answered_at__gt=since).count()
    if info.data == "values":
        return ProfileVersion.objects.for_person(person).filter(created_at__gt=since).count()
    acts = Feedback.objects.for_person(person).filter(turn__conversation__for_training=True)
    return acts.filter(created_at__gt=since).exclude(kind=Feedback.Kind.REPEAT).count()


def parameter_views(
    parameters: Mapping[str, Mapping[str, float]], preset: Mapping[str, float]
) -> list[ParameterView]:
    """Return the inputs of a method's parameters as its preset has them; numbers as HTML wants them."""
    return [
        ParameterView(
            name=name.replace("_", " "),
            field=PARAMETER_PREFIX + name,
            default=f"{preset.get(name, spec['default']):g}",
            low=f"{spec['low']:g}",
            high=f"{spec['high']:g}",
            step="1" if isinstance(spec["default"], int) else "any",
        )
        for name, spec in parameters.items()
    ]

"""What comes next for a person, with what is done; and what shapes their answers, in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from alignapp.adapters.composition import interventions_of
from alignapp.adapters.models import AlignmentVersion, Artifact
from alignapp.feedback.models import Feedback
from alignapp.profiles.services import current_profile

if TYPE_CHECKING:
    from alignapp.accounts.models import Person


@dataclass(frozen=True, slots=True)
class Step:
    """One step: where it is done, and whether it is."""

    title: str | Promise
    text: str | Promise
    button: str | Promise
    url_name: str
    done: bool


def steps_for(person: Person, alignment: AlignmentVersion | None) -> list[Step]:
    """Return the steps in order. Three short queries."""
    return [
        Step(
            _("Say who you are"),
            _("Values, personality, a short profile: each is optional and can be changed."),
            _("About me"),
            "profiles:overview",
            current_profile(person) is not None,
        ),
        Step(
            _("Chat and rate"),
            _("Your first message gets several answers. Say which you like; a dozen rated messages go far."),
            _("Chat"),
            "chat:list",
            Feedback.objects.for_person(person).exists(),
        ),
        Step(
            _("Let it learn"),
            _(
                "From six rated messages on a first part of the model becomes yours, from a dozen on more. "
                "It is tested on ratings that it never saw."
            ),
            _("What can be learned"),
            "adapters:alignment",
            _has_learned_from_feedback(person),
        ),
        Step(
            _("Switch it on"),
            _("See the evidence, switch on what is proven, and go back with one click."),
            _("My alignment"),
            "adapters:alignment",
            alignment is not None and bool(interventions_of(alignment)),
        ),
    ]


def _has_learned_from_feedback(person: Person) -> bool:
    """Say whether anything came of ratings that may act; what is only stated becomes a part by itself."""
    own = Artifact.objects.for_person(person).filter(job__from_project=False)
    return own.exclude(kind=Artifact.Kind.VALUES).exclude(state__in=Artifact.OUT_OF_SERVICE).exists()


def alignment_line(person: Person, alignment: AlignmentVersion | None) -> str:
    """Return what shapes the person's answers now, in words: "Your system message, Adapter v2 at 0.8"."""
    profile = current_profile(person)
    with_message = alignment is None or alignment.use_system_message
    parts = [gettext("your system message")] if profile and profile.system_message and with_message else []
    for acting in interventions_of(alignment) if alignment else ():
        artifact = getattr(alignment, acting["kind"])
        parts.append(gettext("%(name)s at %(strength)g") % {"name": artifact, "strength": acting["strength"]})
    if not parts:
        return gettext("Nothing yet: the base model answers you.")
    line = ", ".join(parts)
    return line[0].upper() + line[1:] + "."

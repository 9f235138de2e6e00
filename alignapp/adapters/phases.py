"""What a job does at each of its steps, in words: not every job reads feedback or is proven on it.

A person and an operator read the same words, so that nothing here is "yours". Knows methods by name only.
Everything that is not named here learns from feedback.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from alignapp.adapters.models import MERGE, PROVE, Job


@dataclass(frozen=True, slots=True)
class Steps:
    """The words for reading, learning and proving, and for a job that ended well."""

    data: str | Promise
    learn: str | Promise
    prove: str | Promise
    done: str | Promise

    def of(self, phase: str) -> str:
        """Return the words for a phase."""
        return str(getattr(self, phase, "") or Job.Phase(phase).label)


FEEDBACK = Steps(
    _("Reading the feedback"),
    _("Learning"),
    _("Proving on held-out feedback"),
    _("It has learned, and met the feedback that was held out"),
)
STEPS = {
    "values": Steps(
        _("Reading what is stated"),
        _("Putting the values together, no stronger than is safe"),
        _("Looking up what each value was measured to do"),
        _("What is stated is put together, and was tested for safety"),
    ),
    "pas": Steps(
        _("Reading the answers to the inventory"),
        _("Learning"),
        _("Proving on held-out items"),
        _("It has learned, and met the items that were held out"),
    ),
    MERGE: Steps(
        _("Reading the adapters"),
        _("Merging"),
        _("Proving on held-out feedback"),
        _("It is merged, and met the feedback that was held out"),
    ),
    PROVE: Steps(
        _("Reading the feedback that taught it nothing"),
        _("Fitting it to the base model"),
        _("Proving on held-out feedback"),
        _("It met the feedback that was held out, what was said since included"),
    ),
    "reward": Steps(
        _("Reading the project's answers"),
        _("Learning to judge"),
        _("Judging held-out items"),
        _("It has learned, and met the items that were held out"),
    ),
}


def steps_of(job: Job) -> Steps:
    """Return the words for a job."""
    return STEPS.get(job.method, FEEDBACK)


def phase_words(job: Job) -> str:
    """Say what a job does now."""
    return steps_of(job).of(job.phase)

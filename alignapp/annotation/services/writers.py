"""Whose models write a project's answers: the base model, and those of members who lend theirs.

Nobody's model is used who did not say so, the managers' own included; who leaves, or takes it back, writes no
more. What is kept of such an answer names its writer as exports do, and not what shaped it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from alignapp.accounts.models import Person
from alignapp.adapters.composition import Composition, compose
from alignapp.adapters.models import KnownModel
from alignapp.annotation.access import pseudonym
from alignapp.annotation.models import Membership, Project
from alignapp.chat.models import Reply

BASE = "base"
# Of a member: the base model under what they state, and with what it learned from them besides.
LENT: dict[str, tuple[Reply.Maker, str | Promise]] = {
    "system_message": (Reply.Maker.SYSTEM_MESSAGE, _("the base model, told what %s states")),
    "alignment": (Reply.Maker.ALIGNMENT, _("the model of %s, as it is switched on")),
}


@dataclass(frozen=True, slots=True)
class Writer:
    """One who may write: its key in the settings, its name there, and whose model it is."""

    key: str
    label: str | Promise
    maker: Reply.Maker = Reply.Maker.BASE
    member: Membership | None = field(default=None)
    attempts: int = 1  # of which a reward model keeps the best
    reward: str = ""  # its id

    def person(self, project: Project) -> Person:
        """Return the person for whom it is written: the lender, else the owner."""
        return self.member.person if self.member else project.owner

    def shape(self, project: Project) -> Composition:
        """Return what shapes the answer."""
        return compose(self.person(project), maker=self.maker)

    def name(self, reply: Reply) -> str:
        """Return how the maker is called beside this answer. One query for a base model's."""
        if self.member is None:
            known = KnownModel.objects.filter(revision=reply.model_revision).exclude(revision="")
            plain = known.values_list("name", flat=True).first() or reply.model_revision or BASE
            # Where nothing was chosen, as when the reward model is gone, it is the base model's own.
            return f"best of {self.attempts} of {plain}" if "chosen" in reply.decoding else plain
        return f"{self.maker} of {pseudonym(self.member.project_id, self.member.person_id)}"


# What other apps offer to a project; each is asked for it.
OFFERS: list[Callable[[Project], list[Writer]]] = []


def offered(project: Project) -> list[Writer]:
    """Return everybody who may write for a project. A query, and one for each of OFFERS."""
    lenders = project.memberships.filter(lends=True).select_related("person", "project__owner")
    return [
        Writer(BASE, _("the base model")),
        *(
            Writer(f"{name}:{member.pk}", str(label) % member.person, maker, member)
            for member in lenders
            for name, (maker, label) in LENT.items()
        ),
        *(writer for offer in OFFERS for writer in offer(project)),
    ]


def of_project(project: Project) -> list[Writer]:
    """Return those who write, in turn: who was chosen and still lends, else the base model."""
    every = offered(project)
    return [one for one in every if one.key in project.writers] or every[:1]

"""A project's reward model as a judge: it chooses the best of several answers of the base model.

Only in its own project, for answers that its people will judge, and only where it orders held-out answers
better than chance. No chat is shaped by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from alignapp.annotation.services.writers import Writer
from alignapp.chat.candidates import BEST_OF
from alignapp.studies.models import RewardModel

if TYPE_CHECKING:
    from alignapp.annotation.models import Project

KEY = "best_of"


def serving(project: Project) -> RewardModel | None:
    """Return the reward model of the project's latest study that has one; None where it is not useful."""
    found = RewardModel.objects.filter(study__project=project, study__withdrawn_at=None)
    latest = found.order_by("-created_at").first()
    return latest if latest is not None and latest.is_useful else None


def writers(project: Project) -> list[Writer]:
    """Return who writes with the project's reward model. One query."""
    reward = serving(project)
    if reward is None:
        return []
    label = _("the base model, the best of %(n)d answers by this project's reward model") % {"n": BEST_OF}
    return [Writer(KEY, label, attempts=BEST_OF, reward=str(reward.pk))]

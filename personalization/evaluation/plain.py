"""What the base model itself answers where every artifact is asked the same, found out once for each model.

Knows nothing of artifacts. A process that proves many keeps one beside its base model.
"""

from __future__ import annotations

from functools import cached_property

from personalization.models.ability import right_answers
from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.safety.gate import Ask, ask


class Plain:
    """The base model's answers, each computed when it is first needed."""

    def __init__(self, base: BaseModel) -> None:
        self._base = base

    @cached_property
    def right(self) -> list[float]:
        """Which of the simple questions it answers rightly: 1 or 0 each (`right_answers`)."""
        return right_answers(self._base)

    @cached_property
    def ask(self) -> Ask:
        """What asks it a round of the safety gate's requests."""
        return ask(self._base, Interventions(self._base), Row())

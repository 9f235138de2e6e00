"""One request on its way through the batch: what acts on it, and the tokens that were drawn for it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from personalization.engine.prefix import Key
from personalization.engine.writing import Writing
from personalization.models.interventions import Row
from personalization.steering.instant import MeanStates


@dataclass(eq=False, kw_only=True)
class Answer(Writing):
    """One request on its way: what it carries, and what has come of it."""

    row: Row
    key: Key
    is_deleted: bool = False  # its owner, or what acts on it: then nothing is kept for the next turn
    generator: torch.Generator
    states: MeanStates | None = None  # what a row that carries nothing held when it left
    drawn: list[int] = field(default_factory=list)  # tokens, the last of them not yet read

    @property
    def last_token(self) -> int:
        """The token that the next step reads."""
        return self.drawn[-1]

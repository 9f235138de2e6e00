"""One request on its way through the engine: what it carries, and what has come of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from personalization.engine.detokenise import Detokeniser
from personalization.engine.prefix import Key
from personalization.engine.requests import GenerationRequest
from personalization.engine.stops import StopStrings
from personalization.engine.stream import LocalStream
from personalization.models.interventions import Row
from personalization.steering.instant import MeanStates


@dataclass(eq=False)
class Answer:
    """One request on its way: what it carries, and what has come of it."""

    request: GenerationRequest
    stream: LocalStream
    prompt: Sequence[int]
    row: Row
    key: Key
    generator: torch.Generator
    words: Detokeniser
    stops: StopStrings
    limit: int  # new tokens at most
    submitted: float = field(default_factory=time.monotonic)
    first_token: float | None = None
    token_count: int = 0
    states: MeanStates | None = None  # what a row that carries nothing held when it left
    drawn: list[int] = field(default_factory=list)  # tokens, the last of them not yet read

    @property
    def last_token(self) -> int:
        """The token that the next step reads."""
        return self.drawn[-1]

    @property
    def is_late(self) -> bool:
        """Say whether its time is over."""
        limit = self.request.deadline_seconds
        return limit is not None and time.monotonic() - self.submitted > limit

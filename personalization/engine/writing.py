"""One answer as text: tokens go in, events come out, and at the end what it came to.

Knows nothing of where the tokens come from, so that every engine ends answers at the same places.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from personalization.engine.detokenise import Detokeniser
from personalization.engine.requests import Finished, FinishReason, GenerationRequest, Token
from personalization.engine.stops import StopStrings
from personalization.engine.stream import LocalStream
from personalization.steering.instant import MeanStates


@dataclass(eq=False, kw_only=True)
class Writing:
    """A request, and what was written for it. At most `limit` tokens."""

    request: GenerationRequest
    stream: LocalStream
    prompt: Sequence[int]
    words: Detokeniser
    stops: StopStrings
    limit: int
    submitted: float = field(default_factory=time.monotonic)
    first_token: float | None = None
    token_count: int = 0

    @property
    def seconds_left(self) -> float | None:
        """How long it may still take; None for ever."""
        limit = self.request.deadline_seconds
        return None if limit is None else self.submitted + limit - time.monotonic()

    @property
    def is_late(self) -> bool:
        """Say whether its time is over."""
        left = self.seconds_left
        return left is not None and left < 0

    def too_late(self) -> TimeoutError:
        """Return what is wrong where nothing was written in time."""
        seconds = self.request.deadline_seconds or 0.0
        return TimeoutError(f"nothing was written within {seconds:.0f} seconds; try again later")

    def add(self, token: int, end_ids: Collection[int]) -> FinishReason | None:
        """Hand out what became certain with a token; return why the answer ends with it, if it does."""
        if self.first_token is None:
            self.first_token = time.monotonic()
        if token in end_ids:
            return "eos"
        self.token_count += 1
        if text := self.stops.add(self.words.add(token)):
            self.stream.put(Token(text))
        if self.stops.found:
            return "stop"
        return "length" if self.token_count >= self.limit else None

    def finish(
        self, reason: FinishReason, error: Exception | None = None, states: MeanStates | None = None
    ) -> None:
        """Hand out what was held back, and the end."""
        if rest := self.stops.add(self.words.finish()) + self.stops.finish():
            self.stream.put(Token(rest))
        now = time.monotonic()
        self.stream.put(
            Finished(
                reason,
                self.stops.text,
                self.token_count,
                seconds_to_first_token=(self.first_token or now) - self.submitted,
                seconds=now - self.submitted,
                error=f"The answer could not be written: {error}" if error else "",
                states=None if self.stops.found else states,
                prompt_token_count=len(self.prompt),
            )
        )

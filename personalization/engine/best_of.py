"""Write one answer several times, and hand out the one that objectives like best.

A stream like any other, so that whoever follows one need not know. Nothing is handed out before all are
written: what is not chosen is never seen. All attempts run in the engine's one batch, so they take little
longer than one of them while there is room, and n times its work.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from personalization.decoding.objectives import Candidate, Objective, choose
from personalization.engine.requests import Engine, Finished, GenerationRequest, Stream, Token
from personalization.steering.instant import MeanStates

LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which attempt was handed out, from 0, the plain one, and what all of them cost."""

    place: int
    attempts: tuple[Candidate, ...]

    @property
    def tokens(self) -> int:
        """All tokens that were written."""
        return sum(each.token_count for each in self.attempts)


class BestOf:
    """The stream of a request that is answered `count` times; attempt i has the request's seed plus i.

    So the first attempt is the plain answer, and with `count` 1 it is what is handed out. An attempt that
    fails is left out. Raises EngineBusy as `Engine.submit` does; then nothing is left running.
    """

    def __init__(
        self, engine: Engine, request: GenerationRequest, count: int, objectives: Sequence[Objective]
    ) -> None:
        self._engine, self._request, self._objectives = engine, request, objectives
        self._begun = time.monotonic()
        self._cancelled = False
        self._events: list[Token | Finished] = []
        self._ends: list[Finished | None] = [None] * count
        self._states: dict[int, MeanStates | None] = {}
        self._streams: list[Stream] = []
        self.chosen: Chosen | None = None  # once it has ended with an answer
        try:
            for i in range(count):
                sampling = replace(request.sampling, seed=request.sampling.seed + i)
                self._streams.append(
                    engine.submit(replace(request, id=f"{request.id}-{i}", sampling=sampling))
                )
        except BaseException:
            self.cancel()
            raise

    def __iter__(self) -> Iterator[Token | Finished]:
        """Yield the answer, then `Finished`."""
        while True:
            event = self.next(LOOK_SECONDS)
            if event is not None:
                yield event
            if isinstance(event, Finished):
                return

    def next(self, timeout_seconds: float | None = None) -> Token | Finished | None:
        """Return the next event; None when none came within the timeout, or while attempts are compared."""
        if self._events:
            return self._events.pop(0) if len(self._events) > 1 else self._events[0]
        for i, stream in enumerate(self._streams):
            if self._ends[i] is None:
                event = stream.next(timeout_seconds)
                if isinstance(event, Finished):
                    self._ends[i] = event
                return None
        ends = [end for end in self._ends if end is not None]
        if not self._cancelled and (due := self._unread(ends)) is not None:
            self._states[due] = self._read(ends[due])  # one forward pass a call
            return None
        self._events = self._ended(ends)
        return self.next(timeout_seconds)

    def cancel(self) -> None:
        """Stop all attempts; `Finished("cancelled")` with the plain one's text follows."""
        self._cancelled = True
        for stream in self._streams:
            stream.cancel()

    def _unread(self, ends: Sequence[Finished]) -> int | None:
        """Return an attempt whose states are still to be read."""
        usable = [i for i, end in enumerate(ends) if end.reason != "error" and end.text]
        return next((i for i in usable if i not in self._states), None) if len(usable) > 1 else None

    def _read(self, end: Finished) -> MeanStates | None:
        """Return the base model's states on the conversation alone, from writing where it wrote alone."""
        alone = tuple(m for m in self._request.messages if m.role != "system")
        if end.states is not None and alone == self._request.messages and not self._request.interventions:
            return end.states
        try:
            return self._engine.read(alone, end.text)
        except ValueError:  # nothing but white space
            return None

    def _ended(self, ends: Sequence[Finished]) -> list[Token | Finished]:
        seconds = time.monotonic() - self._begun
        if self._cancelled and any(end.reason == "cancelled" for end in ends):
            return [replace(ends[0], reason="cancelled", seconds=seconds)]
        sound = [i for i, end in enumerate(ends) if end.reason != "error"]
        if not sound:
            return [replace(ends[0], seconds=seconds)]
        attempts = [self._candidate(i, ends[i]) for i in sound]
        place = choose(self._objectives, attempts)
        self.chosen = Chosen(place, tuple(attempts))
        best = ends[sound[place]]
        # The first token that is seen is seen when all is written.
        end = replace(best, seconds=seconds, seconds_to_first_token=seconds)
        return [Token(best.text), end] if best.text else [end]

    def _candidate(self, place: int, end: Finished) -> Candidate:
        states = self._states.get(place)
        return Candidate(end.text, end.token_count, states.means if states is not None else None)

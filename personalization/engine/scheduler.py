"""Who is in the batch: rows join and leave between two steps, first come, first served.

Knows nothing of files or chats. One thread does all the arithmetic; `submit` and streams are the only
way in and out. A failure ends the rows that it concerns and leaves the engine working.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import torch
from torch import Tensor

from personalization.engine import sampling
from personalization.engine.batch import Answer, Batch
from personalization.engine.requests import Finished, FinishReason, Token
from personalization.errors import EngineBusy
from personalization.models.base import BaseModel

log = logging.getLogger(__name__)

# Prompts are read between two steps: more tokens at once would hold up the rows that are being written.
PROMPT_TOKENS_AT_ONCE = 2048
# How often an idle engine looks at what it may forget.
IDLE_SECONDS = 30.0
Result = TypeVar("Result")


class Scheduler:
    """The engine's thread and the queue in front of it."""

    def __init__(
        self, base: BaseModel, batch: Batch, *, max_rows: int, queue_limit: int, cache_tokens: int
    ) -> None:
        self._end_ids = base.end_ids
        self._batch = batch
        self._max_rows = max_rows
        self._queue_limit = queue_limit
        self._cache_tokens = cache_tokens
        self._waiting: deque[Answer] = deque()
        self._errands: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def check_room(self) -> None:
        """Raise EngineBusy when the queue is full, or the engine closed."""
        if self._closed:
            raise EngineBusy("The engine is shutting down; try again in a moment.")
        if len(self._waiting) >= self._queue_limit:
            raise EngineBusy(f"{self._queue_limit} answers are waiting already; try again in a moment.")

    def submit(self, answer: Answer) -> None:
        """Queue an answer. Raises EngineBusy."""
        with self._changed:
            self.check_room()
            self._waiting.append(answer)
            self._changed.notify()

    def run(self, errand: Callable[[], Result]) -> Result:
        """Have the engine's thread do something short with the model between two steps; return its result.

        Raises what the errand raises, and EngineBusy when the engine closes.
        """
        future: Future[Result] = Future()

        def carry_out() -> None:
            try:
                if self._closed:
                    raise EngineBusy("The engine is shutting down; try again in a moment.")
                future.set_result(errand())
            except Exception as error:
                future.set_exception(error)

        with self._changed:
            if self._closed:
                raise EngineBusy("The engine is shutting down; try again in a moment.")
            self._errands.append(carry_out)
            self._changed.notify()
        return future.result()

    def wake(self) -> None:
        """Look at the queue and at cancelled streams again."""
        with self._changed:
            self._changed.notify()

    def close(self) -> None:
        """End every answer as cancelled and stop the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    @torch.inference_mode()
    def _run(self) -> None:
        while self._wait_for_work():
            try:
                self._turn()
            except Exception as error:
                log.exception("a step of the engine failed")
                self._abandon(error)
        for answer in (*self._batch.rows, *self._waiting):
            self._finish(answer, "cancelled")
        self._waiting.clear()
        self._batch.clear()
        while self._errands:
            self._errands.popleft()()

    def _wait_for_work(self) -> bool:
        with self._changed:
            while not (self._closed or self._waiting or self._batch.rows or self._errands):
                self._changed.wait(timeout=IDLE_SECONDS)
                self._batch.prefixes.expire()
            return not self._closed

    def _turn(self) -> None:
        """Do one errand, drop who cancelled, take in who waits, write one token of every row."""
        if self._errands:
            self._errands.popleft()()
        for answer in [a for a in self._batch.rows if a.stream.cancelled]:
            self._leave(answer, "cancelled")
        if joining := self._take():
            self._join(joining)
        if self._batch.rows:
            self._advance(list(self._batch.rows), self._batch.step())

    def _take(self) -> list[Answer]:
        """Return the waiting answers that fit in now; end those that were cancelled."""
        taken: list[Answer] = []
        longest = max((_need(a) for a in self._batch.rows), default=0)
        with self._changed:
            for answer in [a for a in self._waiting if a.stream.cancelled]:
                self._waiting.remove(answer)
                self._finish(answer, "cancelled")
            while self._waiting:
                answer = self._waiting[0]
                rows = len(self._batch.rows) + len(taken) + 1
                longest = max(longest, _need(answer))
                width = max(len(a.prompt) for a in (*taken, answer))
                full = rows > self._max_rows or rows * longest > self._cache_tokens
                slow = width * (len(taken) + 1) > PROMPT_TOKENS_AT_ONCE
                # An answer that is too large for its limits still goes when it is alone.
                if (full and rows > 1) or (slow and taken):
                    break
                taken.append(self._waiting.popleft())
        return taken

    def _join(self, answers: Sequence[Answer]) -> None:
        try:
            logits = self._batch.join(answers)
        except Exception as error:
            if len(answers) == 1:
                log.exception("an answer could not be started")
                self._finish(answers[0], "error", error)
                return
            for answer in answers:  # one of them is at fault; the others go on
                self._join([answer])
            return
        self._advance(answers, logits)

    def _advance(self, answers: Sequence[Answer], logits: Tensor) -> None:
        """Draw and hand out the next token of these rows."""
        sound = logits.sum(dim=-1).isfinite().tolist()
        kept = [i for i, is_sound in enumerate(sound) if is_sound]
        if len(kept) < len(answers):
            for answer, is_sound in zip(answers, sound, strict=True):
                if not is_sound:
                    self._leave(
                        answer, "error", ValueError("what acts on the model makes its output overflow")
                    )
            answers, logits = [answers[i] for i in kept], logits[kept]
        if not answers:
            return
        tokens = sampling.draw(logits, [a.request.sampling for a in answers], [a.generator for a in answers])
        for answer, token in zip(answers, tokens, strict=True):
            self._hand_out(answer, token)

    def _hand_out(self, answer: Answer, token: int) -> None:
        if answer.first_token is None:
            answer.first_token = time.monotonic()
        if token in self._end_ids:
            self._leave(answer, "eos")
            return
        answer.drawn.append(token)
        answer.token_count += 1
        if text := answer.stops.add(answer.words.add(token)):
            answer.stream.put(Token(text))
        if answer.stops.found:
            self._leave(answer, "stop")
        elif answer.token_count >= answer.limit:
            self._leave(answer, "length")

    def _leave(self, answer: Answer, reason: FinishReason, error: Exception | None = None) -> None:
        self._batch.leave(answer, broken=error is not None)
        self._finish(answer, reason, error)

    def _abandon(self, error: Exception) -> None:
        """End every row after a failed step; what waits is still to come."""
        rows = list(self._batch.rows)
        self._batch.clear()
        for answer in rows:
            self._finish(answer, "error", error)

    def _finish(self, answer: Answer, reason: FinishReason, error: Exception | None = None) -> None:
        if rest := answer.stops.add(answer.words.finish()) + answer.stops.finish():
            answer.stream.put(Token(rest))
        now = time.monotonic()
        answer.stream.put(
            Finished(
                reason,
                answer.stops.text,
                answer.token_count,
                seconds_to_first_token=(answer.first_token or now) - answer.submitted,
                seconds=now - answer.submitted,
                error=f"The answer could not be written: {error}" if error else "",
                states=None if answer.stops.found else answer.states,
                prompt_token_count=len(answer.prompt),
            )
        )


def _need(answer: Answer) -> int:
    return len(answer.prompt) + answer.limit

"""Who is in the batch: rows join and leave between two steps, in fair shares, first come, first served.

Knows nothing of files or chats. One thread does all the arithmetic; `submit` and streams are the only
way in and out. A failure ends the rows that it concerns and leaves the engine working.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from typing import TypeVar

import torch
from torch import Tensor

from personalization.engine import sampling
from personalization.engine.answer import Answer
from personalization.engine.batch import Batch
from personalization.engine.reading import Reading
from personalization.engine.requests import FinishReason
from personalization.errors import EngineBusy
from personalization.models.base import BaseModel

log = logging.getLogger(__name__)

# Prompts are read between two steps: up to so many tokens while answers are being written, and so many while
# none is. (A step of 64 rows takes about as long as reading 250 tokens.)
TOKENS_BETWEEN_STEPS, TOKENS_AT_ONCE = 256, 1024
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

    def forget(self, names: Collection[str]) -> None:
        """Drop what was deleted, and keep nothing of answers that it has a part in. Called as an errand."""
        for answer in (*self._waiting, *self._batch.under_way):
            answer.is_deleted |= answer.key.is_of(names)
        self._batch.forget(names)

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
        for answer in (*self._batch.under_way, *self._waiting):
            answer.finish("cancelled")
        self._waiting.clear()
        self._batch.clear()
        while self._errands:
            self._errands.popleft()()

    def _wait_for_work(self) -> bool:
        with self._changed:
            while not (self._closed or self._waiting or self._batch.under_way or self._errands):
                self._changed.wait(timeout=IDLE_SECONDS)
                self._batch.prefixes.expire()
            return not self._closed

    def _turn(self) -> None:
        """Do one errand, drop who left, take in who waits, read some, write one token of each row."""
        if self._errands:
            self._errands.popleft()()
        self._batch.prefixes.expire()
        self._drop()
        if joining := self._take():
            self._batch.begin(joining, self._tokens)
        if self._batch.reading:
            self._read()
        if self._batch.rows:
            self._advance(list(self._batch.rows), self._batch.step())

    def _drop(self) -> None:
        """End what was cancelled, and what has had its time."""
        for answer in list(self._batch.rows):
            if answer.stream.cancelled or answer.is_late:
                self._leave(answer, "cancelled" if answer.stream.cancelled else "deadline")
        for reading in list(self._batch.reading):
            if all(answer.stream.cancelled or answer.is_late for answer in reading.answers):
                self._batch.reading.remove(reading)
                for answer in reading.answers:
                    self._end_unwritten(answer)
        with self._changed:
            over = [answer for answer in self._waiting if answer.stream.cancelled or answer.is_late]
            for answer in over:
                self._waiting.remove(answer)
        for answer in over:
            self._end_unwritten(answer)

    def _end_unwritten(self, answer: Answer) -> None:
        if answer.stream.cancelled:
            answer.finish("cancelled")
        else:
            answer.finish("error", answer.too_late())

    def _take(self) -> list[Answer]:
        """Return the waiting answers that fit in now; whoever has the fewest under way comes first."""
        taken: list[Answer] = []
        running = self._batch.under_way
        longest = max((_need(answer) for answer in running), default=0)
        held = Counter(answer.request.owner for answer in running)
        with self._changed:
            while self._waiting:
                answer = min(self._waiting, key=lambda each: held[each.request.owner])
                rows = len(running) + len(taken) + 1
                longest = max(longest, _need(answer))
                width = max(len(a.prompt) for a in (*taken, answer))
                full = rows > self._max_rows or rows * longest > self._cache_tokens
                slow = width * (len(taken) + 1) > TOKENS_AT_ONCE
                # An answer that is too large for its limits still goes when it is alone.
                if (full and rows > 1) or (slow and taken):
                    break
                self._waiting.remove(answer)
                held[answer.request.owner] += 1
                taken.append(answer)
        return taken

    @property
    def _tokens(self) -> int:
        """How many tokens of prompts one pass reads now."""
        return TOKENS_BETWEEN_STEPS if self._batch.rows else TOKENS_AT_ONCE

    def _next(self) -> Reading:
        """Return the prompts with the fewest passes left, one less for each turn that they waited.

        Of equally long prompts the first is read to its end before the next begins: by turns, all of them
        would end as late as the last. Short ones pass long ones by, and nobody waits for ever.
        """
        due = min(
            self._batch.reading, key=lambda each: each.passes_left(TOKENS_BETWEEN_STEPS) - each.turns_waited
        )
        for each in self._batch.reading:
            each.turns_waited += each is not due
        return due

    def _read(self) -> None:
        """Read on in the prompts whose turn it is."""
        reading = self._next()
        try:
            logits = self._batch.read(reading, self._tokens)
        except Exception as error:
            self._batch.reading.remove(reading)
            if len(reading.answers) > 1:  # one of them is at fault; the others go on
                for answer in reading.answers:
                    self._batch.begin([answer], self._tokens)
                return
            log.exception("an answer could not be started")
            reading.answers[0].finish("error", error)
            return
        if logits is not None:
            self._batch.reading.remove(reading)
            self._advance(reading.answers, logits)

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
        rules = [answer.request.sampling for answer in answers]
        logits = sampling.penalised(logits, rules, [answer.drawn for answer in answers])
        tokens = sampling.draw(logits, rules, [answer.generator for answer in answers])
        for answer, token in zip(answers, tokens, strict=True):
            self._hand_out(answer, token)

    def _hand_out(self, answer: Answer, token: int) -> None:
        reason = answer.add(token, self._end_ids)
        if reason != "eos":
            answer.drawn.append(token)
        if reason is not None:
            self._leave(answer, reason)

    def _leave(self, answer: Answer, reason: FinishReason, error: Exception | None = None) -> None:
        self._batch.leave(answer, broken=error is not None)
        answer.finish(reason, error, answer.states)

    def _abandon(self, error: Exception) -> None:
        """End every row after a failed step; what waits is still to come."""
        rows = list(self._batch.rows)
        self._batch.clear()  # prompts that are being read share nothing with the rows
        for answer in rows:
            answer.finish("error", error, answer.states)


def _need(answer: Answer) -> int:
    return len(answer.prompt) + answer.limit

"""The engine of a worker whose answers a vLLM server writes (`ALIGN_ENGINE=vllm`).

Prompts are encoded and text is made here, so that both are the in-process engine's; the server gets token ids
and the names of what acts. This process keeps a base model of its own for the safety gate and for states.
Whoever submits has verified the artifacts. Knows nothing of Django or brokers.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from personalization.engine import states
from personalization.engine.detokenise import Detokeniser
from personalization.engine.gating import Gating
from personalization.engine.prompt import prompt_of
from personalization.engine.requests import FinishReason, GenerationRequest, Intervention
from personalization.engine.stops import StopStrings
from personalization.engine.stream import LocalStream
from personalization.engine.vllm.names import is_digest, name_of
from personalization.engine.vllm.remote import Remote, Unreachable
from personalization.engine.vllm.steering import ARGUMENT
from personalization.engine.writing import Writing
from personalization.errors import AlignError, EngineBusy
from personalization.margins import Margins
from personalization.models.base import BaseModel
from personalization.models.interventions import Row
from personalization.models.personal import has_adapter, has_vectors, load_adapter, load_vectors
from personalization.records import Message
from personalization.safety.gate import Gate
from personalization.steering.instant import MeanStates

log = logging.getLogger(__name__)

# A server that is started again needs about so long; nothing was written yet, so nothing is lost.
PATIENCE_SECONDS, RETRY_SECONDS = 60.0, 1.0
Result = TypeVar("Result")
_SHUTTING_DOWN = "The engine is shutting down; try again in a moment."


class VllmEngine:
    """Serves requests through the server at `url`. Safe to use from many threads.

    At most `queue_limit` answers are under way. The server must serve the base model that `base` is.
    """

    def __init__(self, base: BaseModel, url: str, key: str, *, queue_limit: int = 1024) -> None:
        self.base = base
        self._key, self._queue_limit = key.encode(), queue_limit
        self._model = threading.Lock()  # one thread at a time computes with the base model here
        self._gating = Gating(base, self._alone)
        self._remote = Remote(url, key, base_name=base.revision)
        self._under_way: Counter[str] = Counter()  # by owner
        self._changing = threading.Lock()
        self._closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._answers: dict[LocalStream, asyncio.Task[FinishReason]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)
        self._thread.start()

    def submit(self, request: GenerationRequest) -> LocalStream:
        """Start a request and return its stream at once. Raises EngineBusy when too many are under way.

        What is wrong with the request itself comes as `Finished("error")`.
        """
        writing = self._writing(request)
        try:
            writing.prompt, writing.limit = prompt_of(self.base, request, context=self.base.context_length)
            body = self._body(writing)
        except AlignError as error:
            writing.finish("error", error)
            return writing.stream
        with self._changing:
            if self._closed:
                raise EngineBusy(_SHUTTING_DOWN)
            if self._under_way.total() >= self._queue_limit:
                raise EngineBusy(f"{self._queue_limit} answers are under way; try again in a moment.")
            # Who has the fewest under way comes first.
            body["priority"] = self._under_way[request.owner]
            self._under_way[request.owner] += 1
            self._loop.call_soon_threadsafe(self._begin, writing, body)
        return writing.stream

    def read(self, messages: Sequence[Message], text: str) -> MeanStates:
        """Return what the base model alone holds while it reads an answer. See `Engine.read`."""
        return self._alone(lambda: states.read(self.base, messages, text))

    def gate(
        self,
        intervention: Intervention,
        *,
        tick: Callable[[], None] = lambda: None,
        margins: Margins | None = None,
    ) -> Gate:
        """Return what an artifact does to refusals. See `Engine.gate`."""
        kind, path, strength = intervention.kind, intervention.path, intervention.strength
        row = Row(
            adapters=((load_adapter(path), strength),) if has_adapter(path, kind) else (),
            vectors=((load_vectors(path), strength),) if has_vectors(path, kind) else (),
        )
        self._gating.check(row)
        return self._gating.gate(row, tick, margins)

    def resident(self) -> list[str]:
        """Return nothing: the vLLM server holds the artifacts, and its own metrics tell of them."""
        return []

    def forget(self, names: Iterable[str]) -> None:
        """Have the server drop what was deleted; it is told again until it hears it. See `Engine.forget`."""
        # No person's id leaves this process: the server drops every prefix, whoever is gone.
        digests = [name for name in names if is_digest(name)]
        self._loop.call_soon_threadsafe(lambda: self._start(self._forget(digests)))

    def close(self) -> None:
        """End every answer as cancelled; nothing may be submitted after."""
        with self._changing:
            self._closed = True
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _alone(self, errand: Callable[[], Result]) -> Result:
        with self._model:
            if self._closed:
                raise EngineBusy(_SHUTTING_DOWN)
            return errand()

    def _writing(self, request: GenerationRequest) -> Writing:
        def cancel() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so the answer is over
                self._loop.call_soon_threadsafe(self._cancel, stream)

        stream = LocalStream(cancel)
        return Writing(
            request=request,
            stream=stream,
            prompt=(),
            words=Detokeniser(self.base.tokenizer, self.base.special_ids),
            stops=StopStrings(request.sampling.stop),
            limit=0,
        )

    def _body(self, writing: Writing) -> dict[str, Any]:
        """Return the completion that a request is, without its place in the queue."""
        request, rules = writing.request, writing.request.sampling
        acting = [each for each in request.interventions if each.strength != 0]
        adapters = name_of([(i.digest, i.strength) for i in acting if has_adapter(i.path, i.kind)])
        vectors = name_of([(i.digest, i.strength) for i in acting if has_vectors(i.path, i.kind)])
        # What was computed for one owner, or under one key of artifacts, is not found by another's request.
        salted = "\0".join((request.owner, adapters, vectors)).encode()
        return {
            **({"model": adapters} if adapters else {}),
            **({"vllm_xargs": {ARGUMENT: vectors}} if vectors else {}),
            "prompt": list(writing.prompt),
            "cache_salt": hmac.new(self._key, salted, hashlib.sha256).hexdigest(),
            "temperature": rules.temperature,
            "top_p": rules.top_p,
            "top_k": rules.top_k,
            "presence_penalty": rules.presence_penalty,
            "frequency_penalty": rules.frequency_penalty,
            "seed": rules.seed,
            "stop_token_ids": sorted(self.base.end_ids),
        }

    # --- In the loop's thread ---------------------------------------------------------------------

    def _start(self, work: Any) -> asyncio.Task[Any]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _begin(self, writing: Writing, body: dict[str, Any]) -> None:
        self._answers[writing.stream] = task = self._start(self._write(writing, body))
        task.add_done_callback(lambda done: self._end(writing, done))

    def _cancel(self, stream: LocalStream) -> None:
        if (task := self._answers.get(stream)) is not None:
            task.cancel()

    def _end(self, writing: Writing, task: asyncio.Task[FinishReason]) -> None:
        del self._answers[writing.stream]
        with self._changing:
            self._under_way[writing.request.owner] -= 1
            self._under_way = +self._under_way
        if task.cancelled():
            writing.finish("cancelled")
        elif (error := task.exception()) is None:
            writing.finish(task.result())
        else:
            log.warning(
                "answer %s: %s", writing.request.id, error, exc_info=not isinstance(error, AlignError)
            )
            writing.finish("error", error if isinstance(error, Exception) else None)

    async def _write(self, writing: Writing, body: dict[str, Any]) -> FinishReason:
        try:
            async with asyncio.timeout(writing.seconds_left):
                return await self._persist(writing, body)
        except TimeoutError:
            if writing.token_count:
                return "deadline"
            raise writing.too_late() from None

    async def _persist(self, writing: Writing, body: dict[str, Any]) -> FinishReason:
        """Write, and wait for a server that is not there."""
        until = self._loop.time() + PATIENCE_SECONDS
        while True:
            try:
                return await self._read_pieces(writing, body)
            except Unreachable:
                if self._loop.time() > until:
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    async def _read_pieces(self, writing: Writing, body: dict[str, Any]) -> FinishReason:
        writing.limit = min(writing.limit, await self._remote.context() - len(writing.prompt))
        if writing.limit < 1:
            return "length"
        pieces = self._remote.complete({**body, "max_tokens": writing.limit})
        async with contextlib.aclosing(pieces):  # leaving early closes the connection
            async for tokens, reason in pieces:
                for token in tokens:
                    if (end := writing.add(token, self.base.end_ids)) is not None:
                        return end
                if reason == "stop":
                    return "eos"
        raise AlignError("the vLLM server ended it before its end; try again")

    async def _forget(self, digests: Sequence[str]) -> None:
        while True:
            try:
                return await self._remote.forget(digests)
            except Unreachable:
                await asyncio.sleep(RETRY_SECONDS)
            except AlignError as error:
                log.error("what was deleted may still be in the vLLM server's memory: %s", error)
                return None

    async def _close(self) -> None:
        me = asyncio.current_task()
        others = [task for task in self._tasks if task is not me]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._remote.close()

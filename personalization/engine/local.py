"""The in-process engine: many people's answers in one batch, each with what is their own.

Knows nothing of Django, brokers or who may use which artifact: whoever submits has verified them.
Files are read once per digest and kept while there is room.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from torch import Tensor

from personalization.engine import sampling, states
from personalization.engine.answer import Answer
from personalization.engine.batch import Batch, bytes_per_token, supported_context
from personalization.engine.detokenise import Detokeniser
from personalization.engine.gating import Gating
from personalization.engine.prefix import Key
from personalization.engine.prompt import prompt_of
from personalization.engine.replay import Capture
from personalization.engine.requests import Finished, GenerationRequest, Intervention
from personalization.engine.scheduler import Scheduler
from personalization.engine.stops import StopStrings
from personalization.engine.stream import LocalStream
from personalization.engine.weights import Form
from personalization.errors import AlignError, EngineBusy
from personalization.margins import Margins
from personalization.models.base import BaseModel
from personalization.models.interventions import Row
from personalization.models.personal import (
    LoraWeights,
    SteeringVectors,
    has_adapter,
    has_vectors,
    load_adapter,
    load_vectors,
)
from personalization.records import Message
from personalization.safety.gate import Gate
from personalization.safety.openings import Leaning
from personalization.steering.instant import MeanStates

Loaded = TypeVar("Loaded", LoraWeights, SteeringVectors)


class LocalEngine:
    """Serves requests with a base model in this process. Safe to use from many threads.

    At most `max_rows` answers are written at once and `queue_limit` wait. Keys and values of running answers
    take at most `cache_bytes`, those that are kept for the next turn `prefix_bytes` (0: none), artifacts in
    memory `artifact_bytes`. `weights` is the form in which decoding holds a copy of the base model's weights.
    `is_compiled`: few rows are multiplied by what this machine's compiler builds, where it has one.
    `capture` records steps to replay them (`CudaGraphs`); None: each is computed as it comes.
    Raises ModelError for an architecture that it cannot batch, or not in that form.
    """

    def __init__(
        self,
        base: BaseModel,
        *,
        max_rows: int = 32,
        queue_limit: int = 1024,
        cache_bytes: int = 2 * 2**30,
        artifact_bytes: int = 512 * 2**20,
        prefix_bytes: int = 256 * 2**20,
        weights: Form = "exact",
        is_compiled: bool = False,
        capture: Capture | None = None,
    ) -> None:
        self.base = base
        self._context = supported_context(base)
        self._artifacts = _Artifacts(artifact_bytes)
        room = {"max_rows": max_rows, "cache_tokens": cache_bytes // bytes_per_token(base)}
        self._batch = Batch(
            base, **room, prefix_bytes=prefix_bytes, weights=weights, is_compiled=is_compiled, capture=capture
        )
        self._gating = Gating(base, self._between_steps)
        self._scheduler = Scheduler(base, self._batch, **room, queue_limit=queue_limit)

    def submit(self, request: GenerationRequest) -> LocalStream:
        """Queue a request and return its stream at once. Raises EngineBusy when the queue is full.

        What is wrong with the request itself (a prompt that is too long, an artifact that cannot be
        read) comes as `Finished("error")`.
        """
        self._scheduler.check_room()
        stream = LocalStream(self._scheduler.wake)
        started = time.monotonic()
        try:
            answer = self._answer(request, stream)
        except AlignError as error:
            stream.put(Finished("error", "", 0, 0.0, time.monotonic() - started, error=str(error)))
            return stream
        if answer.limit < 1:
            stream.put(Finished("length", "", 0, 0.0, time.monotonic() - started))
        else:
            self._scheduler.submit(answer)
        return stream

    def read(self, messages: Sequence[Message], text: str) -> MeanStates:
        """Return what the base model alone holds while it reads an answer. See `Engine.read`."""
        return self._scheduler.run(lambda: states.read(self.base, messages, text))

    def gate(
        self,
        intervention: Intervention,
        *,
        tick: Callable[[], None] = lambda: None,
        margins: Margins | None = None,
    ) -> Gate:
        """Return what an artifact does to refusals. See `Engine.gate`; the base model is measured once."""
        return self._gating.gate(self._row((intervention,)), tick, margins)

    def _between_steps(self, errand: Callable[[], list[Leaning]]) -> list[Leaning]:
        begun = time.monotonic()
        found = self._scheduler.run(errand)
        if self._batch.rows:  # whoever reads an answer meanwhile gets at least half of the time
            time.sleep(time.monotonic() - begun)
        return found

    def resident(self) -> list[str]:
        """Return the digests of what was read from disk and is kept."""
        return self._artifacts.resident()

    def forget(self, names: Iterable[str]) -> None:
        """Drop from memory what was deleted. See `Engine.forget`."""
        gone = frozenset(names)
        self._artifacts.forget(gone)
        with contextlib.suppress(EngineBusy):  # a closed engine holds nothing
            self._scheduler.run(lambda: self._scheduler.forget(gone))

    def close(self) -> None:
        """Cancel what runs and free the model's cache; nothing may be submitted after."""
        self._scheduler.close()

    def _answer(self, request: GenerationRequest, stream: LocalStream) -> Answer:
        prompt, limit = prompt_of(self.base, request, context=self._context)
        return Answer(
            request=request,
            stream=stream,
            prompt=prompt,
            row=self._row(request.interventions),
            key=_key_of(request),
            generator=sampling.generator(request.sampling.seed),
            words=Detokeniser(self.base.tokenizer, self.base.special_ids),
            stops=StopStrings(request.sampling.stop),
            limit=limit,
        )

    def _row(self, interventions: tuple[Intervention, ...]) -> Row:
        acting = [each for each in interventions if each.strength != 0]
        row = Row(
            adapters=tuple(
                (self._artifacts.adapter(i), i.strength) for i in acting if has_adapter(i.path, i.kind)
            ),
            vectors=tuple(
                (self._artifacts.vectors(i), i.strength) for i in acting if has_vectors(i.path, i.kind)
            ),
        )
        self._batch.check(row)
        return row


def _key_of(request: GenerationRequest) -> Key:
    acting = tuple((each.digest, each.strength) for each in request.interventions if each.strength != 0)
    return Key(request.owner, acting)


class _Artifacts:
    """What was read from disk, by digest, the least recently used forgotten first."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._size = 0
        self._kept: OrderedDict[tuple[str, type], tuple[LoraWeights | SteeringVectors, int]] = OrderedDict()
        self._lock = threading.Lock()

    def adapter(self, intervention: Intervention) -> LoraWeights:
        """Return an adapter. Raises ArtifactError."""
        found = self._find(intervention.digest, LoraWeights)
        if isinstance(found, LoraWeights):
            return found
        weights = load_adapter(intervention.path, is_short=True)
        return self._keep(
            intervention.digest, weights, [t for pair in weights.modules.values() for t in pair]
        )

    def vectors(self, intervention: Intervention) -> SteeringVectors:
        """Return steering vectors. Raises ArtifactError."""
        found = self._find(intervention.digest, SteeringVectors)
        if isinstance(found, SteeringVectors):
            return found
        vectors = load_vectors(intervention.path)
        return self._keep(intervention.digest, vectors, list(vectors.sites.values()))

    def resident(self) -> list[str]:
        """Return the digests, the least recently used first."""
        with self._lock:
            return [digest for digest, _kind in self._kept]

    def forget(self, digests: Iterable[str]) -> None:
        """Drop these; unknown ones are no error."""
        with self._lock:
            for digest in digests:
                for kind in (LoraWeights, SteeringVectors):
                    _, size = self._kept.pop((digest, kind), (None, 0))
                    self._size -= size

    def _find(self, digest: str, kind: type) -> LoraWeights | SteeringVectors | None:
        with self._lock:
            if (digest, kind) not in self._kept:
                return None
            self._kept.move_to_end((digest, kind))
            return self._kept[digest, kind][0]

    def _keep(self, digest: str, loaded: Loaded, tensors: list[Tensor]) -> Loaded:
        size, key = sum(tensor.nbytes for tensor in tensors), (digest, type(loaded))
        with self._lock:
            # Two threads may have read it at once; rows share a product only when they hold the same object.
            if key in self._kept:
                return self._kept[key][0]  # type: ignore[return-value]
            self._kept[key] = (loaded, size)
            self._size += size
            while self._size > self._limit and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1][1]
        return loaded

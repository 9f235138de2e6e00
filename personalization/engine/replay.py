"""Play a step of decoding back from a recording, so that the host does not launch it kernel by kernel.

A step of a small model is hundreds of kernels of a few microseconds each, which take longer to launch than to
run. A CUDA graph launches them at once, but always the same ones on the same memory. So the rows are padded
to a power of two, attention covers all the space of the cache, what differs from step to step is copied to
where the recording reads it, and a recording whose cache or adapters have moved since is made anew.
Knows nothing of requests. Whoever is in the batch, the recording is the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from personalization.engine.cache import RowCache, visible
from personalization.engine.fused import ROUNDING, FusedDecoder
from personalization.models.base import BaseModel
from personalization.models.interventions import Plan
from personalization.models.personal import Site

log = logging.getLogger(__name__)

Step = Callable[[], tuple[Tensor, list[Tensor]]]
# What turns a step into its recording, which leaves the results in the same tensors each time it is called.
Capture = Callable[[Step], Step]


class CudaGraphs:
    """Captures steps as CUDA graphs, whose scratch memory is shared."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, step: Step) -> Step:
        """Return what replays the step. Raises RuntimeError for a step that waits for the GPU."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                step()  # cuBLAS makes what it needs for this stream, which must not be in the graph
            # Other threads of this process may use the GPU meanwhile.
            with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                outputs = step()

        def replay() -> tuple[Tensor, list[Tensor]]:
            graph.replay()
            return outputs

        return replay


@dataclass(frozen=True, slots=True)
class _Recording:
    read: tuple[int, ...]  # the addresses of what it reads besides its own inputs
    replay: Step


class _Window:
    """The first rows of a `RowCache` with all of its space, at places that do not move while rows write."""

    def __init__(self, cache: RowCache, rows: Tensor, lengths: Tensor) -> None:
        self._held, self._rows, self.lengths = cache.space(len(rows)), rows, lengths

    @property
    def past(self) -> _Window:
        """Itself."""
        return self

    def mask(self, dtype: torch.dtype) -> Tensor:
        """Return what the next token of each row may look at, as `RowCache.mask`."""
        return visible(self.lengths, self._held[0][0].shape[2], dtype)

    def update(self, keys: Tensor, values: Tensor, layer: int, /) -> tuple[Tensor, Tensor]:
        """Write one token of each row at the row's end; return all the space of all rows."""
        for held, new in zip(self._held[layer], (keys, values), strict=True):
            held[self._rows, :, self.lengths] = new[:, :, 0]
        return self._held[layer]


class Replay:
    """`FusedDecoder.step` through recordings, one for each number of rows."""

    def __init__(self, base: BaseModel, decoder: FusedDecoder, max_rows: int, capture: Capture) -> None:
        self._decoder, self._capture = decoder, capture
        self._limit = ROUNDING[base.model.dtype]
        self._recordings: dict[int, _Recording] = {}
        self._is_off = False
        # What every recording reads from, row by row.
        self._rows = torch.arange(max_rows, device=base.device)
        self._lengths = torch.zeros_like(self._rows)
        self._ids = torch.zeros_like(self._rows)[:, None]
        sites: list[tuple[int, Site]] = [
            (layer, site) for layer in range(len(base.layers)) for site in ("attention", "output")
        ]
        zeros = torch.zeros(max_rows, 1, base.hidden_size, device=base.device, dtype=base.model.dtype)
        self._vectors = {site: zeros.clone() for site in sites}
        self._plan: Plan | None = None  # whose vectors these are

    def forget(self) -> None:
        """Drop what is held of those who were in the batch."""
        self._plan = None
        for held in self._vectors.values():
            held.zero_()

    def rows(self, cache: RowCache) -> int:
        """Return how many rows a step has, padding included: a power of two, where there is space for it."""
        return min(cache.slots, 1 << (cache.count - 1).bit_length())

    def step(
        self, ids: Tensor, plan: Plan, cache: RowCache, watched: Sequence[int]
    ) -> tuple[Tensor, list[Tensor]]:
        """Do what `FusedDecoder.step` does; `plan` is for as many `rows` as there are with padding.

        The results hold until the next call.
        """
        count, rows = len(ids), self.rows(cache)
        self._set(ids, plan, cache.lengths)
        window = _Window(cache, self._rows[:rows], self._lengths[:rows])
        fixed = Plan(plan.lora, {site: held[:rows] for site, held in self._vectors.items()}, rows)

        def step() -> tuple[Tensor, list[Tensor]]:
            return self._decoder.step(self._ids[:rows], fixed, window, watched)

        logits, seen = self._recorded(step, _addresses(plan, cache.space(rows)), rows)()
        return logits[:count], [each[:count] for each in seen]

    def _set(self, ids: Tensor, plan: Plan, lengths: Tensor) -> None:
        for mine, given in ((self._ids, ids), (self._lengths, lengths)):
            mine.zero_()
            mine[: len(given)] = given
        if plan is not self._plan:
            for site, held in self._vectors.items():
                held.zero_()
                if (pushed := plan.vectors.get(site)) is not None:
                    held[: len(pushed)] = pushed
            self._plan = plan

    def _recorded(self, step: Step, read: tuple[int, ...], rows: int) -> Step:
        """Return a recording of this step, or the step itself where there is none."""
        known = self._recordings.get(rows)
        if known is not None and known.read == read:
            return known.replay
        if not self._is_off:
            try:
                wanted = step()[0].clone()  # written at the same place again by every replay
                replay = self._capture(step)
                if _agree(replay()[0], wanted, self._limit):
                    self._recordings[rows] = _Recording(read, replay)
                    return replay
                why: object = "it gives other logits"
            except RuntimeError as error:
                why = error
            self._recordings, self._is_off = {}, True
            log.warning("steps are not replayed from graphs any more: %s", why)
        return step


def _addresses(plan: Plan, space: Sequence[tuple[Tensor, Tensor]]) -> tuple[int, ...]:
    """Return where everything lies that a step reads and nobody copies, and the shapes that may change."""
    stacks = [tensor for groups in plan.lora.values() for group in groups for tensor in group.tensors]
    held = [tensor for pair in space for tensor in pair]
    return (*space[0][0].shape, *(tensor.data_ptr() for tensor in (*held, *stacks)))


def _agree(found: Tensor, wanted: Tensor, limit: float) -> bool:
    sound = wanted.isfinite().all(dim=-1)  # a row whose adapter overflows says nothing about the recording
    found, wanted = found[sound].float(), wanted[sound].float()
    return bool((found - wanted).norm() <= limit * wanted.norm())

"""Where the time of a step, and of reading prompts, goes: processor time of one thread, by kind of operator.

One thread and its processor time, because both are hardly changed by what else the machine does.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import DynamicCache

from benchmarks.machine import commit
from benchmarks.serving.people import Model, Person
from personalization.engine.cache import RowCache
from personalization.engine.fused import FusedDecoder
from personalization.models.compiled import Compiled, Function, compiled
from personalization.models.interventions import Interventions, Row, load_adapter, load_vectors

PRODUCTS, ADAPTERS = "the base model's products", "adapters"
ATTENTION, REST = "attention and its cache", "norms, activations, sums"
_KINDS = {
    PRODUCTS: ("_linear_pointwise", "aten.linear", "aten.addmm", "aten.mm"),
    ADAPTERS: ("aten.bmm", "aten.baddbmm", "aten.index_select"),
    ATTENTION: ("scaled_dot_product", "aten.index_put", "aten.cat", "aten.roll"),
}
STEPS = 12


def profile(model: Model, group: Sequence[Person], prompt_tokens: int) -> dict[str, Any]:
    """Return seconds and shares of one step of this group, and of reading all their prompts at once."""
    torch.set_num_threads(1)
    base = model.base()
    clock, built = _Clock(), compiled()
    decoder = FusedDecoder(base, "exact", _Timed(built, clock) if built else None)
    interventions = Interventions(base)
    rows = [Row(((load_adapter(each.adapter), 1.0),), ((load_vectors(each.vector), 1.0),)) for each in group]
    ids = torch.arange(len(rows) * prompt_tokens).view(len(rows), -1) * 13 % base.model.config.vocab_size
    cache = RowCache(len(base.layers), max_rows=len(rows), max_tokens=2**16, device=base.device)
    past = DynamicCache()

    def read() -> None:
        nonlocal past
        past = DynamicCache()
        decoder.read(ids, interventions.plan(rows, decoder.joints, prompts=True), past)

    def step() -> None:
        cache.ready()
        decoder.step(ids[:, :1], interventions.plan(rows, decoder.joints), cache)
        cache.grown()

    with torch.inference_mode():
        reading = _shares(read, 2, clock)
        cache.append(past, [prompt_tokens] * len(rows), range(len(rows)))
        found = {"step": _shares(step, STEPS, clock), "reading": reading}
    return {
        **found,
        "rows": len(rows), "prompt_tokens": prompt_tokens,
        "load_average": os.getloadavg()[0], "commit": commit(),
    }  # fmt: skip


def _shares(act: Callable[[], None], times: int, clock: _Clock) -> dict[str, Any]:
    """Return the processor seconds of one call, and each kind's share of those of its operators."""
    act()  # what is made once is not counted
    begun = time.thread_time()
    for _ in range(times):
        act()
    whole = (time.thread_time() - begun) / times
    clock.seconds.clear()
    with clock:
        for _ in range(times):
            act()
    seconds = {kind: clock.seconds[kind] for kind in (*_KINDS, REST)}
    return {"seconds": whole, "shares": {k: v / sum(seconds.values()) for k, v in seconds.items()}}


class _Clock(TorchDispatchMode):
    """Sums up the processor time of each kind of operator."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = defaultdict(float)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        begun = time.thread_time()
        out = func(*args, **(kwargs or {}))
        self.seconds[_kind(str(func))] += time.thread_time() - begun
        return out

    def timed(self, kind: str, function: Function) -> Function:
        """Return the function, which torch does not see, with its time counted as this kind."""

        def act(x: Tensor) -> Tensor:
            begun = time.thread_time()
            out = function(x)
            self.seconds[kind] += time.thread_time() - begun
            return out

        return act


class _Timed(Compiled):
    """What was compiled, with its time counted."""

    def __init__(self, built: Compiled, clock: _Clock) -> None:
        self._built, self._clock = built, clock
        self.gated = clock.timed(REST, built.gated)  # type: ignore[method-assign]

    def product(self, weight: Tensor, bias: Tensor | None) -> Function:
        return self._clock.timed(PRODUCTS, self._built.product(weight, bias))

    def norm(self, weight: Tensor, epsilon: float) -> Function:
        return self._clock.timed(REST, self._built.norm(weight, epsilon))


def _kind(name: str) -> str:
    return next((kind for kind, names in _KINDS.items() if any(each in name for each in names)), REST)

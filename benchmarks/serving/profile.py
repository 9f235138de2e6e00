"""Where the time of a step, and of reading prompts, goes: processor time of one thread, by kind of operator.

One thread and its processor time, because both are hardly changed by what else the machine does.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import DynamicCache

from benchmarks.machine import commit
from benchmarks.serving.people import Model, Person
from benchmarks.timing import by_turns
from personalization.engine.cache import RowCache
from personalization.engine.fused import FusedDecoder
from personalization.models.base import BaseModel
from personalization.models.compiled import Compiled, Function, WithOwn, compiled
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import load_adapter, load_vectors
from personalization.models.placed import Placed

PRODUCTS, ADAPTERS = "the base model's products", "adapters"
ATTENTION, REST = "attention and its cache", "norms, activations, sums"
_KINDS = {
    PRODUCTS: ("_linear_pointwise", "aten.linear", "aten.addmm", "aten.mm"),
    ADAPTERS: ("aten.bmm", "aten.baddbmm", "aten.index_select"),
    ATTENTION: ("scaled_dot_product", "aten.index_put", "aten.cat", "aten.roll"),
}
STEPS, TURNS = 12, 6
P = ParamSpec("P")
T = TypeVar("T")


def profile(model: Model, group: Sequence[Person], prompt_tokens: int) -> dict[str, Any]:
    """Return seconds and shares of one step of this group, and of reading all their prompts at once.

    "turns": the same seconds with what is compiled here and without, by turns.
    """
    torch.set_num_threads(1)
    base, built, clock = model.base(), compiled(), _Clock()
    rows = [
        Row(((load_adapter(each.adapter, is_short=True), 1.0),), ((load_vectors(each.vector), 1.0),))
        for each in group
    ]
    ids = torch.arange(len(rows) * prompt_tokens).view(len(rows), -1) * 13 % base.model.config.vocab_size
    ways = {"torch's own": _Work(base, rows, ids, None)}
    if built is not None:
        ways["compiled here"] = _Work(base, rows, ids, built)
    with torch.inference_mode():
        timed = _Timed(built, clock) if built else None
        looked_at, bare = (_Work(base, each, ids, timed) for each in (rows, [Row()] * len(rows)))
        bare.read()
        found = {
            "reading": _shares(looked_at.read, 2, clock),
            "step": _shares(looked_at.step, STEPS, clock, bare.step if built else None),
        }
        by_turns({name: partial(_some, way) for name, way in ways.items()}, repeats=TURNS)
    return {
        **found,
        "turns": {name: way.medians() for name, way in ways.items()},
        "rows": len(rows), "prompt_tokens": prompt_tokens,
        "load_average": os.getloadavg()[0], "commit": commit(),
    }  # fmt: skip


class _Work:
    """One way to read everybody's prompts and to make a step, with the processor time of each."""

    _cache: RowCache  # which reading makes

    def __init__(self, base: BaseModel, rows: Sequence[Row], ids: Tensor, built: Compiled | None) -> None:
        self._decoder = FusedDecoder(base, "exact", built)
        self._interventions = Interventions(base, built=self._decoder.built)
        self._base, self._rows, self._ids = base, rows, ids
        self.step_seconds: list[float] = []
        self.read_seconds: list[float] = []

    def read(self) -> None:
        """Read the prompts, from which steps go on."""
        begun, past = time.thread_time(), DynamicCache()
        plan = self._interventions.plan(self._rows, self._decoder.joints, prompts=True)
        self._decoder.read(self._ids, plan, past)
        self.read_seconds.append(time.thread_time() - begun)
        count = len(self._rows)
        self._cache = RowCache(
            len(self._base.layers), max_rows=count, max_tokens=2**16, device=self._base.device
        )
        self._cache.append(past, [self._ids.shape[1]] * count, range(count))

    def step(self) -> None:
        """Read one more token of each."""
        begun = time.thread_time()
        self._cache.ready()
        plan = self._interventions.plan(self._rows, self._decoder.joints)
        self._decoder.step(self._ids[:, :1], plan, self._cache)
        self._cache.grown()
        self.step_seconds.append(time.thread_time() - begun)

    def medians(self) -> dict[str, float]:
        """Return the middle processor seconds of a step, and of reading."""
        return {"step": statistics.median(self.step_seconds), "reading": statistics.median(self.read_seconds)}


def _some(work: _Work) -> None:
    work.read()
    for _ in range(STEPS):
        work.step()


def _shares(
    act: Callable[[], None], times: int, clock: _Clock, bare: Callable[[], None] | None = None
) -> dict[str, Any]:
    """Return the processor seconds of one call, and each kind's share of those of its operators.

    bare: the same call without adapters, where those are added while what is compiled multiplies: they are
    what products take longer than in it.
    """
    act()  # what is made once is not counted
    begun = time.thread_time()
    for _ in range(times):
        act()
    whole = (time.thread_time() - begun) / times
    seconds = _by_kind(act, times, clock)
    if bare is not None:
        without = _by_kind(bare, times, clock)[PRODUCTS]
        seconds |= {ADAPTERS: seconds[PRODUCTS] - without, PRODUCTS: without}
    return {"seconds": whole, "shares": {k: v / sum(seconds.values()) for k, v in seconds.items()}}


def _by_kind(act: Callable[[], None], times: int, clock: _Clock) -> dict[str, float]:
    act()
    clock.seconds.clear()
    with clock:
        for _ in range(times):
            act()
    return {kind: clock.seconds[kind] for kind in (*_KINDS, REST)}


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

    def timed(self, kind: str, function: Callable[P, T]) -> Callable[P, T]:
        """Return the function, which torch does not see, with its time counted as this kind."""

        def act(*args: P.args, **kwargs: P.kwargs) -> T:
            begun = time.thread_time()
            out = function(*args, **kwargs)
            self.seconds[kind] += time.thread_time() - begun
            return out

        return act


class _Timed(Compiled):
    """What was compiled, with its time counted."""

    def __init__(self, built: Compiled, clock: _Clock) -> None:
        self._built, self._clock = built, clock

    def attend(self, *given: Any) -> Tensor:
        return self._clock.timed(ATTENTION, self._built.attend)(*given)

    def gated(self, x: Tensor) -> Tensor:
        return self._clock.timed(REST, self._built.gated)(x)

    def product(self, weight: Tensor, bias: Tensor | None) -> WithOwn:
        return self._clock.timed(PRODUCTS, self._built.product(weight, bias))

    def add(self, x: Tensor, output: Tensor, own: Placed) -> None:
        self._clock.timed(ADAPTERS, self._built.add)(x, output, own)

    def norm(self, weight: Tensor, epsilon: float) -> Function:
        return self._clock.timed(REST, self._built.norm(weight, epsilon))


def _kind(name: str) -> str:
    return next((kind for kind, names in _KINDS.items() if any(each in name for each in names)), REST)

"""How quickly a step's products are made, by rows and by who multiplies; without the rest of the step.

One thread and its processor time, as in `profile`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.serving.apart import in_a_process
from benchmarks.serving.people import Model
from personalization.engine.weights import product
from personalization.models.compiled import Function, compiled

TORCH, ONEDNN, HERE = "torch", "oneDNN, packed once", "compiled here"
_TIMES = 9
# Matrices of the widest shape that one torch.compile gets: together larger than a cache.
_AT_ONCE, _ROWS_AT_ONCE = 8, 16


def products(model: Model, rows: Sequence[int]) -> dict[str, Any]:
    """Return the GFLOP/s of a step's products, and what torch.compile makes of some; each in a process."""
    return {
        "ways": {way: in_a_process(partial(_speeds, model, way, rows)) for way in (TORCH, ONEDNN, HERE)},
        "torch_compile": in_a_process(partial(_torch_compile, model)),
    }


def _joints(model: Model) -> list[list[nn.Linear]]:
    """Return the linear layers that a step computes as one, in its order."""
    base, found = model.base(), []
    layers: Sequence[Any] = list(base.layers)
    for layer in layers:
        attention, mlp = layer.self_attn, layer.mlp
        found += [[attention.q_proj, attention.k_proj, attention.v_proj], [attention.o_proj]]
        found += [[mlp.gate_proj, mlp.up_proj], [mlp.down_proj]]
    return [*found, [base.model.get_output_embeddings()]]


@torch.inference_mode()
def _speeds(model: Model, way: str, rows: Sequence[int]) -> list[dict[str, float]] | None:
    """Return the GFLOP/s for so many rows; None where nothing can be compiled."""
    torch.set_num_threads(1)
    joints, built = _joints(model), compiled() if way == HERE else None
    if way == HERE and built is None:
        return None
    size = sum(linear.weight.numel() for joint in joints for linear in joint)
    multiply = [_plain(joint) if way == TORCH else product(joint, "exact", built) for joint in joints]
    widths = [joint[0].in_features for joint in joints]
    found = []
    for count in rows:
        inputs = {width: torch.randn(count, width) for width in set(widths)}
        seconds = _fastest(partial(_all, multiply, [inputs[width] for width in widths]))
        found.append({"rows": count, "gflops": 2e-9 * count * size / seconds, "ms": 1e3 * seconds})
    return found


def _plain(joint: Sequence[nn.Linear]) -> Function:
    weight = torch.cat([linear.weight for linear in joint])
    return lambda x: nn.functional.linear(x, weight)


def _all(multiply: Sequence[Function], inputs: Sequence[Tensor]) -> None:
    for each, x in zip(multiply, inputs, strict=True):
        each(x)


@torch.inference_mode()
def _torch_compile(model: Model) -> dict[str, Any]:
    """Return what torch.compile's own C++ (frozen, `max_autotune`) reaches beside the others, and when."""
    import torch._inductor.config as inductor

    torch.set_num_threads(1)
    inductor.freezing = inductor.max_autotune = True
    inductor.max_autotune_gemm_backends = "CPP"
    joints = [joint for joint in _joints(model) if len(joint) == 2][:_AT_ONCE]
    weights = [torch.cat([linear.weight for linear in joint]).clone() for joint in joints]
    x = torch.randn(_ROWS_AT_ONCE, weights[0].shape[1])
    work = 2e-9 * len(x) * sum(weight.numel() for weight in weights)
    begun = time.perf_counter()
    try:
        graph = torch.compile(_Some(weights).eval())
        graph(x)
        seconds = time.perf_counter() - begun
        own = work / _fastest(lambda: graph(x))
    except Exception as error:  # whatever is missing to compile with
        return {"problem": f"{type(error).__name__}: {error}"[:200]}
    others = {
        ONEDNN: [product(joint, "exact") for joint in joints],
        HERE: [product(joint, "exact", compiled()) for joint in joints],
    }
    rates = {way: work / _fastest(partial(_all, each, [x] * len(each))) for way, each in others.items()}
    return {"rows": len(x), "compile_seconds": seconds, "gflops": {"torch.compile": own, **rates}}


class _Some(nn.Module):
    """Products of one input with each of some matrices."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(weight, requires_grad=False) for weight in weights)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [nn.functional.linear(x, weight) for weight in self.weights]


def _fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_TIMES):
        begun = time.thread_time()
        work()
        seconds.append(time.thread_time() - begun)
    return min(seconds[1:])

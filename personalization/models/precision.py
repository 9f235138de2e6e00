"""Compute in half precision for a while on a CPU that multiplies it; weights are never lost.

What people are served stays in the precision that the model was loaded in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from personalization.models.base import BaseModel


def half_precision_pays(base: BaseModel) -> bool:
    """Say whether bfloat16 is faster: twice, on a CPU that multiplies it; with AVX2 alone, a seventh."""
    return (
        base.model.dtype == torch.float32
        and base.device.type == "cpu"
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # torch has no public name for this
    )


def precision_of(base: BaseModel, *, wanted: bool = True) -> str:
    """Return the name of what is computed in inside of `half_precision`."""
    if wanted and half_precision_pays(base):
        return "bfloat16"
    return str(base.model.dtype).removeprefix("torch.")


@contextmanager
def half_precision(base: BaseModel, *, wanted: bool = True) -> Iterator[None]:
    """Compute in bfloat16 meanwhile, where that is faster: good enough for drafts and comparisons.

    The weights are restored exactly.
    """
    if not (wanted and half_precision_pays(base)):
        yield
        return
    exact = [(parameter, parameter.data) for parameter in base.model.parameters()]
    try:
        for parameter, data in exact:  # not the buffers: rotary frequencies lose their meaning when rounded
            parameter.data = data.to(torch.bfloat16)
        yield
    finally:
        for parameter, data in exact:
            parameter.data = data

"""How the weights of one decoding step are held: in the layout or precision that few rows multiply fastest.

Knows nothing of layers or requests. The base model's own weights stay as they are, for reading prompts,
training and proving; these are copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

# exact: the precision that the model was loaded in. int8: a quarter of float32's bytes, one scale for each
# output (weight-only quantisation), products in bfloat16.
Form = Literal["exact", "int8"]
Product = Callable[[Tensor], Tensor]


def product(linears: Sequence[nn.Linear], form: Form) -> Product:
    """Return the layers' joint product: x (..., in) -> their outputs side by side (..., sum of outs).

    All take the same input. Raises RuntimeError where this torch or processor lacks the form.
    """
    weight = torch.cat([linear.weight for linear in linears]).detach()
    bias = _bias(linears)
    if form == "int8":
        return _int8(weight, bias)
    if weight.device.type == "cpu" and weight.dtype == torch.float32 and torch.backends.mkldnn.is_available():
        return _packed(weight, bias)
    return lambda x: nn.functional.linear(x, weight, bias)


def _bias(linears: Sequence[nn.Linear]) -> Tensor | None:
    if all(linear.bias is None for linear in linears):
        return None
    given = [(each.bias, each.weight.new_zeros(each.out_features)) for each in linears]
    return torch.cat([zeros if bias is None else bias.detach() for bias, zeros in given])


def _packed(weight: Tensor, bias: Tensor | None) -> Product:
    """Return the same float32 product on weights that oneDNN has put into its own blocks.

    `linear` hands these shapes to BLAS, which packs the weight anew at every call: for 16 rows it takes up to
    four times as long, on AMD more than on Intel. (The operators are those that torch.compile uses.)
    """
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    multiply = torch.ops.mkldnn._linear_pointwise
    return lambda x: multiply(x, packed, bias, "none", [], "")


def _int8(weight: Tensor, bias: Tensor | None) -> Product:
    scale = weight.abs().amax(dim=1).clamp(min=1e-12) / 127
    whole = (weight / scale[:, None]).round().to(torch.int8)
    scale = scale.to(torch.bfloat16)

    def multiply(x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1]).to(torch.bfloat16)
        out = torch._weight_int8pack_mm(flat, whole, scale).to(x.dtype).view(*x.shape[:-1], -1)
        return out if bias is None else out + bias

    return multiply

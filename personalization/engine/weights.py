"""How the weights of one decoding step are held: in the layout or precision that few rows multiply fastest.

Knows nothing of layers or requests. The base model's own weights stay as they are, for reading prompts,
training and proving; these are copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from personalization.models.compiled import Compiled, Function, WithOwn
from personalization.models.placed import Placed
from personalization.models.stacks import Group

# exact: the precision that the model was loaded in. int8: a quarter of float32's bytes, one scale for each
# output (weight-only quantisation), products in bfloat16.
Form = Literal["exact", "int8"]
# Rows up to which what is compiled is quicker than BLAS, which packs a weight anew for each product.
_FEW = 64


class Product(Protocol):
    """A product of layers, to which groups of adapters are added."""

    def __call__(self, x: Tensor, groups: Sequence[Group] = ()) -> Tensor: ...


def product(linears: Sequence[nn.Linear], form: Form, built: Compiled | None = None) -> Product:
    """Return the layers' joint product: x (..., in) -> their outputs side by side (..., sum of outs).

    All take the same input; what the given groups of adapters make of it is added. `built` multiplies exact
    float32, if it is given. Raises RuntimeError where this torch or processor lacks the form.
    """
    weight = torch.cat([linear.weight for linear in linears]).detach()
    bias = _bias(linears)
    if form == "int8":
        return _adapted(_int8(weight, bias))
    if _is_plain(weight) and built is not None:
        return _by_rows(built.product(weight, bias), linears)
    if _is_plain(weight) and torch.backends.mkldnn.is_available():
        return _adapted(_packed(weight, bias))
    return _adapted(lambda x: nn.functional.linear(x, weight, bias))


def _adapted(multiply: Function) -> Product:
    """Return a product with what adapters add to it afterwards."""

    def product(x: Tensor, groups: Sequence[Group] = ()) -> Tensor:
        y = multiply(x)
        for group in groups:
            group.add_(x, y)
        return y

    return product


def norm(module: nn.Module, built: Compiled | None) -> Function:
    """Return what a norm computes, by `built` where it is a root mean square's."""
    weight, epsilon = getattr(module, "weight", None), getattr(module, "variance_epsilon", None)
    if built is None or epsilon is None or not isinstance(weight, Tensor) or not _is_plain(weight):
        return module
    mine = built.norm(weight.detach(), float(epsilon))
    return mine if _alike(mine, module, weight.new_ones(len(weight))) else module


def gated(act: nn.Module, like: Tensor, built: Compiled | None) -> Function:
    """Return x (..., 2 x width) -> act(first half) * second half.

    By `built` where x is of the type of `like`, float32 on a CPU, and act is silu.
    """

    def multiply(x: Tensor) -> Tensor:
        gate, value = x.chunk(2, dim=-1)
        return act(gate) * value

    if built is None or not _is_plain(like) or not _alike(built.gated, multiply, like.new_ones(16)):
        return multiply
    return built.gated


def _is_plain(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and weight.dtype == torch.float32


@torch.inference_mode()
def _alike(mine: Function, own: Function, ones: Tensor) -> bool:
    """Say whether two functions of vectors like `ones` give the same, within rounding."""
    x = torch.linspace(-3, 3, len(ones)) * torch.tensor([[1.0], [-0.2]])
    return torch.allclose(mine(x), own(x), rtol=1e-4, atol=1e-5)


def _bias(linears: Sequence[nn.Linear]) -> Tensor | None:
    if all(linear.bias is None for linear in linears):
        return None
    given = [(each.bias, each.weight.new_zeros(each.out_features)) for each in linears]
    return torch.cat([zeros if bias is None else bias.detach() for bias, zeros in given])


def _by_rows(few: WithOwn, linears: Sequence[nn.Linear]) -> Product:
    """Return a product by `few` for a step's rows, and by BLAS for what many tokens of prompts are."""
    outs = [linear.out_features for linear in linears]

    def many(x: Tensor) -> Tensor:
        flat, y, at = x.reshape(-1, x.shape[-1]), x.new_empty(*x.shape[:-1], sum(outs)), 0
        for linear, out in zip(linears, outs, strict=True):
            part = y.view(-1, sum(outs))[:, at : at + out]
            torch.mm(flat, linear.weight.detach().T, out=part)
            if linear.bias is not None:
                part += linear.bias.detach()
            at += out
        return y

    by_few, by_many = _adapted(few), _adapted(many)

    def product(x: Tensor, groups: Sequence[Group] = ()) -> Tensor:
        if x.numel() > _FEW * x.shape[-1]:
            return by_many(x, groups)
        own = groups[0] if groups and x.shape[1] == 1 else None
        return few(x, own) if isinstance(own, Placed) else by_few(x, groups)

    return product


def _packed(weight: Tensor, bias: Tensor | None) -> Function:
    """Return the same float32 product on weights that oneDNN has put into its own blocks.

    `linear` hands these shapes to BLAS, which packs the weight anew at every call: for 16 rows it takes up to
    four times as long, on AMD more than on Intel. (The operators are those that torch.compile uses.)
    """
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    multiply = torch.ops.mkldnn._linear_pointwise
    return lambda x: multiply(x, packed, bias, "none", [], "")


def held_in_int8(weight: Tensor) -> Tensor:
    """Return a weight (out, in) as int8 holds it, in its own precision again."""
    whole, scale = _in_int8(weight.detach())
    return whole.to(weight.dtype) * scale.to(weight.dtype)[:, None]


def _in_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return whole numbers (out, in) and each output's scale (out,)."""
    scale = weight.abs().amax(dim=1).clamp(min=1e-12) / 127
    return (weight / scale[:, None]).round().to(torch.int8), scale.to(torch.bfloat16)


def _int8(weight: Tensor, bias: Tensor | None) -> Function:
    whole, scale = _in_int8(weight)

    def multiply(x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1]).to(torch.bfloat16)
        out = torch._weight_int8pack_mm(flat, whole, scale).to(x.dtype).view(*x.shape[:-1], -1)
        return out if bias is None else out + bias

    return multiply

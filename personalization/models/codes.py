"""Weights that a file held in few bits, found again in float32: fewer bytes are read, and no number changes.

A model that came from a quantised file (GGUF's Q4_0, Q4_1, Q8_0) has in each block of 32 inputs at most 16
different weights, or 256, each one scale x code + offset, with a scale of float16. A step of decoding reads
every weight for a few rows, so it takes as long as its bytes: those of four bits are a fifth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK = 32


@dataclass(frozen=True, slots=True)
class Codes:
    """A weight (out, in) as scale x code + offset, exact in float32."""

    bits: int  # 4 or 8
    codes: Tensor  # (out, in), uint8
    scales: Tensor  # (out, in / BLOCK), float32, each a float16
    offsets: Tensor  # the same; a float16, or a multiple of its scale

    def weight(self) -> Tensor:
        """Return the weight (out, in)."""
        blocks = self.codes.unflatten(1, (-1, BLOCK)).float()
        return (blocks.mul_(self.scales[..., None]).add_(self.offsets[..., None])).flatten(1)


def codes_of(weight: Tensor) -> Codes | None:
    """Return what gives a float32 weight (out, in) again, to the last bit; None where nothing does."""
    if weight.shape[1] % BLOCK or weight.dtype != torch.float32:
        return None
    for bits, numbers in _FORMS:
        if _held(weight[:1], bits, numbers) and (found := _held(weight, bits, numbers)):
            return found
    return None


def _q4_1(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest weight has the code 0, the largest 15."""
    low, high = blocks.aminmax(dim=-1)
    return _half((high - low) / 15), low


def _q4_0(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """The weight that is furthest from zero has the code 0, zero the code 8."""
    low, high = blocks.aminmax(dim=-1)
    scales = _half(torch.where(high > -low, high, low) / -8)
    return scales, -8 * scales


def _q8_0(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """The weight that is furthest from zero has the code 1 or 255, zero the code 128."""
    scales = _half(blocks.abs().amax(dim=-1) / 127)
    return scales, -128 * scales


_FORMS: tuple[tuple[int, Callable[[Tensor], tuple[Tensor, Tensor]]], ...] = (
    (4, _q4_1),
    (4, _q4_0),
    (8, _q8_0),
)


def _half(numbers: Tensor) -> Tensor:
    return numbers.half().float()


def _held(weight: Tensor, bits: int, numbers: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Codes | None:
    blocks = weight.unflatten(1, (-1, BLOCK))
    scales, offsets = numbers(blocks)
    codes = ((blocks - offsets[..., None]) / scales[..., None]).round_().nan_to_num_(0).clamp_(0, 2**bits - 1)
    found = Codes(bits, codes.to(torch.uint8).flatten(1), scales, offsets)
    return found if torch.equal(found.weight(), weight) else None

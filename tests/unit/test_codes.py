"""Weights of quantised files are found again in float32, to the last bit, multiplied as the floats are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize

from personalization.models import compiled as module
from personalization.models.codes import codes_of
from personalization.models.compiled import compiled

FORMS = [(Type.Q4_0, 4), (Type.Q4_1, 4), (Type.Q8_0, 8)]


def held_as(form: Type, out: int, width: int, seed: int = 0) -> torch.Tensor:
    """Return a weight as a file of this form gives it."""
    weight = np.random.default_rng(seed).normal(size=(out, width)).astype(np.float32)
    weight[out // 2] = 0  # a block of nothing has no scale
    return torch.from_numpy(dequantize(quantize(weight, form), form))


@pytest.mark.parametrize(("form", "bits"), FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_what_a_file_held_in_few_bits_is_found_again(form: Type, bits: int, seed: int) -> None:
    weight = held_as(form, 50, 96, seed)
    found = codes_of(weight)
    assert found is not None
    assert found.bits == bits
    assert torch.equal(found.weight(), weight)


def test_other_weights_have_no_codes() -> None:
    weight = held_as(Type.Q4_1, 9, 64)
    weight[5, 40] += 1e-3  # one number that the file could not hold
    assert codes_of(weight) is None
    assert codes_of(torch.randn(4, 64)) is None
    assert codes_of(held_as(Type.Q8_0, 4, 64).bfloat16()) is None
    assert codes_of(torch.ones(4, 40)) is None  # not whole blocks


@pytest.mark.parametrize(("form", "bits"), FORMS)
@pytest.mark.parametrize("rows", [1, 7, 8, 21])
def test_codes_are_multiplied_as_the_floats_are(monkeypatch, form: Type, bits: int, rows: int) -> None:
    built = compiled()
    if built is None:
        pytest.skip("there is no C++ compiler here")
    weight = held_as(form, 101, 96)
    x = torch.randn(rows, 96, generator=torch.Generator().manual_seed(rows))
    mine = built.product(weight, None)(x)
    monkeypatch.setattr(module, "codes_of", lambda _: None)
    assert torch.equal(mine, built.product(weight, None)(x))

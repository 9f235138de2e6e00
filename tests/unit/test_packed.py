"""Texts in one row are read as each is alone, and a model that cannot be read so is found out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Gemma2Config, Gemma2ForCausalLM

from personalization.models.base import BaseModel
from personalization.training import packed
from personalization.training.lora import Adapter, acting
from personalization.training.packed import Text, decoded_row, packable
from personalization.training.trunk import decoded_above
from tests import tiny
from tests.unit.test_training import FAST, SAFETENSORS, fingerprint, train

LENGTHS = st.tuples(st.integers(1, 9), st.lists(st.integers(1, 9), max_size=3))


def drawn(shapes: list[tuple[int, list[int]]], seed: int) -> list[Text]:
    generator = torch.Generator().manual_seed(seed)
    return [
        Text(torch.randint(3, 250, (head + sum(branches),), generator=generator), head, tuple(branches))
        for head, branches in shapes
    ]


def alone(text: Text) -> list[torch.Tensor]:
    """Return the decoder's output of each branch after the beginning, read by itself."""
    ends = [text.head]
    for length in text.branches:
        ends.append(ends[-1] + length)
    parts = [text.given[begin:end] for begin, end in pairwise(ends)]
    texts = [torch.cat([text.given[: text.head], part]) for part in parts] or [text.given]
    return [tiny.base().decoder(input_ids=ids[None], use_cache=False).last_hidden_state[0] for ids in texts]


@given(st.lists(LENGTHS, min_size=1, max_size=4), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
@torch.no_grad()
def test_every_token_is_read_as_in_a_text_of_its_own(shapes, seed):
    texts = drawn(shapes, seed)
    row = decoded_row(tiny.base(), texts).split([len(text.given) for text in texts])
    for text, own in zip(texts, row, strict=True):
        outputs = alone(text)
        torch.testing.assert_close(own[: text.head], outputs[0][: text.head], atol=1e-4, rtol=1e-4)
        begin = text.head
        for branch, length in enumerate(text.branches):
            expected = outputs[branch][text.head :]
            torch.testing.assert_close(own[begin : begin + length], expected, atol=1e-4, rtol=1e-4)
            before = outputs[branch][text.head - 1 : -1]
            torch.testing.assert_close(own[text.before(branch)], before, atol=1e-4, rtol=1e-4)
            begin += length


@torch.no_grad()
def test_nobodys_token_changes_another_text_or_branch():
    texts = drawn([(4, [3, 5]), (2, [6]), (7, [])], seed=1)
    before = decoded_row(tiny.base(), texts)
    changed = texts[0].given.clone()
    changed[4:7] = 9  # the first branch of the first text
    after = decoded_row(tiny.base(), [replace(texts[0], given=changed), *texts[1:]])
    torch.testing.assert_close(after[[*range(4), *range(7, 27)]], before[[*range(4), *range(7, 27)]])
    assert not torch.allclose(after[4:7], before[4:7])


class Written(TorchDispatchMode):
    """Counts the numbers that operators write."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and not func.is_view:
            self.numbers += out.numel()
        return out


def test_the_way_back_costs_a_text_no_more_in_the_company_of_many():
    adapter, cost = Adapter(tiny.base(), FAST, seed=1), {}
    for count in (2, 16):
        texts = drawn([(6, [5, 7])] * count, seed=count)
        with acting([adapter]):
            output = decoded_row(tiny.base(), texts)
        with Written() as written:
            output.sum().backward()
        cost[count] = written.numbers / count
    assert cost[16] < 1.2 * cost[2]


def test_each_persons_tokens_get_their_own_adapter():
    adapters = [Adapter(tiny.base(), FAST, seed=seed) for seed in (1, 2)]
    for adapter in adapters:
        for name, parameter in adapter.parameters.items():
            torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(len(name)))
            parameter.data += 0.01 * adapter._first * adapters.index(adapter)
    texts = drawn([(4, [3, 5]), (2, [6, 2])], seed=2)
    with torch.no_grad(), acting(adapters, [12, 10]):
        together = decoded_row(tiny.base(), texts).split([12, 10])
    for adapter, text, mine in zip(adapters, texts, together, strict=True):
        with torch.no_grad(), acting([adapter]):
            torch.testing.assert_close(mine, decoded_row(tiny.base(), [text]), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(together[0][:4], decoded_row(tiny.base(), texts)[:4], atol=1e-2)


def test_the_model_keeps_its_own_attention_also_after_a_failure():
    before = fingerprint(tiny.base().model)
    usual = tiny.base().model.config._attn_implementation
    with pytest.raises(IndexError):
        decoded_row(tiny.base(), [Text(torch.tensor([10_000]), 1)])  # no such token
    assert tiny.base().model.config._attn_implementation == usual
    assert fingerprint(tiny.base().model) == before


def gemma(**changed) -> BaseModel:
    """Return a tiny model whose attention has a window in every other layer, and perhaps a soft cap."""
    config = Gemma2Config(
        vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, query_pre_attn_scalar=1, initializer_range=0.5, **changed,
    )  # fmt: skip
    torch.manual_seed(0)
    return replace(tiny.base(), model=Gemma2ForCausalLM(config).eval().requires_grad_(False))


def test_a_model_with_more_than_plain_attention_is_read_text_by_text():
    assert packed._alike(gemma(attn_logit_softcapping=None))  # texts are shorter than the window
    assert not packed._alike(gemma(attn_logit_softcapping=0.05))
    windowed = gemma(attn_logit_softcapping=None)
    assert not packable(windowed)
    texts = drawn([(4, []), (9, [])], seed=3)
    with torch.no_grad():
        row = decoded_above(windowed, texts, 0).split([4, 9])
        for text, own in zip(texts, row, strict=True):
            expected = windowed.decoder(input_ids=text.given[None], use_cache=False).last_hidden_state[0]
            torch.testing.assert_close(own, expected, atol=1e-4, rtol=1e-4)


def test_an_adapter_is_the_same_where_texts_are_padded(tmp_path, monkeypatch):
    assert packable(tiny.base())
    train(tmp_path / "packed")
    monkeypatch.setitem(packed._packable, tiny.base().model, False)
    train(tmp_path / "padded")
    one, other = (load_file(tmp_path / name / "out" / SAFETENSORS) for name in ("packed", "padded"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-4, atol=1e-5)

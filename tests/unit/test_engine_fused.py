"""The engine's own step of decoding gives what the model's forward pass with hooks gives, row by row."""

from __future__ import annotations

import copy
import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    DynamicCache,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from personalization.engine.cache import RowCache
from personalization.engine.fused import FusedDecoder, fused
from personalization.engine.local import LocalEngine
from personalization.engine.weights import product
from personalization.errors import ModelError
from personalization.models.base import BaseModel
from personalization.models.compiled import Compiled, compiled
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import LoraWeights, SteeringVectors
from tests import tiny

SIZES = {
    "vocab_size": 259,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
FAMILIES = {
    "llama, its head tied": (LlamaForCausalLM, LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "llama with biases": (LlamaForCausalLM, LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True)),
    "mistral": (MistralForCausalLM, MistralConfig(**SIZES, sliding_window=None)),
    "qwen 2": (Qwen2ForCausalLM, Qwen2Config(**SIZES)),
    "qwen 3": (Qwen3ForCausalLM, Qwen3Config(**SIZES)),
}


def made(kind: type[PreTrainedModel], config) -> BaseModel:
    torch.manual_seed(3)
    model = kind(config).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "norm" in name:  # a fresh model's are zeros and ones, which hide mistakes
            parameter.data += 0.3 * torch.randn_like(parameter)
    return BaseModel(model, tiny.tokenizer(), "made", "made-revision")


def adapter(base: BaseModel, seed: int, *, only: str = "") -> LoraWeights:
    torch.manual_seed(seed)
    linears = [
        (name, module)
        for name, module in base.model.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head" and only in name
    ]
    return LoraWeights(
        {
            name: (torch.randn(module.in_features, 4) * 0.2, torch.randn(4, module.out_features) * 0.2)
            for name, module in linears
        }
    )


def builds() -> list[Compiled | None]:
    """Return what decoders are tested with: torch's own operators, and what a compiler builds, if any."""
    return [None] if compiled() is None else [None, compiled()]


@torch.inference_mode()
def both(
    base: BaseModel, rows: list[Row], lengths: list[int], built: Compiled | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return three steps' logits, fused and hooked, of rows whose prompts have these lengths."""
    decoder, interventions = FusedDecoder(base, "exact", built), Interventions(base, built=built)
    ids = torch.arange(len(rows) * 64, device=base.device).view(len(rows), 64) * 13 % 259
    found = []
    for is_fused in (True, False):
        past, most = DynamicCache(), {"max_rows": len(rows), "max_tokens": 64 * len(rows)}
        cache = RowCache(len(base.layers), **most, device=base.device)
        base.decoder(input_ids=ids[:, : max(lengths)], past_key_values=past, use_cache=True)
        cache.append(past, lengths, list(range(len(rows))))
        for step in range(3):
            cache.ready()
            one = ids[:, 40 + step, None]
            if is_fused:
                found.append(decoder.step(one, interventions.plan(rows, decoder.joints), cache)[0])
            else:
                with interventions.rows(rows):
                    output = base.decoder(
                        input_ids=one,
                        attention_mask=cache.mask(torch.float32),
                        position_ids=cache.lengths[:, None],
                        past_key_values=cache.past,
                        use_cache=True,
                    )
                found.append(base.logits(output.last_hidden_state[:, -1]))
            cache.grown()
    return torch.stack(found[:3]), torch.stack(found[3:])


@torch.inference_mode()
def read(
    base: BaseModel, rows: list[Row], pieces: list[int], built: Compiled | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the hidden states of prompts that are read in such pieces, fused and hooked."""
    decoder, interventions = FusedDecoder(base, "exact", built), Interventions(base, built=built)
    ids = torch.arange(len(rows) * sum(pieces), device=base.device).view(len(rows), -1) * 13 % 259
    past, own, found = DynamicCache(), DynamicCache(), []
    for part in ids.split(pieces, dim=1):
        mine = decoder.read(part, interventions.plan(rows, decoder.joints, prompts=True), past)
        with interventions.rows(rows):
            theirs = base.decoder(input_ids=part, past_key_values=own, use_cache=True).last_hidden_state
        found.append((mine, theirs))
    interventions.prompts_read()
    ours, theirs = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
    return ours, theirs


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_of_models_is_computed_as_it_computes_itself(family: str) -> None:
    base = made(*FAMILIES[family])
    assert fused(base) is not None
    torch.manual_seed(0)
    vectors = SteeringVectors({(0, "output"): torch.randn(48), (2, "attention"): torch.randn(48)})
    rows = [Row(), Row(adapters=((adapter(base, 1), 1.0),)), Row(vectors=((vectors, 0.7),))]
    for built in builds():
        ours, theirs = both(base, rows, [5, 9, 30], built)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
        assert (ours[:, 1] - ours[:, 0]).abs().max() > 0.1
        torch.testing.assert_close(*read(base, rows, [7, 1, 12], built), rtol=1e-3, atol=1e-3)


people = st.tuples(
    st.integers(0, 6), st.sampled_from(["", "q_proj", "mlp"]), st.sampled_from([0.5, 1.5]), st.booleans()
)


@given(
    st.lists(st.tuples(people, st.integers(1, 36)), min_size=1, max_size=12),
    st.integers(1, 6),
    st.lists(st.integers(1, 20), min_size=1, max_size=3),
)
@settings(max_examples=30, deadline=None)
def test_rows_of_any_length_with_any_adapters_and_vectors(schedule, most, pieces) -> None:
    base = tiny.base()
    # Few people in many rows share products, many in few rows have a stack.
    schedule = [((seed % (most + 1), *more), length) for (seed, *more), length in schedule]
    given = {(seed, only) for (seed, only, *_), _ in schedule if seed}
    adapters = {(seed, only): adapter(base, seed, only=only) for seed, only in given}
    rows = [
        Row(
            adapters=((adapters[seed, only], strength),) if seed else (),
            vectors=((tiny.vectors(seed=seed), strength),) if steered else (),
        )
        for (seed, only, strength, steered), _ in schedule
    ]
    for built in builds():
        ours, theirs = both(base, rows, [length for _, length in schedule], built)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(*read(base, rows, pieces, built), rtol=1e-3, atol=1e-3)


def test_few_people_in_many_rows_share_products() -> None:
    base = tiny.base()
    first, second = (Row(adapters=((adapter(base, seed), 1.0),)) for seed in (1, 2))
    rows = [first, second, Row(), *[first] * 4, *[second] * 3]
    ours, theirs = both(base, rows, [3 + i for i in range(10)])
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(*read(base, rows, [9, 4]), rtol=1e-3, atol=1e-3)


def test_another_architecture_keeps_its_own_forward_pass_and_int8_is_refused_there(caplog) -> None:
    base = made(Gemma2ForCausalLM, Gemma2Config(**SIZES))
    with caplog.at_level(logging.WARNING):
        assert fused(base) is None
    assert "pre_feedforward_layernorm" in caplog.text
    with pytest.raises(ModelError, match="unset ALIGN_DECODE_WEIGHTS"):
        fused(base, "int8")


def test_a_model_that_is_built_like_llama_and_computes_otherwise_keeps_its_own_forward_pass(caplog) -> None:
    base = made(GraniteForCausalLM, GraniteConfig(**SIZES, residual_multiplier=0.5))
    assert fused(base) is None
    assert "differ by" in caplog.text


def test_int8_loses_little_and_takes_a_quarter_of_the_bytes() -> None:
    torch.manual_seed(1)
    linears = [torch.nn.Linear(64, 32), torch.nn.Linear(64, 16, bias=False)]
    x = torch.randn(5, 1, 64)
    exact, int8 = product(linears, "exact")(x), product(linears, "int8")(x)
    assert exact.shape == int8.shape == (5, 1, 48)
    torch.testing.assert_close(exact, torch.cat([each(x) for each in linears], dim=-1))
    assert 0 < (int8 - exact).norm() / exact.norm() < 0.02


def test_an_engine_with_int8_weights_answers() -> None:
    from tests.unit.test_engine_local import finish, request

    engine = LocalEngine(tiny.base(), max_rows=2, weights="int8")
    try:
        assert finish(engine.submit(request("hello"))).token_count > 0
    finally:
        engine.close()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu_the_same_code_gives_the_same_logits() -> None:
    base = tiny.base()
    moved = BaseModel(copy.deepcopy(base.model).to("cuda"), base.tokenizer, base.name, base.revision)
    rows = [Row(), Row(adapters=((adapter(base, 1), 1.0),), vectors=((tiny.vectors(seed=1), 1.0),))]
    assert fused(moved) is not None
    on_gpu, hooked = both(moved, rows, [7, 20])
    torch.testing.assert_close(on_gpu, hooked, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(on_gpu.cpu(), both(base, rows, [7, 20])[0], rtol=1e-2, atol=1e-2)

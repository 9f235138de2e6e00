"""Once on the real model: a mixed batch gives the tokens that PEFT and hooks give each person alone."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from django.conf import settings
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file

from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Intervention, Sampling
from personalization.models.base import BaseModel, load
from personalization.models.prompts import encode_chat
from personalization.records import Message

pytestmark = pytest.mark.model
TOKENS = 16
QUESTIONS = ("Hi!", "Why is the sky blue? Explain it to a child, please.", "Name three fruits.", "Sing.")


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return load("embedded", settings.MODEL_DIR, threads=1)


def adapter(base: BaseModel, folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    wrapped = get_peft_model(
        copy.deepcopy(base.model), LoraConfig(r=8, lora_alpha=16, target_modules="all-linear")
    )
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.01)
    wrapped.save_pretrained(folder)
    return folder


@torch.no_grad()
def alone(base: BaseModel, question: str, folder: Path | None) -> str:
    model = (
        base.model if folder is None else PeftModel.from_pretrained(copy.deepcopy(base.model), folder).eval()
    )
    prompt = encode_chat(base, [Message("user", question)])
    ids = model.generate(
        input_ids=torch.tensor([prompt]),
        do_sample=False,
        max_new_tokens=TOKENS,
        pad_token_id=base.end_of_turn,
    )[0, len(prompt) :]
    return str(base.tokenizer.decode(ids, skip_special_tokens=True))


@pytest.mark.parametrize("is_compiled", [False, True])
def test_people_with_adapters_and_vectors_in_one_batch_get_their_own_tokens(
    base, tmp_path: Path, *, is_compiled: bool
) -> None:
    (tmp_path / "vector").mkdir()
    torch.manual_seed(9)
    vector = torch.randn(base.hidden_size)
    save_file({"layer.14.output": vector}, tmp_path / "vector/steering.safetensors")
    folders = [None, adapter(base, tmp_path / "a", 1), adapter(base, tmp_path / "b", 2)]
    expected = [alone(base, q, f) for q, f in zip(QUESTIONS, folders, strict=False)]
    handle = base.layers[14].register_forward_hook(lambda _, __, output: output + vector)
    try:
        expected.append(alone(base, QUESTIONS[3], None))
    finally:
        handle.remove()
    acting = [
        *((Intervention("adapter", f, str(f)),) if f else () for f in folders),
        (Intervention("vector", tmp_path / "vector", "v"),),
    ]
    engine = LocalEngine(base, is_compiled=is_compiled)
    try:
        greedy = Sampling(temperature=0.0, max_new_tokens=TOKENS)
        streams = [
            engine.submit(GenerationRequest(q, (Message("user", q),), greedy, parts))
            for q, parts in zip(QUESTIONS, acting, strict=True)
        ]
        ends = [list(stream)[-1] for stream in streams]
    finally:
        engine.close()
    assert [end.text for end in ends if isinstance(end, Finished)] == expected
    assert len(set(expected)) == len(expected)

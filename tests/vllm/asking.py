"""Questions to an engine, and what one person alone gets from transformers and PEFT."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from peft import PeftModel
from transformers import LlamaForCausalLM

from personalization.engine.requests import Finished, GenerationRequest, Intervention, Sampling, Token
from personalization.models.base import BaseModel
from personalization.models.personal import SteeringVectors
from personalization.models.prompts import encode_chat
from personalization.records import Message


def request(
    text: str = "hello",
    *,
    owner: str = "ada",
    deadline: float | None = None,
    interventions: Iterable[Intervention] = (),
    **sampling: object,
) -> GenerationRequest:
    """Return a greedy request for 24 tokens."""
    rules = Sampling(**{"temperature": 0.0, "max_new_tokens": 24, **sampling})
    return GenerationRequest("r", (Message("user", text),), rules, tuple(interventions), owner, deadline)


def finish(stream) -> Finished:
    """Return the end, once the pieces were seen to add up to it."""
    *tokens, last = list(stream)
    assert isinstance(last, Finished)
    assert "".join(t.text for t in tokens if isinstance(t, Token)) == last.text
    return last


def outcome(finished: Finished) -> tuple[str, str, int]:
    """Return what must not depend on who else was there."""
    assert not finished.error
    return finished.reason, finished.text, finished.token_count


def alone(
    base: BaseModel,
    text: str,
    *,
    adapter: Intervention | None = None,
    vectors: SteeringVectors | None = None,
    tokens: int = 24,
) -> tuple[str, int]:
    """Return the text and its count of tokens from transformers, PEFT and hooks, nobody else being there."""
    model = LlamaForCausalLM(base.model.config).eval()
    model.load_state_dict(base.model.state_dict())
    for (layer, site), vector in (vectors.sites if vectors else {}).items():
        block = model.model.layers[layer]
        module = block if site == "output" else block.self_attn.o_proj
        module.register_forward_hook(lambda _, __, output, vector=vector: output + vector)
    chosen = PeftModel.from_pretrained(model, adapter.path) if adapter else model
    prompt = encode_chat(base, [Message("user", text)])
    ids: Sequence[int] = (
        chosen.eval()
        .generate(input_ids=torch.tensor([prompt]), do_sample=False, max_new_tokens=tokens, pad_token_id=2)[
            0, len(prompt) :
        ]
        .tolist()
    )
    written = base.tokenizer.decode(ids, skip_special_tokens=True).replace("\ufffd", "").replace("\0", "")
    return written, len(ids) - ids.count(2)

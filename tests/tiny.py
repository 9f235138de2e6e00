"""A tiny random Llama with a real byte-level tokenizer, for exactness tests that need no weights on disk."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from personalization.models.base import BaseModel
from personalization.models.personal import SteeringVectors

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are tiny<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HIDDEN, LAYERS = 48, 3


def tokenizer(template: str = TEMPLATE) -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token for each byte and three control tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(BPE({t: i for i, t in enumerate([*SPECIAL, *alphabet])}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=SPECIAL[1],
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[2],
        unk_token=SPECIAL[0],
        chat_template=template,
    )


def config(**changes: int) -> LlamaConfig:
    """Return the model's shape: 3 layers of width 48, 4 heads that share 2 key-value heads, context 512."""
    shape = {
        "vocab_size": len(tokenizer()),
        "hidden_size": HIDDEN,
        "intermediate_size": 96,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
    }
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    return LlamaConfig(**{**shape, **ids, **changes}, initializer_range=0.3)


@cache
def base(template: str = TEMPLATE) -> BaseModel:
    """Return the model."""
    torch.manual_seed(7)
    model = LlamaForCausalLM(config()).eval().requires_grad_(False)
    return BaseModel(model, tokenizer(template), "tiny", "tiny-revision")


def save_adapter(
    folder: Path, *, seed: int, rank: int = 4, size: float = 0.3, shape: LlamaConfig | None = None
) -> Path:
    """Write a random LoRA adapter in PEFT's format, on all linear layers, and return its folder.

    Those of odd seeds are in bfloat16, as what we train is; the others in float32, as PEFT's own are.
    """
    torch.manual_seed(seed)
    fresh = LlamaForCausalLM(shape or base().model.config)
    wrapped = get_peft_model(
        fresh, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, size)
    (wrapped.bfloat16() if seed % 2 else wrapped).save_pretrained(folder)
    return folder


def vectors(*, seed: int, size: float = 1.0, hidden: int = HIDDEN) -> SteeringVectors:
    """Return random vectors at both kinds of site."""
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randn(hidden, generator=generator) * size for _ in range(2)]
    return SteeringVectors({(1, "output"): draw[0], (2, "attention"): draw[1]})

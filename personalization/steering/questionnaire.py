"""Put the inventory's items to the base model: what its attention heads hold, and how far it agrees.

Knows nothing of any person's answers. All items share the beginning of their prompt, which is read
once; what depends on the base model only is kept in a file.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from personalization.errors import ModelError
from personalization.inventory.items import items
from personalization.models.base import BaseModel
from personalization.models.prompts import encode_chat, encode_text
from personalization.records import Message
from personalization.steering import kept

INSTRUCTION = (
    "Say how well a statement describes you. Answer with one letter only. A: strongly agree, B: agree, "
    "C: neither, D: disagree, E: strongly disagree.\nStatement: "
)
LETTERS = "ABCDE"
# How far each letter agrees; the same steps as between the answers 5 to 1.
AGREEMENT = (2.0, 1.0, 0.0, -1.0, -2.0)
BATCH = 45


class Questionnaire:
    """The items as prompts for one base model."""

    def __init__(self, base: BaseModel) -> None:
        self._base = base
        prompts = [encode_chat(base, [Message("user", INSTRUCTION + item.text)]) for item in items()]
        first = prompts[0]
        shared = next(i for i in range(len(first)) if any(p[: i + 1] != first[: i + 1] for p in prompts))
        self._shared = first[:shared]
        self._own = [prompt[shared:] for prompt in prompts]
        letters = [encode_text(base, letter) for letter in LETTERS]
        if any(len(ids) != 1 for ids in letters):
            raise ModelError(f"{base.name} has no token of its own for each of the letters {LETTERS}.")
        self._letters = [ids[0] for ids in letters]
        given = (base.revision, base.model.dtype, prompts, self._letters)
        self._name = hashlib.sha256(repr(given).encode()).hexdigest()[:24]

    @torch.no_grad()
    def scores(self, numbers: Sequence[int]) -> Tensor:
        """Return how far the model, with whatever acts on it now, agrees with these items: (n,) float32.

        The log-probabilities of the five letters, weighted by how far each agrees: a number to be
        calibrated, since a small model prefers the same letter whatever the item.
        """
        found = []
        weights = torch.tensor(AGREEMENT, device=self._base.device)
        shared = self._read_shared()
        for ids, last, _ in self._batches([self._own[number - 1] for number in numbers]):
            hidden = self._forward(shared, ids)[torch.arange(len(last)), last]
            letters = self._base.logits(hidden)[:, self._letters].float()
            found.append((letters * weights).sum(dim=1))
        return torch.cat(found).cpu() / 10

    def activations(self, folder: Path, report: Callable[[float], None]) -> Tensor:
        """Return what each head passes on at the answer: (120, 2, layers, heads, width), float32, on the CPU.

        The second dimension is "strongly agree", "strongly disagree". Read from `folder` where it was
        computed before. `report` hears the share that is done.
        """
        if (found := kept.read(folder, self._name)) is None:
            found = self._capture(report)
            kept.write(folder, self._name, found)
        return found

    def is_kept(self, folder: Path) -> bool:
        """Say whether `activations` of this base model lie in the folder already."""
        return kept.read(folder, self._name) is not None

    @torch.no_grad()
    def _capture(self, report: Callable[[float], None]) -> Tensor:
        agree, disagree = self._letters[0], self._letters[-1]
        sequences = [[*own, letter] for own in self._own for letter in (agree, disagree)]
        layers, heads = len(self._base.layers), int(self._base.model.config.num_attention_heads)
        found: Tensor | None = None
        held: dict[int, Tensor] = {}
        shared = self._read_shared()
        with self._keeping(held):
            for ids, last, members in self._batches(sequences):
                self._forward(shared, ids)
                for layer, inputs in held.items():
                    at = inputs[torch.arange(len(last)), last].float().cpu()
                    if found is None:
                        found = torch.empty(len(sequences), layers, heads, at.shape[1] // heads)
                    found[members, layer] = at.unflatten(1, (heads, -1))
                report((members[-1] + 1) / len(sequences))
        assert found is not None
        return found.unflatten(0, (-1, 2)).contiguous()

    @contextmanager
    def _keeping(self, held: dict[int, Tensor]) -> Iterator[None]:
        def keep(layer: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
            def hook(_: nn.Module, inputs: tuple[Any, ...]) -> None:
                held[layer] = inputs[0]

            return hook

        modules = [self._base.attention_output(layer) for layer in range(len(self._base.layers))]
        handles = [module.register_forward_pre_hook(keep(layer)) for layer, module in enumerate(modules)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _batches(self, sequences: Sequence[Sequence[int]]) -> Iterator[tuple[Tensor, Tensor, list[int]]]:
        """Yield ids padded on the right, the place of each last token, and which sequences these are."""
        for start in range(0, len(sequences), BATCH):
            members = list(range(start, min(start + BATCH, len(sequences))))
            lengths = [len(sequences[i]) for i in members]
            ids = torch.zeros(len(members), max(lengths), dtype=torch.long)
            for row, i in enumerate(members):
                ids[row, : lengths[row]] = torch.tensor(list(sequences[i]))
            yield ids.to(self._base.device), torch.tensor(lengths) - 1, members

    def _read_shared(self) -> DynamicCache:
        """Return the keys and values of the shared beginning, under whatever acts on the model now."""
        cache = DynamicCache(config=self._base.model.config)
        shared = torch.tensor([self._shared], device=self._base.device)
        self._base.decoder(input_ids=shared, past_key_values=cache, use_cache=True)
        return cache

    def _forward(self, shared: DynamicCache, ids: Tensor) -> Tensor:
        """Return the last hidden states of `ids` (n, time) after the shared beginning."""
        cache = copy.deepcopy(shared)
        cache.batch_repeat_interleave(len(ids))
        hidden: Tensor = self._base.decoder(
            input_ids=ids, past_key_values=cache, use_cache=True
        ).last_hidden_state
        return hidden

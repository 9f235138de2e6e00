"""What the model's layers hold while it reads an answer: mean hidden states, by forward passes only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from personalization.models.base import BaseModel
from personalization.models.logprobs import Completions

BATCH_TOKENS = 4096


@contextmanager
def layer_outputs(base: BaseModel, layers: Iterable[int]) -> Iterator[dict[int, Tensor]]:
    """Hold by layer what the last forward pass inside gave, (batch, tokens, hidden) each."""
    outputs: dict[int, Tensor] = {}

    def keep(layer: int) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            outputs[layer] = output[0] if isinstance(output, tuple) else output

        return hook

    handles = [base.layers[layer].register_forward_hook(keep(layer)) for layer in layers]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def mean_states(base: BaseModel, items: Completions) -> Tensor:
    """Return the mean over each answer's tokens of every layer's output: (n, layers, hidden), on the CPU."""
    states = torch.empty(len(items), len(base.layers), base.hidden_size)
    with layer_outputs(base, range(len(base.layers))) as outputs:
        for batch in _batches(items.lengths()):
            part = items.take(batch)
            ids, weights = _padded(part)
            base.decoder(input_ids=ids.to(base.device), use_cache=False)
            for layer, hidden in outputs.items():
                states[batch, layer] = torch.einsum(
                    "bth,bt->bh", hidden.float(), weights.to(base.device)
                ).cpu()
    return states


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    order, batches = sorted(range(len(lengths)), key=lambda i: lengths[i]), []
    while order:
        size = max(1, BATCH_TOKENS // lengths[order[min(len(order), 32) - 1]])
        batches.append(order[: min(size, 32)])
        order = order[min(size, 32) :]
    return batches


def _padded(items: Completions) -> tuple[Tensor, Tensor]:
    """Return ids padded on the right, and weights that average over each answer's own tokens."""
    longest = max(items.lengths())
    ids, weights = torch.zeros(len(items), longest, dtype=torch.long), torch.zeros(len(items), longest)
    for i, (prompt, answer) in enumerate(zip(items.prompts, items.answers, strict=True)):
        ids[i, : len(prompt) + len(answer)] = torch.tensor([*prompt, *answer])
        weights[i, len(prompt) : len(prompt) + len(answer)] = 1.0 / max(len(answer), 1)
    return ids, weights

"""Draw one token for each row, every row by its own rules and its own random numbers.

Knows nothing of text or batches. A row's draw depends on its own logits and generator only, so a
reply does not depend on who else is in the batch. No sorting of the vocabulary: a token is drawn
from the whole distribution and drawn again while it lies outside of the nucleus (rejection
sampling as in FlashInfer, arXiv:2501.01005), which is exact and needs 1 / top_p draws at most on average.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from personalization.engine.requests import Sampling

_BLOCK = 256  # drawing sums whole blocks first: one pass over the vocabulary


def generator(seed: int) -> torch.Generator:
    """Return a row's own random numbers."""
    return torch.Generator().manual_seed(seed)


def penalised(logits: Tensor, rules: Sequence[Sampling], written: Sequence[Sequence[int]]) -> Tensor:
    """Return logits (rows, vocabulary) less each row's penalties for the tokens that it has written."""
    rows = [i for i, rule in enumerate(rules) if rule.presence_penalty or rule.frequency_penalty]
    if not rows:
        return logits
    changed = logits.clone()
    for i in rows:
        tokens, times = torch.tensor(written[i], dtype=torch.long).unique(return_counts=True)
        lower = rules[i].presence_penalty + rules[i].frequency_penalty * times
        changed[i, tokens.to(logits.device)] -= lower.to(logits)
    return changed


def draw(logits: Tensor, rules: Sequence[Sampling], generators: Sequence[torch.Generator]) -> list[int]:
    """Return one token per row of logits (rows, vocabulary).

    Temperature, then top_k, then top_p, in this order. Temperature 0 or top_k 1 is greedy.
    """
    greedy = [rule.temperature <= 0 or rule.top_k == 1 for rule in rules]
    tokens = logits.argmax(dim=-1).tolist() if any(greedy) else [0] * len(rules)
    sampled = [i for i, is_greedy in enumerate(greedy) if not is_greedy]
    if not sampled:
        return tokens
    temperature = torch.tensor([rules[i].temperature for i in sampled], device=logits.device)
    chosen = logits if len(sampled) == len(rules) else logits[sampled]
    probabilities = (chosen.float() / temperature[:, None]).softmax(dim=-1).cpu()
    for k, i in enumerate(sampled):
        if rules[i].top_k > 0:
            probabilities[k] = _top_k(probabilities[k], rules[i].top_k)
    top_p = [rules[i].top_p for i in sampled]
    for i, token in zip(
        sampled, _nucleus(probabilities, top_p, [generators[i] for i in sampled]), strict=True
    ):
        tokens[i] = token
    return tokens


def _top_k(probabilities: Tensor, k: int) -> Tensor:
    values, places = probabilities.topk(min(k, len(probabilities)))
    return torch.zeros_like(probabilities).scatter_(0, places, values / values.sum())


def _nucleus(
    probabilities: Tensor, top_p: Sequence[float], generators: Sequence[torch.Generator]
) -> list[int]:
    """Draw from probabilities (rows, vocabulary), from the most probable tokens that hold top_p together."""
    tokens = [0] * len(top_p)
    waiting = list(range(len(top_p)))
    blocks = _blocks(probabilities)
    while waiting:
        drawn = _inverse(blocks if len(waiting) == len(top_p) else blocks[waiting], waiting, generators)
        for i, token in zip(waiting, drawn, strict=True):
            tokens[i] = token
        waiting = [i for i in waiting if top_p[i] < 1 and not _inside(probabilities[i], tokens[i], top_p[i])]
    return tokens


def _inside(probabilities: Tensor, token: int, top_p: float) -> bool:
    """Say whether the tokens more probable than this one hold less than `top_p` together."""
    larger = probabilities > probabilities[token]
    return float(probabilities.mul(larger).sum(dtype=torch.float64)) < top_p


def _blocks(probabilities: Tensor) -> Tensor:
    rows, vocabulary = probabilities.shape
    short = -vocabulary % _BLOCK
    padded = torch.nn.functional.pad(probabilities, (0, short)) if short else probabilities
    return padded.view(rows, -1, _BLOCK)


def _inverse(blocks: Tensor, rows: Sequence[int], generators: Sequence[torch.Generator]) -> list[int]:
    """Draw by the inverse of the distribution function, first a block, then a token in it; in float64."""
    sums = blocks.sum(dim=-1, dtype=torch.float64).cumsum(dim=-1)
    uniform = torch.stack([torch.rand(1, generator=generators[i], dtype=torch.float64) for i in rows])
    target = uniform * sums[:, -1:]
    block = torch.searchsorted(sums, target, right=True).clamp_(max=sums.shape[1] - 1)
    before = torch.where(block > 0, sums.gather(1, (block - 1).clamp(min=0)), 0.0)
    inside = blocks[torch.arange(len(rows)), block[:, 0]].double().cumsum(dim=-1)
    place = torch.searchsorted(inside, target - before, right=True).clamp_(max=_BLOCK - 1)
    tokens = (block * _BLOCK + place)[:, 0]
    # Rounding may land behind the last token that has any probability; the first such block end is as good.
    flat = blocks.reshape(len(rows), -1)
    empty = flat.gather(1, tokens[:, None])[:, 0] <= 0
    return torch.where(empty, flat.argmax(dim=-1), tokens).tolist() if bool(empty.any()) else tokens.tolist()

"""What int8 weights gain and lose: speed by rows, and what becomes of the model's own probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from benchmarks.serving.arms import ours
from benchmarks.serving.limits import spread
from benchmarks.serving.people import Person
from personalization.engine.cache import RowCache
from personalization.engine.fused import FusedDecoder
from personalization.engine.local import LocalEngine
from personalization.engine.weights import Form
from personalization.models.base import BaseModel
from personalization.models.generate import plain_text
from personalization.models.interventions import Interventions, Row, load_adapter

TEXTS, TOKENS, KNOWN = 8, 96, 8


def speeds(
    base: BaseModel, group: Sequence[Person], sizes: Sequence[int], repeats: int
) -> list[dict[str, Any]]:
    """Return tokens a second with exact and with int8 weights, everybody with adapter and vector."""
    found = []
    for rows in sizes:
        engines = {form: LocalEngine(base, max_rows=rows, weights=form) for form in ("exact", "int8")}
        try:
            members = [group[i % len(group)] for i in range(rows)]
            arms = {form: ours(engine, base, members, (64, 32)) for form, engine in engines.items()}
            taken: dict[str, list[float]] = {form: [] for form in arms}
            for turn in range(repeats + 1):
                for form in list(arms) if turn % 2 else reversed(list(arms)):
                    taken[form].append(rows * 32 / arms[form]())
        finally:
            for engine in engines.values():
                engine.close()
        found.append({"rows": rows} | {form: spread(values[1:]) for form, values in taken.items()})
    return found


@torch.inference_mode()
def losses(base: BaseModel, person: Person) -> dict[str, Any]:
    """Return perplexity, KL (nats a token) and equal first choices of int8 against exact weights.

    Over the base model's own plain text, read token by token; once without and once with an adapter.
    """
    ids = plain_text(base, count=TEXTS, tokens=TOKENS, seed=5)
    rows = {"base": Row(), "adapter": Row(adapters=((load_adapter(person.adapter), 1.0),))}
    found = {}
    for name, row in rows.items():
        exact, int8 = (_log_probabilities(base, ids, row, form) for form in ("exact", "int8"))
        wanted = ids[:, KNOWN + 1 :, None]
        perplexity = [float(p[:, :-1].gather(2, wanted).mean().neg().exp()) for p in (exact, int8)]
        found[name] = {
            "perplexity_exact": perplexity[0],
            "perplexity_int8": perplexity[1],
            "kl": float((exact.exp() * (exact - int8)).sum(-1).mean()),
            "same_first_choice": float((exact.argmax(-1) == int8.argmax(-1)).float().mean()),
        }
    return found


def _log_probabilities(base: BaseModel, ids: Tensor, row: Row, form: Form) -> Tensor:
    """Return what each token after the first few is followed by (texts, tokens, vocabulary)."""
    decoder, interventions = FusedDecoder(base, form), Interventions(base)
    past, cache = DynamicCache(), RowCache(len(base.layers), max_rows=len(ids), device=base.device)
    with interventions.everywhere(row):
        base.decoder(input_ids=ids[:, :KNOWN], past_key_values=past, use_cache=True)
    cache.append(past, [KNOWN] * len(ids), list(range(len(ids))))
    plan, found = interventions.plan([row] * len(ids)), []
    for at in range(KNOWN, ids.shape[1]):
        cache.ready()
        found.append(decoder.step(ids[:, at, None], plan, cache)[0].log_softmax(-1))
        cache.grown()
    return torch.stack(found, dim=1)

"""What int8 weights gain and lose: speed by rows, and what becomes of the model's own probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor
from transformers import DynamicCache

from benchmarks.serving.apart import timed
from benchmarks.serving.arms import ours
from benchmarks.serving.growth import NEW_TOKENS
from benchmarks.serving.people import Model, Person
from personalization.engine.cache import RowCache
from personalization.engine.fused import FusedDecoder
from personalization.engine.weights import Form
from personalization.models.base import BaseModel
from personalization.models.generate import plain_text
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import load_adapter

TEXTS, TOKENS, KNOWN = 8, 96, 8


def speeds(model: Model, group: Sequence[Person], sizes: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """Return tokens a second with exact and with int8 weights, everybody with adapter and vector."""
    found = []
    for rows in sizes:
        members = [group[i % len(group)] for i in range(rows)]
        ways = {
            form: partial(ours, model, members, (64, NEW_TOKENS), repeats, weights=form)
            for form in get_args(Form)
        }
        times = timed(ways, repeats)
        found.append({"rows": rows} | {form: each.rates(rows * NEW_TOKENS) for form, each in times.items()})
    return found


@torch.inference_mode()
def losses(model: Model, person: Person) -> dict[str, Any]:
    """Return perplexity, KL (nats a token) and equal first choices of int8 against exact weights.

    Over the base model's own plain text, read token by token; once without and once with an adapter.
    """
    base = model.base()
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
    past, room = DynamicCache(), {"max_rows": len(ids), "max_tokens": ids.numel()}
    cache = RowCache(len(base.layers), **room, device=base.device)
    with interventions.everywhere(row):
        base.decoder(input_ids=ids[:, :KNOWN], past_key_values=past, use_cache=True)
    cache.append(past, [KNOWN] * len(ids), list(range(len(ids))))
    plan, found = interventions.plan([row] * len(ids), decoder.joints), []
    for at in range(KNOWN, ids.shape[1]):
        cache.ready()
        found.append(decoder.step(ids[:, at, None], plan, cache)[0].log_softmax(-1))
        cache.grown()
    return torch.stack(found, dim=1)

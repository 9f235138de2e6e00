"""What int8 weights do to a report card: the evidence on one person's adapter, in exact and in int8 weights.

The application proves with exact weights. Here the same held-out comparisons are read once more with the
weights as int8 holds them (products in float32), and the same fresh prompts answered by the engine in both
forms; the hidden taste, which learning never saw, judges those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from torch import nn

from benchmarks.people.arms import Rated
from benchmarks.people.pool import Pool, answers, pool_of
from benchmarks.serving.people import Model
from personalization import registry
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Intervention
from personalization.engine.weights import Form, held_in_int8
from personalization.evaluation.report import row_of
from personalization.models.base import BaseModel, load
from personalization.models.interventions import Interventions, Row
from personalization.models.preference import Scored, score
from personalization.records import Message, Records
from personalization.simulation.people import population
from personalization.statistics import clustered_mean, clustered_share, win_rate
from personalization.training.settings import TrainingSettings
from personalization.training.train import train_adapter

LEARNED, HELD_OUT, FRESH = 12, 8, 24  # prompts
# Quick to learn: what int8 does to the evidence does not need the best adapter.
_SETTINGS = replace(TrainingSettings(), epochs=1, replay=0.0, teaching=0.0)


def cards(model: Model, folder: Path) -> dict[str, Any]:
    """Return the evidence in both forms, and how often the taste prefers their fresh answers to base's."""
    base = load(model.name, model.folder)
    engine = LocalEngine(base, max_rows=32)
    try:
        pool = pool_of(0, engine, folder, rated_prompts=LEARNED + HELD_OUT, fresh_prompts=FRESH)
    finally:
        engine.close()
    person = population()[0]
    rated = Rated.by(person, pool)
    acting = _learned(base, rated, folder)
    forms: Sequence[Form] = get_args(Form)
    texts = {form: _fresh(base, pool, acting, form) for form in forms}
    arms = {form: _scored(base, rated, acting, form) for form in forms}
    found: dict[str, Any] = {"person": person.description, "learned": LEARNED, "fresh": FRESH, "forms": {}}
    for form, (plain, own) in arms.items():
        wins = [person.prefers(mine, other) for mine, other in zip(texts[form], pool.base, strict=True)]
        found["forms"][form] = _evidence(plain, own) | {"fresh_wins": win_rate(wins).as_json()}
    margins = [own.reward_margins(plain) for plain, own in arms.values()]
    return found | {
        "pairs": len(margins[0]),
        "conversations": HELD_OUT,
        "same_choices": int((margins[0].sign() == margins[1].sign()).sum()),
        "same_texts": sum(a == b for a, b in zip(*texts.values(), strict=True)),
    }


def _learned(base: BaseModel, rated: Rated, folder: Path) -> Intervention:
    out, dpo = folder / "adapter", registry.get("dpo")
    if not (out / "adapter_config.json").exists():
        train_adapter(
            base, Records(pairs=tuple(rated.pairs(LEARNED))), dpo, parameters=dpo.resolve({}),
            system_message="", out=out, checkpoints=folder / "steps", settings=_SETTINGS,
        )  # fmt: skip
    return Intervention("adapter", out, str(out))


def _fresh(base: BaseModel, pool: Pool, acting: Intervention, form: Form) -> Sequence[str]:
    """Return the engine's answers to the fresh prompts, sampled as the base model's were."""
    engine = LocalEngine(base, max_rows=FRESH, weights=form)
    try:
        asked = [((Message("user", text),), pool.sampling(i), (acting,)) for i, text in enumerate(pool.fresh)]
        return answers(engine, asked)
    finally:
        engine.close()


def _scored(base: BaseModel, rated: Rated, acting: Intervention, form: Form) -> tuple[Scored, Scored]:
    """Return the held-out comparisons' log-probabilities without the adapter and with it."""
    pairs = rated.pairs(LEARNED + HELD_OUT)[len(rated.pairs(LEARNED)) :]
    interventions = Interventions(base)
    with _weights_as(base, form):
        plain, own = (
            score(base, interventions, pairs, row=row, system_message="")
            for row in (Row(), row_of(acting.path, "adapter"))
        )
    return plain, own


@contextmanager
def _weights_as(base: BaseModel, form: Form) -> Iterator[None]:
    """Let the linear layers have what this form keeps of their weights; the embedding keeps its own."""
    linears = [each for each in base.model.modules() if isinstance(each, nn.Linear) and form == "int8"]
    own = [each.weight for each in linears]
    try:
        for each in linears:
            each.weight = nn.Parameter(held_in_int8(each.weight), requires_grad=False)
        yield
    finally:
        for each, weight in zip(linears, own, strict=True):
            each.weight = weight


def _evidence(plain: Scored, own: Scored) -> dict[str, Any]:
    """Return what a card says first: the shares right, their difference, and what the adapter moved."""
    right, before, clusters = own.implicit_reward(plain), plain.likelihood(), plain.conversations
    change = own.change(plain)
    return {
        "accuracy": clustered_share(right, clusters).as_json(),
        "base": clustered_share(before, clusters).as_json(),
        "difference": clustered_mean(
            [a - b for a, b in zip(right, before, strict=True)], clusters, seed=0
        ).as_json(),
        "chosen_change": float(change.chosen.mean()),
        "rejected_change": float(change.rejected.mean()),
    }

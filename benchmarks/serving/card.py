"""What int8 weights do to a report card: one person's adapter, proven with exact and with int8 weights.

The application proves with exact weights. Here the same proof, on the same held-out comparisons, is made once
more with the weights as int8 holds them (products in float32), and the same fresh prompts are answered by the
engine in both forms; the hidden taste, which learning never saw, judges those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from torch import nn

from benchmarks.people.arms import Rated, adapter
from benchmarks.people.pool import Pool, answers, pool_of
from benchmarks.serving.people import Model
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Intervention
from personalization.engine.weights import Form, held_in_int8
from personalization.evaluation.report import ReportCard, prove
from personalization.models.base import BaseModel, load
from personalization.records import Message
from personalization.simulation.people import population
from personalization.statistics import win_rate

LEARNED, HELD_OUT, FRESH = 12, 8, 24  # prompts
_VALUES = Path("var/values")


def cards(model: Model, folder: Path) -> dict[str, Any]:
    """Return what both proofs found, and how often the taste prefers each form's fresh answers to base's."""
    base = load(model.name, model.folder)
    engine = LocalEngine(base, max_rows=32)
    try:
        pool = pool_of(0, engine, folder, rated_prompts=LEARNED + HELD_OUT, fresh_prompts=FRESH)
    finally:
        engine.close()
    person = population()[0]
    rated = Rated.by(person, pool)
    (acting,) = adapter(rated, base, LEARNED, folder, _VALUES).interventions
    found: dict[str, Any] = {"person": person.description, "learned": LEARNED, "fresh": FRESH, "forms": {}}
    texts = {form: _fresh(base, pool, acting, form) for form in get_args(Form)}
    for form, written in texts.items():
        wins = [person.prefers(mine, plain) for mine, plain in zip(written, pool.base, strict=True)]
        card = _proof(base, rated, acting, form)
        found["forms"][form] = _told(card) | {"fresh_wins": win_rate(wins).as_json()}
        found |= {"pairs": card.n_pairs, "conversations": card.n_conversations}
    exact, int8 = texts.values()
    return found | {"same_texts": sum(a == b for a, b in zip(exact, int8, strict=True))}


def _fresh(base: BaseModel, pool: Pool, acting: Intervention, form: Form) -> Sequence[str]:
    """Return the engine's answers to the fresh prompts, sampled as the base model's were."""
    engine = LocalEngine(base, max_rows=FRESH, weights=form)
    try:
        asked = [((Message("user", text),), pool.sampling(i), (acting,)) for i, text in enumerate(pool.fresh)]
        return answers(engine, asked)
    finally:
        engine.close()


def _proof(base: BaseModel, rated: Rated, acting: Intervention, form: Form) -> ReportCard:
    learned, pairs = rated.pairs(LEARNED), rated.pairs(LEARNED + HELD_OUT)
    with _weights_as(base, form):
        return prove(
            base, acting.path, "adapter", pairs[len(learned) :], system_message="", learned_from=learned
        )


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


def _told(card: ReportCard) -> dict[str, Any]:
    """Return what of a card stands on the page."""
    writing = card.writing
    return {
        "proven": card.proven,
        "verdict": card.verdict,
        "accuracy": card.accuracy["artifact"].as_json(),
        "accuracy_base": card.accuracy["base"].as_json(),
        "difference": card.difference.as_json(),
        "perplexity_ratio": card.cost.ratio,
        "kl_to_base": card.cost.kl_to_base,
        "refusal": card.safety.refusal,
        "relevance_change": writing.relevance_change.as_json() if writing else None,
    }

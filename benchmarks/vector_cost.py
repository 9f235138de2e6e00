"""What a vector from ratings gains and costs as its norm grows: wins, relevance, and how odd its text is.

    python -m benchmarks.vector_cost [--norms 0.08 0.15 0.22 0.3] [--layer 14] [--people 4] [--json FILE]

Simulated people rate 32 prompts with four sampled answers each; fresh answers to 24 other prompts are
compared with the base model's, same seeds, sampled as for people. A random direction of the same norm
stands beside each. Norms are shares of the mean hidden norm at the layer.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.people.arms import Rated, saved
from benchmarks.people.pool import Pool, answers, pool_of, states_of
from personalization import registry
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Intervention
from personalization.models.base import BaseModel, load
from personalization.models.logprobs import Completions, completion_logps
from personalization.models.relevance import relevance
from personalization.records import Message
from personalization.simulation.people import population
from personalization.steering.learn import RatedStates
from personalization.steering.soundness import repetition


class Trial:
    """One seed's base answers, and what steered ones are beside them."""

    def __init__(self, base: BaseModel, engine: LocalEngine, pool: Pool) -> None:
        self._base, self._engine, self.pool = base, engine, pool
        self.plain = self.write([()])[0]
        self._usual = self._text(self.plain)

    def write(self, shapes: Sequence[tuple[Intervention, ...]]) -> list[list[str]]:
        """Return the answers to all fresh prompts under each of these."""
        asked = [
            ((Message("user", prompt),), self.pool.sampling(i), shape)
            for shape in shapes
            for i, prompt in enumerate(self.pool.fresh)
        ]
        texts, n = answers(self._engine, asked), len(self.pool.fresh)
        return [texts[i : i + n] for i in range(0, len(texts), n)]

    def compare(self, rated: Rated, own: Sequence[str]) -> dict[str, float]:
        """Return the win rate and the changes of relevance, repetition and base log-probability a token."""
        wins = [rated.person.prefers(mine, base) for mine, base in zip(own, self.plain, strict=True)]
        changes = {name: value - self._usual[name] for name, value in self._text(own).items()}
        return {"win_rate": sum(wins) / len(wins), **changes}

    @torch.no_grad()
    def _text(self, texts: Sequence[str]) -> dict[str, float]:
        chats = [((Message("user", p),), text) for p, text in zip(self.pool.fresh, texts, strict=True)]
        sums, counts = completion_logps(self._base, Completions.encode(self._base, chats))
        return {
            "relevance": sum(relevance(self.pool.fresh, texts)) / len(texts),
            "repetition": sum(map(repetition, texts)) / len(texts),
            "log_probability": (sums / counts).mean().item(),
        }


def units(rated: Rated, states: Tensor, layer: int) -> dict[str, Tensor]:
    """Return the person's direction at a layer and a random one, both of the mean hidden norm."""
    ratings = RatedStates(states, rated.groups(len(rated.pool.rated)), seed=rated.pool.seed)
    own = registry.get("steer").function(states, ratings.scores, ratings.groups)[layer]
    anywhere = torch.randn(own.shape, generator=torch.Generator().manual_seed(1))
    norm = states[:, layer].norm(dim=-1).mean()
    return {"vector": own * norm, "random": torch.nn.functional.normalize(anywhere, dim=-1) * norm}


def main() -> None:
    """Measure and print one line for each norm and direction, the people side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--norms", type=float, nargs="+", default=[0.08, 0.15, 0.22, 0.3])
    parser.add_argument("--layer", type=int, default=14)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("var/benchmarks/people"))
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--models", type=Path, default=Path("var/models"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    base = load(options.model, options.models)
    folder = options.folder / base.revision
    engine = LocalEngine(base, max_rows=128, queue_limit=1_000_000)
    pool = pool_of(options.seed, engine, folder)
    states = states_of(pool, base, folder)
    everybody = [Rated.by(person, pool) for person in population()[: options.people]]
    trial, found = Trial(base, engine, pool), []
    for norm in options.norms:
        for name in ("vector", "random"):
            vectors = [units(rated, states, options.layer)[name] * norm for rated in everybody]
            texts = trial.write([(saved(options.layer, vector, folder),) for vector in vectors])
            for rated, own in zip(everybody, texts, strict=True):
                row: dict[str, Any] = {"norm": norm, "direction": name, "person": rated.person.description}
                found.append(row | trial.compare(rated, own))
            print(_line(norm, name, found[-len(everybody) :]), flush=True)
    engine.close()
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def _line(norm: float, name: str, rows: Sequence[dict[str, Any]]) -> str:
    parts = [f"{norm:.2f} {name:6}"]
    for key, form in (("win_rate", ".2f"), ("relevance", "+.2f"), ("log_probability", "+.2f")):
        parts.append(f"{key} " + " / ".join(format(row[key], form) for row in rows))
    return "  ".join(parts)


if __name__ == "__main__":
    main()

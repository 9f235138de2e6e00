"""Does it pay to choose which of a person's best exchanges stand before a question?

    python -m benchmarks.exchanges [--json FILE] [--people 12] [--seeds 1] [--fresh 24] [--helpful]

The people, prompts and rated answers of `benchmarks.people` (its published texts are reused). The three
best-liked exchanges, which are the same for every question, stand beside those that
`personalization.decoding.exchanges` chooses for each; --helpful also asks how much each helps on four of the
person's own pairs, which takes some minutes for each person. Nothing is trained.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.kept import options_of
from benchmarks.outcomes import mean, over_people, won
from benchmarks.people.arms import SHOTS, Rated, in_context
from benchmarks.people.pool import FRESH, RATED, Chat, answers, pool_of
from benchmarks.people.study import texts_for
from personalization.decoding.exchanges import chosen, exchanges_of, helpfulness
from personalization.engine.local import LocalEngine
from personalization.models.base import BaseModel, load
from personalization.models.precision import half_precision, precision_of
from personalization.models.relevance import relevance
from personalization.records import Message
from personalization.simulation.people import population

LIKED, CHECKS = 12, 4  # exchanges whose help is asked, and pairs that it is asked on


@dataclass(frozen=True, slots=True)
class Cell:
    """One person's fresh answers of one seed and arm, beside the base model's."""

    arm: str
    person: str
    seed: int
    wins: list[float]
    relevance_change: float


def heads_of(rated: Rated, base: BaseModel, *, helpful: bool) -> dict[str, list[Chat]]:
    """Return what stands before each fresh prompt, by arm."""
    fresh = rated.pool.fresh
    groups = rated.groups(RATED)
    found = {"best liked": [in_context(rated, RATED).head] * len(fresh)}
    every = exchanges_of(groups)
    found["chosen"] = [_turns(chosen(every, prompt, count=SHOTS)) for prompt in fresh]
    if helpful:
        kept = sorted(exchanges_of(groups[:-CHECKS]), key=lambda e: -e.liked)[:LIKED]
        pairs = {pair.conversation: pair for pair in rated.pairs(RATED)}  # one of each
        helps = helpfulness(base, kept, list(pairs.values())[-CHECKS:])
        found["chosen, helpful"] = [
            _turns(chosen(kept, prompt, helps=helps, count=SHOTS)) for prompt in fresh
        ]
    return found


def _turns(exchanges: Sequence[Any]) -> Chat:
    return tuple(message for exchange in exchanges for message in exchange.turns)


def cells_of(rated: Rated, base: BaseModel, engine: LocalEngine, *, helpful: bool) -> list[Cell]:
    """Return one person's cells of one seed, all arms written in one batch."""
    heads, pool = heads_of(rated, base, helpful=helpful), rated.pool
    asked = [
        ((*head, Message("user", prompt)), pool.sampling(i), ())
        for own in heads.values()
        for i, (head, prompt) in enumerate(zip(own, pool.fresh, strict=True))
    ]
    texts, each, found = answers(engine, asked), len(pool.fresh), []
    before = mean(relevance(pool.fresh, pool.base))
    for at, arm in enumerate(heads):
        own = texts[at * each : (at + 1) * each]
        wins = [rated.person.prefers(mine, base) for mine, base in zip(own, pool.base, strict=True)]
        change = mean(relevance(pool.fresh, own)) - before
        found.append(Cell(arm, rated.person.description, pool.seed, wins, change))
    return found


def summary(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return win rate and change of relevance of each arm, with intervals over people."""
    return {
        arm: {
            **won(own := [cell for cell in cells if cell.arm == arm]),
            "relevance_change": over_people([(c.relevance_change, c.person) for c in own]).as_dict(),
        }
        for arm in dict.fromkeys(cell.arm for cell in cells)
    }


def main() -> None:
    """Compute and print everything."""
    parser = options_of(__doc__, "exchanges")
    parser.add_argument("--people", type=int, default=12, help="how many of the twelve, in their order")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--fresh", type=int, default=FRESH, help="how many of the fresh prompts")
    parser.add_argument("--helpful", action="store_true")
    options = parser.parse_args()
    base = load(options.model, options.models)
    folder, cells = texts_for(base, precision_of(base, wanted=True)), []
    with half_precision(base, wanted=True):
        engine = LocalEngine(base, max_rows=128, queue_limit=1_000_000)
        try:
            for seed in range(options.seeds):
                pool = pool_of(seed, engine, folder)
                del pool.fresh[options.fresh :], pool.base[options.fresh :]
                for person in population()[: options.people]:
                    cells += cells_of(Rated.by(person, pool), base, engine, helpful=options.helpful)
                    print(json.dumps(summary(cells)), file=sys.stderr, flush=True)
        finally:
            engine.close()
    found = json.dumps(summary(cells), indent=1)
    print(found)
    if options.json:
        options.json.write_text(found + "\n")


if __name__ == "__main__":
    main()

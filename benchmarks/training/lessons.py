"""Who is trained on what: simulated people's pairs, the same for every way of training.

Knows nothing of how it is trained or timed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.people.arms import Rated
from benchmarks.people.pool import Pool
from personalization.models.base import BaseModel
from personalization.records import Pair
from personalization.simulation.people import draw_person
from personalization.training.encoded import Encoded
from personalization.training.examples import pair_examples
from personalization.training.select import topic_pairs, used_pairs
from personalization.training.settings import TrainingSettings

TEXTS = Path("docs/benchmarks/people-raw")  # what the base model answered in `benchmarks.people`


def settings_of(*, pairs_per_batch: int = 4, epochs: int = 2) -> TrainingSettings:
    """Return the application's settings without what a plain DPO trainer has not: replay and teacher."""
    return replace(
        TrainingSettings(), replay=0.0, teaching=0.0, pairs_per_batch=pairs_per_batch, epochs=epochs
    )


@dataclass(frozen=True)
class Learner:
    """One person: all that their ratings imply, and what training makes of it, as token ids and in order."""

    pairs: list[Pair]
    encoded: Encoded
    batches: list[list[int]]
    seed: int

    @property
    def tokens(self) -> int:
        """The tokens that are trained on: prompts and answers of all steps, none of the padding."""
        lengths = self.encoded.completions.lengths()
        return sum(lengths[2 * i] + lengths[2 * i + 1] for batch in self.batches for i in batch)


def learners(base: BaseModel, count: int, *, prompts: int, settings: TrainingSettings) -> list[Learner]:
    """Return this many simulated people who rated the same answers to the first `prompts` prompts."""
    (file,) = sorted(TEXTS.glob("*/pool-0.json"))[:1]
    pool = Pool(**json.loads(file.read_text()))
    return [
        learner_of(base, Rated.by(draw_person(i), pool).pairs(prompts), settings, seed=i)
        for i in range(count)
    ]


def learner_of(base: BaseModel, pairs: Sequence[Pair], settings: TrainingSettings, *, seed: int) -> Learner:
    """Return what training makes of a person's pairs."""
    used = used_pairs(pairs, settings)
    encoded = Encoded(base, pair_examples([*used, *topic_pairs(used)]))
    return Learner(list(pairs), encoded, encoded.batches(settings, seed), seed)

"""People's tastes from states and ratings: alone, beside a prior from others, and an attack on the prior.

All numpy on the states of one benchmark's rated answers: nothing is generated here.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.people.arms import Rated
from benchmarks.people.pool import CANDIDATES, Pool
from personalization.simulation.features import FEATURES
from personalization.simulation.people import SimulatedPerson
from personalization.statistics import Estimate, clustered_mean
from personalization.steering.shared import Shared, alike, share, unit

Floats = NDArray[np.float64]

SIZES = (0, 1, 2, 4, 8)  # a person's own rated prompts, the first ones
JUDGED = slice(8, 20)  # prompts whose answers are to be ordered
THEIRS = slice(20, 32)  # prompts that others' tastes come from
# Arms: what the prior is made of. `strangers` leaves out whoever has the same taste but for noise.
ARMS = ("alone", "everybody", "alike", "strangers", "strangers_alike")


@dataclass(frozen=True)
class Seed:
    """One seed's prompts, rated answers and what the base model holds at them, ready for heads."""

    pool: Pool
    rows: Floats  # (answers, features), centred within prompts, every layer in units of its norm

    @classmethod
    def of(cls, pool: Pool, states: NDArray[np.float32]) -> Seed:
        """`states` (answers, layers, hidden) at the layers where the vector acts."""
        norms = np.linalg.norm(states, axis=2).mean(axis=0)
        scaled = (states / norms[None, :, None] / np.sqrt(len(norms))).reshape(-1, CANDIDATES, states[0].size)
        return cls(pool, (scaled - scaled.mean(axis=1, keepdims=True)).reshape(len(states), -1).astype(float))

    def sums(self, person: SimulatedPerson) -> Floats:
        """Return each rated prompt's sum of states weighted by the rating, (prompts, features)."""
        scores = np.asarray(Rated.by(person, self.pool).scores, dtype=float)
        weights = scores - scores.mean(axis=1, keepdims=True)
        found: Floats = np.einsum(
            "pn,pnf->pf", weights, self.rows.reshape(-1, CANDIDATES, self.rows.shape[1])
        )
        return found

    def accuracy(self, person: SimulatedPerson, taste: Floats) -> list[float]:
        """Return for each two answers of the judged prompts whether the taste orders them as the person."""
        right = []
        for i, texts in list(enumerate(self.pool.candidates))[JUDGED]:
            values = self.rows[i * CANDIDATES : (i + 1) * CANDIDATES] @ taste
            for j in range(CANDIDATES):
                for k in range(j):
                    wanted = person.prefers(texts[j], texts[k])
                    if wanted != 0.5:
                        right.append(float((values[j] > values[k]) == (wanted == 1)))
        return right


def accuracies(seeds: Sequence[Seed], people: Sequence[SimulatedPerson]) -> list[dict[str, object]]:
    """Return one row for each person, seed, arm and number of prompts: its share of rightly ordered pairs.

    Others' tastes come from prompts that the person neither rated nor is judged on.
    """
    found: list[dict[str, object]] = []
    for seed in seeds:
        sums = {p.description: seed.sums(p) for p in people}
        tastes = {name: unit(rows[THEIRS].sum(axis=0)) for name, rows in sums.items()}
        for person in people:
            priors = {arm: _prior(arm, person, people, tastes) for arm in ARMS}
            for size in SIZES:
                rows = sums[person.description][:size]
                for arm, prior in priors.items():
                    if size == 0 and prior is None:
                        continue
                    taste = prior.taste(rows) if prior is not None else unit(rows.sum(axis=0))
                    right = seed.accuracy(person, taste)
                    found.append(
                        {
                            "person": person.description,
                            "seed": seed.pool.seed,
                            "prompts": size,
                            "arm": arm,
                            "accuracy": float(np.mean(right)),
                        }
                    )
    return found


def _prior(
    arm: str, person: SimulatedPerson, people: Sequence[SimulatedPerson], tastes: Mapping[str, Floats]
) -> Shared | None:
    if arm == "alone":
        return None
    others = [p for p in people if p.description != person.description]
    if arm.startswith("strangers"):
        others = [p for p in others if p.stated_values != person.stated_values]
    weights = None
    if arm.endswith("alike"):  # everybody counts a little: words that differ need not mean that tastes do
        weights = [0.1 + alike(person.stated_values, p.stated_values) for p in others]
    return share([tastes[p.description] for p in others], weights)


def mean_of(rows: Sequence[Mapping[str, object]], arm: str, size: int) -> Estimate:
    """Return an arm's accuracy with an interval over people."""
    chosen = [r for r in rows if (r["arm"], r["prompts"]) == (arm, size)]
    return clustered_mean([float(str(r["accuracy"])) for r in chosen], [str(r["person"]) for r in chosen])


def difference(
    rows: Sequence[Mapping[str, object]], one: tuple[str, int], other: tuple[str, int]
) -> Estimate:
    """Return by how much (arm, prompts) is more accurate than another, each person with themselves."""
    known = {(r["arm"], r["prompts"], r["person"], r["seed"]): float(str(r["accuracy"])) for r in rows}
    who = sorted({(str(p), int(str(s))) for _, _, p, s in known})
    gains = [known[(*one, p, s)] - known[(*other, p, s)] for p, s in who]
    return clustered_mean(gains, [p for p, _ in who])


def drawn_people(count: int) -> list[SimulatedPerson]:
    """Return people whose tastes are drawn at random: two or three features, of any sign and weight."""
    people = []
    for number in range(count):
        rng = random.Random(1000 + number)  # noqa: S311 - a simulation, nothing secret
        names = rng.sample(sorted(FEATURES), rng.choice((2, 3)))
        weights = {name: rng.gauss(0.0, 1.0) for name in names}
        people.append(SimulatedPerson(f"drawn {number}", weights, (), 0.3))
    return people


def membership(
    seed: Seed, people: Sequence[SimulatedPerson], *, inside: int, splits: int, same_ratings: bool
) -> Estimate:
    """Return how well an attacker tells who is in a prior (AUC; 0.5 is chance), with an interval over splits.

    The attacker knows the prior and each person's taste: the very ratings that went in (`same_ratings`), or
    ratings of other prompts. They guess by how much the taste points along the mean.
    """
    sums = [seed.sums(person) for person in people]
    contributed = [unit(rows[:16].sum(axis=0)) for rows in sums]
    known = contributed if same_ratings else [unit(rows[16:].sum(axis=0)) for rows in sums]
    found = []
    for split in range(splits):
        order = np.random.default_rng(split).permutation(len(people))
        members, outsiders = order[:inside], order[inside:]
        prior = share([contributed[i] for i in members])
        scores = [float(prior.mean @ each) for each in known]
        above = [np.sign(scores[i] - scores[j]) for i in members for j in outsiders]
        found.append(0.5 + 0.5 * float(np.mean(above)))
    estimate = clustered_mean(found, list(range(splits)))
    return replace(estimate, n=len(people))

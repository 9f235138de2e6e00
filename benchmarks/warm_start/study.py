"""People's tastes from states and ratings: alone, and beside what they state and what a crowd likes.

All numpy on the states of one benchmark's rated answers: nothing is generated here.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.people.arms import Rated
from benchmarks.people.pool import CANDIDATES, Pool
from personalization.simulation.people import SimulatedPerson
from personalization.statistics import Estimate, clustered_mean
from personalization.steering.instant import Direction, Sums
from personalization.steering.shared import (
    FEWEST_PEOPLE,
    Floats,
    Start,
    axes_of,
    on_axes,
    share,
    start_of,
    stated_of,
    unit,
)

SIZES = (1, 2, 4, 8)  # a person's own rated prompts, the first ones
JUDGED = range(8, 20)  # prompts whose answers are to be ordered
THEIRS = range(20, 32)  # prompts that the crowd rates
CROWD, EACH_RATES = FEWEST_PEOPLE, 8
# What stands beside the ratings. `strangers`: the crowd without anybody of the person's own temperament.
ARMS = ("alone", "stated", "strangers", "everybody", "stated_and_strangers", "stated_and_everybody")

# The values of the taxonomy that the simulated people's own words ask for.
KEYS = {
    "Use simple, everyday words.": "style.plain-words",
    "Keep sentences short.": "style.short-sentences",
    "Be brief: say it in one or two short sentences.": "style.very-short",
    "Be brief.": "style.brief",
    "Use a bulleted list.": "style.lists",
    "Be warm and speak to me directly.": "style.warm",
    "Use precise, advanced vocabulary.": "style.precise",
    "Write in flowing prose, without lists.": "style.flowing-text",
    "Be thorough.": "informativeness.thorough",
    "Ask me questions back.": "style.ask-back",
}


@dataclass(frozen=True)
class Seed:
    """One seed's prompts and rated answers with what the base model holds at them."""

    pool: Pool
    states: NDArray[np.float32]  # (answers, layers, hidden), at the layers where the vector acts
    layers: tuple[int, ...]

    def taste(self, person: SimulatedPerson, prompts: Sequence[int], start: Start | None = None) -> Floats:
        """Return what a person's ratings of these prompts say (layers * hidden,), in unit length."""
        found = self.direction(person, prompts, start=start)
        return unit(found.units.astype(np.float64).ravel()) if found else np.zeros(self.states[0].size)

    def direction(
        self,
        person: SimulatedPerson,
        prompts: Sequence[int],
        subject: NDArray[np.float32] | None = None,
        start: Start | None = None,
    ) -> Direction | None:
        """Return the vector of these ratings, as the application makes it."""
        scores, sums = Rated.by(person, self.pool).scores, Sums(self.layers)
        for prompt in prompts:
            own = self.states[prompt * CANDIDATES : (prompt + 1) * CANDIDATES]
            sums.put(str(prompt), own, scores[prompt])
        return sums.direction(subject, start)

    def rated(self, person: SimulatedPerson) -> list[tuple[NDArray[np.float32], tuple[int, ...]]]:
        """Return each prompt's states (answers, layers, hidden) with the person's ratings."""
        groups = self.states.reshape(-1, CANDIDATES, *self.states.shape[1:])
        return list(zip(groups, Rated.by(person, self.pool).scores, strict=True))

    def accuracy(self, person: SimulatedPerson, taste: Floats) -> float:
        """Return how often the taste orders two answers to the judged prompts as the person does."""
        right = []
        norms = np.linalg.norm(self.states, axis=2).mean(axis=0)
        for prompt in JUDGED:
            texts = self.pool.candidates[prompt]
            own = self.states[prompt * CANDIDATES : (prompt + 1) * CANDIDATES] / norms[:, None]
            values = own.reshape(CANDIDATES, -1) @ taste
            for j in range(CANDIDATES):
                for k in range(j):
                    wanted = person.prefers(texts[j], texts[k])
                    if wanted != 0.5:
                        right.append(float((values[j] > values[k]) == (wanted == 1)))
        return float(np.mean(right))


@dataclass(frozen=True)
class Crowd:
    """People who agreed, with the temperament of each and the taste that they put in."""

    temperaments: list[str]
    tastes: list[Floats]

    @classmethod
    def of(cls, seed: Seed, people: Sequence[SimulatedPerson], count: int) -> Crowd:
        """Draw people like these, with weights and hands of their own; each rates some prompts."""
        rng = random.Random(seed.pool.seed)  # noqa: S311 - a simulation, nothing secret
        temperaments, tastes = [], []
        for number in range(count):
            like = people[number % len(people)]
            weights = {name: weight * rng.uniform(0.7, 1.3) for name, weight in like.weights.items()}
            noise = rng.choice((0.3, 0.6, 1.0))
            one = SimulatedPerson(
                f"{like.description} {number}", weights, like.stated_values, noise, like.notices
            )
            temperaments.append(temperament(like))
            tastes.append(seed.taste(one, sorted(rng.sample(THEIRS, EACH_RATES))))
        return cls(temperaments, tastes)

    def without(self, name: str) -> list[Floats]:
        """Return the tastes of people of other temperaments."""
        return [taste for own, taste in zip(self.temperaments, self.tastes, strict=True) if own != name]


def temperament(person: SimulatedPerson) -> str:
    """Return what a person shares with whoever has the same taste and a steadier hand."""
    return person.description.removesuffix(", noisy")


def starts(
    seed: Seed, people: Sequence[SimulatedPerson], directions: Mapping[str, Floats]
) -> dict[str, dict[str, Start | None]]:
    """Return by person what each arm starts from. Common tastes hold CROWD people, and their noise."""
    axes, rng = axes_of(directions), np.random.default_rng(seed.pool.seed)
    kinds = list(dict.fromkeys(temperament(person) for person in people))
    more = round(CROWD * len(people) / (len(people) - 2))  # so that enough are left without one temperament
    crowd = Crowd.of(seed, people, more + len(people))
    everybody = _common(crowd.tastes, axes, rng)
    strangers = {kind: _common(crowd.without(kind), axes, rng) for kind in kinds}
    found = {}
    for person in people:
        stated = stated_of({KEYS[words]: 1.0 for words in person.stated_values}, directions)
        theirs = strangers[temperament(person)]
        found[person.description] = {
            "alone": None,
            "stated": start_of(None, stated),
            "strangers": start_of(theirs, None),
            "everybody": start_of(everybody, None),
            "stated_and_strangers": start_of(theirs, stated),
            "stated_and_everybody": start_of(everybody, stated),
        }
    return found


def _common(tastes: Sequence[Floats], axes: Floats, rng: np.random.Generator) -> Floats:
    return share([on_axes(taste, axes) for taste in tastes[:CROWD]], axes, rng).mean


Row = dict[str, object]


def accuracies(
    seeds: Sequence[Seed], people: Sequence[SimulatedPerson], directions: Mapping[str, Floats]
) -> list[Row]:
    """Return one row for each person, seed, arm and number of prompts: its share of rightly ordered pairs.

    The crowd's tastes come from prompts that the person neither rated nor is judged on.
    """
    return [
        {
            "person": person.description,
            "seed": seed.pool.seed,
            "prompts": size,
            "arm": arm,
            "accuracy": seed.accuracy(person, seed.taste(person, range(size), start)),
        }
        for seed in seeds
        for starting in [starts(seed, people, directions)]
        for person in people
        for size in SIZES
        for arm, start in starting[person.description].items()
    ]


def mean_of(rows: Sequence[Row], arm: str, size: int, measure: str = "accuracy") -> Estimate:
    """Return an arm's measure with an interval over people."""
    chosen = [r for r in rows if (r["arm"], r["prompts"]) == (arm, size)]
    return clustered_mean([float(str(r[measure])) for r in chosen], [str(r["person"]) for r in chosen])


def difference(
    rows: Sequence[Row], one: tuple[str, int], other: tuple[str, int], measure: str = "accuracy"
) -> Estimate:
    """Return by how much (arm, prompts) measures more than another, each person with themselves."""
    known = {(r["arm"], r["prompts"], r["person"], r["seed"]): float(str(r[measure])) for r in rows}
    who = sorted({(str(p), int(str(s))) for _, _, p, s in known})
    gains = [known[(*one, p, s)] - known[(*other, p, s)] for p, s in who]
    return clustered_mean(gains, [p for p, _ in who])

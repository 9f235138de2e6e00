"""What makes people alike: the words and values that they state, beside what their ratings say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.warm_start.study import KEYS, Seed
from personalization.agreement.representational import similarities, similarity_to_states
from personalization.simulation.people import SimulatedPerson
from personalization.statistics import Estimate
from personalization.steering.reward import RatedPrompt
from personalization.steering.shared import Floats, stated_of, unit


def alike(
    seeds: Sequence[Seed], people: Sequence[SimulatedPerson], directions: Mapping[str, Floats]
) -> dict[str, Estimate | None]:
    """Return how alike three ways order people's differences: stated words, stated values, judgements.

    Words: cosine of their counts. Values: cosine of the directions. Judgements: cosine of the tastes that
    all ratings of a seed say, mean over seeds.
    """
    stated = [stated_of({KEYS[words]: 1.0 for words in p.stated_values}, directions) for p in people]
    tastes = [[seed.taste(p, range(len(seed.pool.rated))) for p in people] for seed in seeds]
    matrices = {
        "words": _unlike(_counts(people)),
        "values": _unlike([np.zeros_like(tastes[0][0]) if each is None else each for each in stated]),
        "judgements": np.mean([_unlike(own) for own in tastes], axis=0),
    }
    return {f"{a} and {b}": found for (a, b), found in similarities(matrices).items()}


def seen(seeds: Sequence[Seed], people: Sequence[SimulatedPerson]) -> dict[str, list[float]]:
    """Return by person how far answers that they judge unlike are unlike to the model, a seed at a time."""
    found: dict[str, list[float]] = {}
    for seed in seeds:
        for person in people:
            prompts = [
                RatedPrompt(str(i), states, tuple(map(float, scores)))
                for i, (states, scores) in enumerate(seed.rated(person))
            ]
            if estimate := similarity_to_states(prompts):
                found.setdefault(person.description, []).append(estimate.value)
    return found


def _unlike(rows: Sequence[Floats]) -> Floats:
    units = np.stack([unit(row) for row in rows])
    unlike: Floats = 1.0 - units @ units.T
    np.fill_diagonal(unlike, 0.0)
    return (unlike + unlike.T) / 2


def _counts(people: Sequence[SimulatedPerson]) -> list[Floats]:
    """Return each person's counts of the words of more than three letters in what they state."""
    said = [" ".join(p.stated_values).lower().replace(".", " ").replace(",", " ").split() for p in people]
    counts = [Counter(word for word in words if len(word) > 3) for words in said]
    known = sorted(set().union(*counts))
    return [np.array([float(count[word]) for word in known]) for count in counts]

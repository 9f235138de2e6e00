"""An attack on the common taste: does it tell who is in it?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.warm_start.study import Seed
from personalization.simulation.features import FEATURES
from personalization.simulation.people import SimulatedPerson
from personalization.statistics import Estimate, clustered_mean
from personalization.steering.shared import Floats, on_axes, share, unit

CHANCE = 0.05  # a test of one release at this level rejects so often where there is nothing to find


def drawn_people(count: int) -> list[SimulatedPerson]:
    """Return people whose tastes are drawn at random: two or three features, of any sign and weight."""
    people = []
    for number in range(count):
        rng = random.Random(1000 + number)  # noqa: S311 - a simulation, nothing secret
        names = rng.sample(sorted(FEATURES), rng.choice((2, 3)))
        weights = {name: rng.gauss(0.0, 1.0) for name in names}
        people.append(SimulatedPerson(f"drawn {number}", weights, (), 0.3))
    return people


def tastes_of(seed: Seed, people: Sequence[SimulatedPerson]) -> tuple[list[Floats], list[Floats]]:
    """Return each person's taste from the prompts that go in, and from others that do not."""
    return [seed.taste(one, range(16)) for one in people], [seed.taste(one, range(16, 32)) for one in people]


def membership(
    contributed: Sequence[Floats],
    known: Sequence[Floats],
    axes: Floats,
    *,
    inside: int,
    splits: int,
    is_private: bool,
) -> tuple[Estimate, float]:
    """Return how well an attacker tells who is in one release, and how often one release gives them away.

    The first is the mean AUC (0.5 is chance) with an interval over splits of the people into members and
    others; the second the share of releases where a rank test at level CHANCE finds members at all. The
    attacker knows the release and a taste of everybody, `known`, and guesses by how much it points along
    the mean. Without `is_private` the plain mean is released.
    """
    aucs, found = [], []
    for split in range(splits):
        rng = np.random.default_rng(split)
        order = rng.permutation(len(contributed))
        members, outsiders = order[:inside], order[inside:]
        theirs = [contributed[i] for i in members]
        if is_private:
            mean = share([on_axes(taste, axes) for taste in theirs], axes, rng).mean
        else:
            mean = np.mean([unit(taste) for taste in theirs], axis=0)
        scores = np.stack(known) @ mean
        above = np.sign(scores[members][:, None] - scores[outsiders][None, :])
        aucs.append(0.5 + 0.5 * float(above.mean()))
        # Mann and Whitney: the AUC's variance where nothing is to be found.
        spread = ((len(order) + 1) / (12 * len(members) * len(outsiders))) ** 0.5
        found.append(float((aucs[-1] - 0.5) / spread > 1.645))
    return replace(clustered_mean(aucs, list(range(splits))), n=len(contributed)), float(np.mean(found))

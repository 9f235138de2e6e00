"""A warm start: what people who agreed to it like on average, so that few ratings go further.

Empirical Bayes for the closed form of `personalization.steering.instant`: others' tastes are taken as draws
from one distribution, and its mean is what a new person is expected to like before they rate,

    taste  ~  N(mean, spread),      posterior  ~  X'ratings + weight mean

in the limit of noisy ratings that the closed form is. A spread that is larger where people differ (their
principal directions) was tried and lost on every amount of ratings, so it is the same everywhere. Only the
mean is kept, never one person's taste; how well that hides who is in it is measured by
`benchmarks.warm_start`, not promised here. Knows nothing of torch, models or rows: numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST_PEOPLE = 5  # a mean of fewer says too much about each
# What the mean is worth beside ratings, in prompts; anything from 3 to 10 did about alike.
MEAN_PROMPTS = 4.0


@dataclass(frozen=True, slots=True)
class Shared:
    """The mean of people's unit tastes (features,); shorter than 1, the more the less they agree."""

    mean: Floats = field(repr=False)
    people: int

    def taste(self, rows: Floats, *, worth: float = MEAN_PROMPTS) -> Floats:
        """Return the taste that prompts' sums (prompts, features) and the mean imply, in unit length.

        Without a prompt it is the mean's; with many, the mean no longer counts.
        """
        if not len(rows):
            return unit(self.mean)
        usual = float(np.sqrt((rows**2).sum(axis=1).mean()))
        return unit(rows.sum(axis=0) + worth * usual * self.mean)


def share(directions: Sequence[Floats], weights: Sequence[float] | None = None) -> Shared:
    """Return the prior of these people's tastes (features,), each counted in unit length.

    `weights` says how much each counts, for example by how alike they are to whom it is for. Leaving a
    person out and calling this again gives exactly the prior that never knew them. Raises ValueError for
    fewer than FEWEST_PEOPLE people, or weights that are not one for each and above 0 in sum.
    """
    if len(directions) < FEWEST_PEOPLE:
        raise ValueError(f"{len(directions)} people; a prior takes {FEWEST_PEOPLE}.")
    counts = np.ones(len(directions)) if weights is None else np.asarray(weights, dtype=np.float64)
    if len(counts) != len(directions) or counts.min() < 0 or counts.sum() <= 0:
        raise ValueError("Each person needs a weight that is not negative, and their sum must be positive.")
    counted = counts / counts.sum()
    return Shared(counted @ np.stack([unit(each) for each in directions]), int((counts > 0).sum()))


def alike(one: Sequence[str], other: Sequence[str]) -> float:
    """Return how alike two people's stated values are: the cosine of their words' counts, 0 to 1."""
    mine, theirs = _words(one), _words(other)
    shared = sum(mine[word] * theirs.get(word, 0) for word in mine)
    sizes = (sum(v * v for v in mine.values()) * sum(v * v for v in theirs.values())) ** 0.5
    return shared / sizes if sizes else 0.0


def unit(row: Floats) -> Floats:
    """Return a row in unit length; one without any stays zero."""
    found: Floats = row / max(float(np.linalg.norm(row)), 1e-12)
    return found


def _words(texts: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in " ".join(texts).lower().replace(".", " ").replace(",", " ").split():
        if len(word) > 3:  # not "the", "a", "and"
            counts[word] = counts.get(word, 0) + 1
    return counts

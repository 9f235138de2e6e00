"""A warm start: what the tastes of people who agreed to it have in common, so that few ratings go further.

Empirical Bayes for the closed form of `personalization.steering.instant`. Others' directions are taken as
draws from a normal distribution of tastes; its mean is what a new person is expected to like before they
rate, and a direction in which people differ much deserves more belief when few ratings point there.

    taste  ~  N(mean, I + along^2 B'B),      posterior  ~  (I + along^2 B'B) X'ratings + weight mean

in the limit of noisy ratings that the closed form is. Only sums over people are kept (a mean and `RANK`
principal directions), never one person's direction; how well that hides who is in it is measured by
`benchmarks.warm_start`, not promised here. Knows nothing of torch, models or rows: numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RANK = 6  # principal directions kept
FEWEST_PEOPLE = 5  # a mean of fewer says too much about each
# How much more a rating counts along a direction in which all the spread of people lies.
ALONG = 3.0
# What the mean is worth beside ratings, in prompts.
MEAN_PROMPTS = 1.0


@dataclass(frozen=True, slots=True)
class Shared:
    """The mean (features,) of unit tastes, and where they differ: basis (directions, features)."""

    mean: Floats = field(repr=False)
    basis: Floats = field(repr=False)  # orthogonal; each as long as the root of its share of the spread
    people: int

    def amplified(self, rows: Floats, along: float = ALONG) -> Floats:
        """Return rows (prompts, features) with what lies along the basis made larger."""
        found: Floats = rows + along**2 * (rows @ self.basis.T) @ self.basis
        return found

    def taste(self, rows: Floats, *, along: float = ALONG, worth: float = MEAN_PROMPTS) -> Floats:
        """Return the taste that prompts' sums (prompts, features) and the prior imply, in unit length.

        Without a prompt it is the mean's; with many, the mean no longer counts and the basis still does.
        """
        total = self.amplified(rows, along).sum(axis=0) if len(rows) else np.zeros_like(self.mean)
        usual = float(np.sqrt((self.amplified(rows, along) ** 2).sum(axis=1).mean())) if len(rows) else 1.0
        return unit(total + worth * usual * self.mean)


def share(
    directions: Sequence[Floats], weights: Sequence[float] | None = None, *, rank: int = RANK
) -> Shared:
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
    counts = counts / counts.sum()
    rows = np.stack([unit(each) for each in directions])
    mean = counts @ rows
    apart = np.sqrt(counts)[:, None] * (rows - mean)
    _, sizes, across = np.linalg.svd(apart, full_matrices=False)
    kept = min(rank, int((sizes > 1e-9).sum()))
    total = max(float((sizes**2).sum()), 1e-12)
    return Shared(mean, across[:kept] * (sizes[:kept, None] / np.sqrt(total)), len(directions))


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

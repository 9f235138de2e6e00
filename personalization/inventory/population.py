"""What people like a person answered: fills in the items that somebody did not answer.

Knows nothing of models. Answers are agreement with each statement as worded, 1 to 5, NaN where missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Answers = npt.NDArray[np.float64]

# How much of each covariance is people's own rather than the facets', and the noise of one answer as a
# share of the mean variance: tried on people left out of the fit.
OWN_SHARES = (0.2, 0.4, 0.6, 0.8)
NOISES = (0.1, 0.5, 1.0)
FOLDS = 5
SMALLEST_VARIANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Population:
    """A normal distribution over the answers to all items: `mean` (items,), `covariance` (items, items)."""

    mean: Answers
    covariance: Answers
    noise: float  # variance that one answer has beside what the items share

    @classmethod
    def fit(
        cls, answers: Answers, facets: Sequence[str], signs: Sequence[int], *, seed: int = 0
    ) -> Population:
        """Learn from `answers` (people, items), shrunk towards what the facets of two items share.

        The two settings are cross-validated over people for whom a random half of the items is hidden.
        Raises ValueError for fewer than ten people, or when the key does not fit the items.
        """
        people, items = answers.shape
        if people < 2 * FOLDS:
            raise ValueError(f"{people} people are too few to learn from; {2 * FOLDS} are needed.")
        if len(facets) != items or len(signs) != items:
            raise ValueError(f"The key has {len(facets)} facets and {len(signs)} signs for {items} items.")
        rng = np.random.default_rng(seed)
        fold, hidden = rng.permutation(people) % FOLDS, rng.random(items) < 0.5  # of the items
        errors = np.zeros((len(OWN_SHARES), len(NOISES)))
        for left_out in range(FOLDS):
            outside = fold == left_out
            moments = _Moments.of(answers[~outside], facets, signs)
            for i, own in enumerate(OWN_SHARES):
                for j, noise in enumerate(NOISES):
                    found = moments.population(own, noise).guess(answers[outside], np.logical_not(hidden))
                    errors[i, j] += np.nansum(np.abs(found - answers[outside])[:, hidden])
        best_own, best_noise = np.unravel_index(errors.argmin(), errors.shape)
        return _Moments.of(answers, facets, signs).population(OWN_SHARES[best_own], NOISES[best_noise])

    def complete(self, answers: Answers) -> Answers:
        """Return what somebody with these `answers` (items,), NaN where missing, says to each item, 1 to 5.

        The conditional mean given what was answered; for answered items too, so noise is smoothed there.
        """
        return self.guess(answers[None], ~np.isnan(answers))[0]

    def guess(self, answers: Answers, known: npt.NDArray[np.bool_]) -> Answers:
        """Do the same for many people (people, items) of whom the `known` items (items,) are used.

        One that is missing among these counts as the mean.
        """
        among = self.covariance[np.ix_(known, known)] + self.noise * np.eye(int(known.sum()))
        weights = np.linalg.solve(among, self.covariance[known])
        given = np.nan_to_num(answers[:, known] - self.mean[known])
        found: Answers = np.clip(self.mean + given @ weights, 1.0, 5.0)
        return found


@dataclass(frozen=True, slots=True)
class _Moments:
    """Mean, covariance, and the covariance in which two items share what their facets share."""

    mean: Answers
    own: Answers
    of_facets: Answers

    @classmethod
    def of(cls, answers: Answers, facets: Sequence[str], signs: Sequence[int]) -> _Moments:
        mean = np.nanmean(answers, axis=0)
        centred = np.where(np.isnan(answers), 0.0, answers - mean)
        own = centred.T @ centred / len(centred)
        deviation = np.sqrt(np.maximum(np.diag(own), SMALLEST_VARIANCE))
        correlation = own / np.outer(deviation, deviation)
        names = sorted(set(facets))
        member = np.eye(len(names))[[names.index(facet) for facet in facets]]  # (items, facets)
        both, apart = np.outer(signs, signs), ~np.eye(len(own), dtype=bool)
        shared = member.T @ (correlation * both * apart) @ member
        pairs = np.maximum(member.T @ apart @ member, 1.0)
        structure = member @ (shared / pairs) @ member.T * both
        # What all items share whatever they say: people differ in how readily they agree.
        structure += (correlation - structure)[apart].mean()
        np.fill_diagonal(structure, 1.0)
        return cls(mean, own, structure * np.outer(deviation, deviation))

    def population(self, own_share: float, noise: float) -> Population:
        mixed = own_share * self.own + (1 - own_share) * self.of_facets
        values, vectors = np.linalg.eigh(mixed)
        positive = (vectors * np.maximum(values, SMALLEST_VARIANCE)) @ vectors.T
        return Population(self.mean, positive, noise * float(np.diag(positive).mean()))

"""From comparisons to a reward model: how much to restrain a head, and what a unit of it is worth.

Knows nothing of rows and pages. Both are chosen on items that are held out in turn among those learned from,
so that nothing of what proves the model is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from personalization.judging.comparisons import Comparisons
from personalization.judging.heads import Way
from personalization.statistics import clustered_share
from personalization.steering.reward import Floats, Reward, log_odds_scale, raw, right

FOLDS = 5
# A head lies in so many main directions of the differences: what few answers vary in is mostly noise.
DIRECTIONS = 256


@dataclass(frozen=True)
class Space:
    """The main directions of comparisons, and the size of a difference in them."""

    basis: Floats = field(repr=False)  # (directions, features)
    size: float  # the root of the mean squared norm

    @classmethod
    def of(cls, said: Comparisons) -> Space:
        """Return the space of these comparisons; without any difference it has no direction."""
        rows = said.differences
        wide = rows.shape[0] < rows.shape[1]
        values, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
        kept = np.argsort(values)[::-1][:DIRECTIONS]
        kept = kept[values[kept] > 1e-9 * max(float(values.max()), 1e-12)]
        basis = (rows.T @ vectors[:, kept] / np.sqrt(values[kept])).T if wide else vectors[:, kept].T
        return cls(basis, float(np.sqrt(max((rows**2).sum(axis=1).mean(), 1e-12))))

    def of_comparisons(self, said: Comparisons) -> Comparisons:
        """Return the comparisons in this space, with differences of about size 1."""
        return said.seen_as(said.differences @ self.basis.T / self.size)

    def out(self, head: Floats) -> Floats:
        """Return a head of this space as one on features."""
        found: Floats = self.basis.T @ head / self.size
        return found


@dataclass(frozen=True)
class Learned:
    """A head on features whose differences are log-odds, and how well it did on items held out in turn."""

    head: Floats = field(repr=False)
    margins: Floats = field(repr=False)  # of each comparison, by a head that did not see its item
    loss: float  # their mean -log sigmoid, people counted alike; a coin gets 0.69
    restraint: int  # which head of the path it is

    def reward(self, said: Comparisons, norms: Floats) -> Reward:
        """Return it as what judges states; `norms` as `features` took them."""
        return Reward(
            weights=raw(self.head, norms),
            scale=1.0 if self.head.any() else 0.0,
            accuracy=clustered_share(right(self.margins), said.items),
            prompts=len(set(said.items)),
            ratings=len(said),
        )


def learn(way: Way, said: Comparisons, space: Space) -> Learned:
    """Return the reward model of comparisons that hold at least two items.

    The restraint is the one whose held-out comparisons are the likeliest; the scale is theirs, too, and 0
    where they are no better than a coin's.
    """
    inside = space.of_comparisons(said)
    path = way(inside)
    margins = np.zeros((len(path), len(said)))
    for fold in _folds(said.items):
        others = np.setdiff1d(np.arange(len(said)), fold)
        for i, head in enumerate(way(inside.take(others))):
            margins[i, fold] = inside.differences[fold] @ head
    scales = [log_odds_scale(one) for one in margins]
    losses = [
        float(said.shares @ np.logaddexp(0.0, -scale * one))
        for scale, one in zip(scales, margins, strict=True)
    ]
    best = int(np.argmin(losses))
    return Learned(space.out(path[best] * scales[best]), margins[best] * scales[best], losses[best], best)


def _folds(items: Sequence[str]) -> list[NDArray[np.int64]]:
    """Return the rows that are held out together: all of an item's, in an order that its name decides."""
    names = sorted(set(items))
    order = np.random.default_rng(0).permutation(len(names))
    place = {name: int(order[i]) % FOLDS for i, name in enumerate(names)}
    found = [np.asarray([i for i, item in enumerate(items) if place[item] == fold]) for fold in range(FOLDS)]
    return [fold for fold in found if len(fold)]

"""Personality activation steering: attention heads that tell what a person agrees with, in closed form.

Zhu et al. 2024 (PAlign), arXiv:2408.11779, with these departures: the probes are ridge regressions
instead of unseeded logistic ones, a head is judged by items that its probe did not see (both answers
to an item are left out together, because they are near twins), and the targets are graded and centred,
so that answers of 3 count and a person's general readiness to agree does not pull.

The items are the same for everybody, so each head's regression is diagonalised once for a base model; a
person then costs a few products, and people who answered the same items share those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import normalize

from personalization.registry import Range, method

PEOPLE_AT_ONCE = 128  # residuals are (heads, items, people): 17 MB for 270 heads
SMALLEST_PENALTY = 1e-12


@dataclass(frozen=True)
class ItemHeads:
    """What every head holds at every item, and what nobody's answers change about it.

    `activations` (heads, items, 2, width): what a head passes on after "strongly agree", "strongly
    disagree". `difference` (heads, items, width) is the first minus the second, `scores` (heads, items,
    width) the principal scores of the centred differences, `sizes` (heads, width) their sums of squares.
    """

    activations: Tensor
    difference: Tensor
    scores: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, activations: Tensor) -> ItemHeads:
        """Prepare activations (items, 2, heads, width). One eigendecomposition for each head."""
        held = activations.movedim(2, 0).contiguous()
        difference = held[:, :, 0] - held[:, :, 1]
        centred = (difference - difference.mean(dim=1, keepdim=True)).double()
        sizes, axes = torch.linalg.eigh(centred.mT @ centred)
        return cls(held, difference, (centred @ axes).float(), sizes.clamp(min=0).float())

    def left_out_errors(self, target: Tensor, known: Tensor, *, ridge: float) -> Tensor:
        """Return each head's error on each known item when its probe was fitted on the other known ones.

        `target` (items, people) is read where `known` (items,) says so; the result is (heads, known items,
        people). The penalty is `ridge` times the mean variance of a head's inputs, the intercept is free.

        With R = I - H of all items, what a fit without the set B says of B is off by R_BB^-1 (R y)_B. Here B
        is one item and all unknown ones, so that whoever left items out needs no regression of their own.
        """
        n, everything = len(known), bool(known.all())
        whitened = self.scores * (self.sizes + self._penalty(known, ridge)[:, None]).rsqrt()[:, None]
        given = target if everything else target[known]
        rows = whitened if everything else whitened[:, known]
        read, mean = rows.mT @ given, given.sum(dim=0) / n
        residual = given - rows @ read - mean
        diagonal = 1 - rows.square().sum(dim=2) - 1 / n
        if not everything:
            others = whitened[:, ~known]
            shared = rows @ others.mT + 1 / n  # (heads, known, unknown): -R
            among = torch.eye(others.shape[1]) - others @ others.mT - 1 / n
            weights = shared @ torch.cholesky_inverse(torch.linalg.cholesky(among))
            residual = residual - weights @ (others @ read + mean)
            diagonal = diagonal - (weights * shared).sum(dim=2)
        return residual / diagonal[:, :, None]

    def _penalty(self, known: Tensor, ridge: float) -> Tensor:
        """Return each head's penalty: `ridge` times the mean over its inputs of their sum of squares."""
        chosen = self.difference[:, known] if not known.all() else self.difference
        centred = chosen - chosen.mean(dim=1, keepdim=True)
        return (ridge * centred.square().sum(dim=1).mean(dim=1)).clamp(min=SMALLEST_PENALTY)


@dataclass(frozen=True, slots=True)
class Directions:
    """What is added where: `heads` (people, k), best first, and `added` (people, k, width) to each."""

    heads: Tensor
    added: Tensor


@method("pas", data="inventory", produces="personality", paper="arXiv:2408.11779")
def directions(
    items: ItemHeads,
    agreement: Tensor,
    *,
    heads: Annotated[int, Range(1, 256)] = 24,
    ridge: Annotated[float, Range(0.001, 1000.0)] = 1.0,
) -> Directions:
    """Learn a personality from the inventory: steer the attention heads that follow your answers.

    `agreement` (people, items) is 1 to 5, NaN where nothing is learned from an item. Each of a person's best
    heads gets the unit mean difference times the standard deviation of what lies along it. Zeros for whoever
    answered nothing, or the same everywhere. Nobody's result depends on who else is fitted in the same call.
    """
    people, k, width = len(agreement), min(heads, len(items.sizes)), items.sizes.shape[1]
    found = Directions(torch.zeros(people, k, dtype=torch.long), torch.zeros(people, k, width))
    masks, group = (~agreement.isnan()).unique(dim=0, return_inverse=True)
    for number, known in enumerate(masks):
        if known.sum() < 2:
            continue
        members = (group == number).nonzero()[:, 0]
        for some in members.split(PEOPLE_AT_ONCE):
            target = (agreement[some].nan_to_num(nan=3.0).T - 3) / 2  # (items, people)
            target = (target - target[known].mean(dim=0)) * known[:, None]
            error = items.left_out_errors(target, known, ridge=ridge).square().sum(dim=1)
            found.heads[some] = error.T.topk(k, largest=False).indices
            found.added[some] = _added(items, target, known, found.heads[some])
    return found


def _added(items: ItemHeads, target: Tensor, known: Tensor, best: Tensor) -> Tensor:
    """Return what is added to each person's best heads (people, k): (people, k, width)."""
    found = torch.zeros(*best.shape, items.sizes.shape[1])
    for head in best.unique().tolist():
        who, place = (best == head).nonzero(as_tuple=True)
        # The mean over agreeing minus the mean over disagreeing prompts, graded: only differences enter.
        unit = normalize(target[:, who].T @ items.difference[head], dim=1)
        along = items.activations[head, known].flatten(0, 1) @ unit.T  # (2 x known items, people)
        found[who, place] = unit * along.std(dim=0)[:, None]
    return found

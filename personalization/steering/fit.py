"""Fit personality vectors from answers to the inventory: for one person, or for a thousand in one call.

Knows nothing of strengths or proofs. What the base model's heads hold at the items is read once for each base
model and process; a fit is then products of small matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from personalization.inventory.items import ITEM_COUNT
from personalization.methods.pas import Directions, ItemHeads
from personalization.models.base import BaseModel
from personalization.models.personal import Site, SteeringVectors
from personalization.registry import Method
from personalization.steering.questionnaire import Questionnaire

_read: WeakKeyDictionary[nn.Module, dict[tuple[str, torch.dtype], ItemHeads]] = WeakKeyDictionary()


def item_heads(
    base: BaseModel, cache: Path, report: Callable[[float], None] = lambda _share: None
) -> ItemHeads:
    """Return what the model's heads hold at the items.

    From this process, from the folder `cache`, or by reading them, of which `report` hears the share done.
    """
    known, key = _read.setdefault(base.model, {}), (base.revision, base.model.dtype)
    if key not in known:
        activations = Questionnaire(base).activations(cache, report)
        known[key] = ItemHeads.of(activations.flatten(2, 3))
    return known[key]


class PersonalityFit:
    """Fits anybody's vectors to one base model with one method and its parameters."""

    def __init__(
        self, base: BaseModel, items: ItemHeads, method: Method, parameters: Mapping[str, float]
    ) -> None:
        self._base, self._items = base, items
        self._method, self._parameters = method, dict(parameters)

    def vectors(self, people: Sequence[Mapping[int, float]]) -> list[SteeringVectors]:
        """Return what each person's answers (item number -> 1 to 5) add to each layer's attention.

        Items that somebody did not answer say nothing about them. Who is fitted together changes nothing.
        """
        agreement = torch.full((len(people), ITEM_COUNT), float("nan"))
        for row, answers in enumerate(people):
            numbers = torch.tensor(list(answers), dtype=torch.long)
            agreement[row, numbers - 1] = torch.tensor(list(answers.values()), dtype=torch.float32)
        found: Directions = self._method.function(self._items, agreement, **self._parameters)
        return self._projected(found)

    def _projected(self, found: Directions) -> list[SteeringVectors]:
        """Return each person's directions as the attention's output has them, one vector for each layer."""
        width, (people, _) = found.added.shape[2], found.heads.shape
        each = len(self._items.sizes) // len(self._base.layers)  # heads of a layer
        sites: list[dict[tuple[int, Site], Tensor]] = [{} for _ in range(people)]
        acting = found.added.any(dim=2)
        for layer in (found.heads[acting] // each).unique().tolist():
            here = (found.heads // each == layer) & acting
            inputs = torch.zeros(people, each, width)
            who, place = here.nonzero(as_tuple=True)
            inputs[who, found.heads[who, place] % each] = found.added[who, place]
            weight = self._base.attention_output(layer).weight
            assert isinstance(weight, Tensor)
            rows = who.unique()
            outputs = inputs[rows].flatten(1) @ weight.detach().float().cpu().T
            for person, output in zip(rows.tolist(), outputs, strict=True):
                sites[person][layer, "attention"] = output.clone()
        return [SteeringVectors(of_one) for of_one in sites]

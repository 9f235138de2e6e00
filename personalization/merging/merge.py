"""Merge whole adapters weight by weight, and read and write them in PEFT's folder format.

Knows nothing of what each way does with one weight, nor of who may merge what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import save_file

from personalization.errors import AlignError
from personalization.merging.changes import Change, compressed, lost
from personalization.merging.conflict import layer_of
from personalization.merging.registry import Way
from personalization.models.personal import load_adapter

Adapter = Mapping[str, Change]  # module path -> the change of its weight


@dataclass(frozen=True, slots=True)
class Merge:
    """A merged adapter, its rank, and what was lost when it was compressed to it.

    `loss` is the norm of what was left out, as a share of the norm of the merged change, over all weights.
    """

    changes: Adapter
    rank: int
    loss: float


def read(folder: Path) -> dict[str, Change]:
    """Return an adapter's changes. Raises ArtifactError for what is not plain LoRA."""
    return {name: Change(down, up) for name, (down, up) in load_adapter(folder).modules.items()}


def merge(
    adapters: Sequence[Adapter],
    weights: Sequence[float],
    way: Way,
    parameters: Mapping[str, float],
    *,
    on_weight: Callable[[int, int], None] = lambda _done, _all: None,
) -> Merge:
    """Return the adapters merged. An adapter that leaves a weight alone changes it by nothing.

    `on_weight` hears how many weights are done, of how many; what it raises is raised. Raises AlignError for
    fewer than two adapters, another number of weights, parameters out of range, and shapes that do not match.
    """
    if len(adapters) < 2 or len(weights) != len(adapters):
        raise AlignError(
            f"{len(adapters)} adapters and {len(weights)} weights: choose two or more, one each."
        )
    resolved = way.resolve(parameters)
    names = sorted(set().union(*adapters))
    merged: dict[str, Change] = {}
    sizes, losses = 0.0, 0.0
    for done, name in enumerate(names):
        on_weight(done, len(names))
        changes = _of_each(adapters, name)
        found = way(changes, weights, resolved)
        small = found
        if "rank" in resolved or not isinstance(found, Change):
            small = compressed(found, int(resolved["rank"]))
        assert isinstance(small, Change)
        size = found.norm() if isinstance(found, Change) else float(found.norm())
        sizes += size**2
        losses += (size * lost(found, small)) ** 2 if small is not found else 0.0
        merged[name] = small
    on_weight(len(names), len(names))
    rank = max((change.rank for change in merged.values()), default=0)
    return Merge(merged, rank, (losses / sizes) ** 0.5 if sizes else 0.0)


def write(merged: Merge, folder: Path, *, base_name: str) -> None:
    """Write PEFT's format: one rank for all weights (zeros fill up), the scaling folded into B."""
    folder.mkdir(parents=True, exist_ok=True)
    rank = max(merged.rank, 1)
    modules, layers = _targets(list(merged.changes))
    LoraConfig(
        r=rank,
        lora_alpha=rank,
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
        base_model_name_or_path=base_name,
        inference_mode=True,
        target_modules=modules,
        layers_to_transform=layers,
    ).save_pretrained(str(folder))
    tensors = {}
    for name, change in merged.changes.items():
        down, up = change.down.float(), change.up.float()
        filled = rank - change.rank
        tensors[f"base_model.model.{name}.lora_A.weight"] = torch.nn.functional.pad(down.T, (0, 0, 0, filled))
        tensors[f"base_model.model.{name}.lora_B.weight"] = torch.nn.functional.pad(up.T, (0, filled))
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(whole, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def _of_each(adapters: Sequence[Adapter], name: str) -> list[Change]:
    known = next(adapter[name] for adapter in adapters if name in adapter)
    nothing = Change(known.down.new_zeros(len(known.down), 1), known.up.new_zeros(1, known.up.shape[1]))
    found = [adapter.get(name, nothing) for adapter in adapters]
    if len({(change.down.shape[0], change.up.shape[1]) for change in found}) > 1:
        raise AlignError(
            f"The adapters change {name} in different shapes: they are of different base models."
        )
    return found


def _targets(names: Sequence[str]) -> tuple[list[str], list[int] | None]:
    """Say which modules are changed as PEFT is told for a trained adapter; by full names where that fails."""
    suffixes = sorted({name.rsplit(".", 1)[-1] for name in names})
    layers = sorted({layer_of(name) for name in names})
    if -1 in layers or len(names) != len(suffixes) * len(layers):
        return sorted(names), None
    return suffixes, layers

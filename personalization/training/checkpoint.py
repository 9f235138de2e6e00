"""Write where training stands so that a killed run goes on from there, bit for bit.

Knows nothing of jobs. A checkpoint is one safetensors file (weights and optimiser state) whose metadata
holds the step, what was measured and which run it is of; it is renamed into place, so it is whole or
absent, and a run with other data or settings never goes on from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

NAME = "checkpoint.safetensors"


def save(
    folder: Path,
    step: int,
    parameters: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    notes: Mapping[str, Any],
    *,
    run: str,
) -> None:
    """Write the state after `step` steps. `notes` is JSON-ready; `run` names all that the run depends on."""
    tensors = {f"weight/{name}": p.detach().cpu() for name, p in parameters.items()}
    for name, p in parameters.items():
        for key, value in optimizer.state[p].items():
            tensors[f"{key}/{name}"] = torch.as_tensor(value).detach().cpu()
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{NAME}.partial"
    save_file(tensors, partial, metadata={"run": run, "step": str(step), "notes": json.dumps(notes)})
    partial.replace(folder / NAME)


def restore(
    folder: Path, parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, *, run: str
) -> tuple[int, dict[str, Any]]:
    """Load the state and return (step, notes); (0, {}) without a readable one of this run."""
    try:
        with safe_open(folder / NAME, framework="pt") as file:
            metadata = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError):
        return 0, {}
    if metadata.get("run") != run:
        return 0, {}
    with torch.no_grad():
        for key, tensor in tensors.items():
            kind, name = key.split("/", 1)
            parameter = parameters[name]
            if kind == "weight":
                parameter.copy_(tensor)
            else:
                # AdamW keeps its step count on the CPU.
                optimizer.state[parameter][kind] = tensor if kind == "step" else tensor.to(parameter.device)
    return int(metadata["step"]), json.loads(metadata["notes"])

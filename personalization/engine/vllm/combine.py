"""Several artifacts at their strengths as one adapter, or one set of vectors, read from the artifact store.

Knows nothing of people or keys: whoever asks by digest has verified owner and signature, and here every byte
is held against the digest again. A sum of LoRA products is the product of their matrices side by side.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from personalization import artifacts
from personalization.engine.vllm.names import Acting
from personalization.errors import ArtifactError
from personalization.models.personal import LoraWeights, Site, SteeringVectors, load_adapter, load_vectors


def adapter(store: Path, acting: Acting, *, model_revision: str) -> LoraWeights:
    """Return the sum of adapters. Raises ArtifactError for what is not there, or not what its digest says."""
    halves: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
    for folder, strength in _untouched(store, acting, model_revision):
        for name, (down, up) in load_adapter(folder).modules.items():
            downs, ups = halves.setdefault(name, ([], []))
            downs.append(down)
            ups.append(up * strength)
    return LoraWeights(
        {name: (torch.cat(downs, dim=1), torch.cat(ups, dim=0)) for name, (downs, ups) in halves.items()}
    )


def vectors(store: Path, acting: Acting, *, model_revision: str) -> SteeringVectors:
    """Return the sum of vectors, each times its strength. Raises ArtifactError like `adapter`."""
    total: dict[tuple[int, Site], Tensor] = {}
    for folder, strength in _untouched(store, acting, model_revision):
        for site, vector in load_vectors(folder).sites.items():
            total[site] = total.get(site, torch.zeros_like(vector)) + strength * vector
    return SteeringVectors(total)


def rank_of(weights: LoraWeights) -> int:
    """Return the largest rank of any module."""
    return max(down.shape[1] for down, _ in weights.modules.values())


def save_adapter(weights: LoraWeights, folder: Path) -> int:
    """Write an adapter as PEFT does, all modules padded to one rank; return its size in bytes."""
    rank = rank_of(weights)
    tensors = {}
    for name, (down, up) in weights.modules.items():
        missing = rank - down.shape[1]
        tensors[f"base_model.model.{name}.lora_A.weight"] = _padded(down.T, (0, 0, 0, missing))
        tensors[f"base_model.model.{name}.lora_B.weight"] = _padded(up.T, (0, missing))
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": rank,  # scaling and strength are in the matrices
        "target_modules": sorted({name.rpartition(".")[2] for name in weights.modules}),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return sum(tensor.nbytes for tensor in tensors.values())


def _padded(matrix: Tensor, missing: tuple[int, ...]) -> Tensor:
    return torch.nn.functional.pad(matrix, missing).contiguous()


def _untouched(store: Path, acting: Acting, model_revision: str) -> Iterator[tuple[Path, float]]:
    for digest, strength in acting:
        folder = artifacts.path_of(store, digest)
        made_for = artifacts.untouched(folder).get("model_revision")
        if made_for != model_revision:
            raise ArtifactError(
                f"The artifact {digest[:12]} was made for base model {made_for}, and this server serves "
                f"{model_revision}; learn again on the new model."
            )
        yield folder, strength

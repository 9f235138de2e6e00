"""What is one person's own inside a model, as their files hold it: LoRA matrices and steering vectors.

Knows nothing of a batch or of who verified a file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from personalization.errors import ArtifactError

Site = Literal["output", "attention"]

_LORA_KEY = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_(A|B)\.weight")
ADAPTER, VECTORS = "adapter_model.safetensors", "steering.safetensors"
_VECTOR_KEY = re.compile(r"layer\.(\d+)\.(output|attention)")


@dataclass(frozen=True, eq=False)
class LoraWeights:
    """A LoRA adapter: module path -> (A^T (in, r), B^T (r, out) with the scaling folded in), on the CPU.

    In float32, or all in bfloat16 where that is exact. Where decoding is compiled, they become views of one
    storage that holds the same numbers (`placed.py`).
    """

    modules: dict[str, tuple[Tensor, Tensor]]

    @cached_property
    def is_short(self) -> bool:
        """Whether it is in bfloat16."""
        return all(each.dtype == torch.bfloat16 for pair in self.modules.values() for each in pair)


@dataclass(frozen=True, eq=False)
class SteeringVectors:
    """Steering vectors: (layer, site) -> (hidden,), float32; strength 1 adds them as they are."""

    sites: Mapping[tuple[int, Site], Tensor]


def load_adapter(path: Path, *, is_short: bool = False) -> LoraWeights:
    """Read an adapter in PEFT's own folder format. Raises ArtifactError for what is not plain LoRA.

    `is_short`: what is in bfloat16 may stay so, for who takes that; else it is float32.
    """
    try:
        config = json.loads((path / "adapter_config.json").read_text())
        tensors = load_file(path / ADAPTER)
    except (OSError, ValueError, SafetensorError) as error:
        raise ArtifactError(f"The adapter in {path.name} cannot be read: {_why(error)}") from error
    refused = ("use_dora", "lora_bias", "fan_in_fan_out", "modules_to_save", "rank_pattern", "alpha_pattern")
    extras = [name for name in refused if config.get(name)]
    if config.get("peft_type") != "LORA" or extras:
        raise ArtifactError(
            f"Only plain LoRA adapters can be served; this one is {config.get('peft_type')} {extras}."
        )
    rank = int(config["r"])
    scaling = config["lora_alpha"] / (rank**0.5 if config.get("use_rslora") else rank)
    # A scaling that is a power of two changes no digit.
    is_short &= math.frexp(scaling)[0] == 0.5 and {each.dtype for each in tensors.values()} == {
        torch.bfloat16
    }
    halves: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if not (found := _LORA_KEY.fullmatch(key)):
            raise ArtifactError(f"The adapter in {path.name} holds {key!r}, which is not a LoRA matrix.")
        halves.setdefault(found[1], {})[found[2]] = tensor if is_short else tensor.float()
    if broken := [name for name, half in halves.items() if len(half) != 2]:
        raise ArtifactError(f"The adapter in {path.name} lacks one half of {broken[0]!r}.")
    return LoraWeights(
        {n: (h["A"].T.contiguous(), (h["B"] * scaling).T.contiguous()) for n, h in halves.items()}
    )


def _why(error: Exception) -> str:
    """Return what is wrong without the place on disk, which a page must not tell."""
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)


def load_vectors(path: Path) -> SteeringVectors:
    """Read `steering.safetensors`. Raises ArtifactError."""
    try:
        tensors = load_file(path / VECTORS)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"The steering vector in {path.name} cannot be read: {_why(error)}") from error
    sites: dict[tuple[int, Site], Tensor] = {}
    for key, tensor in tensors.items():
        if not (found := _VECTOR_KEY.fullmatch(key)):
            raise ArtifactError(
                f"The vector in {path.name} holds {key!r}; expected layer.N.output/attention."
            )
        sites[int(found[1]), "output" if found[2] == "output" else "attention"] = tensor.float()
    return SteeringVectors(sites)


def save_vectors(vectors: SteeringVectors, folder: Path) -> None:
    """Write `steering.safetensors`, as `load_vectors` reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {f"layer.{layer}.{site}": tensor.contiguous() for (layer, site), tensor in vectors.sites.items()}
    save_file(named, folder / VECTORS)


def scale(folder: Path, share: float) -> None:
    """Write an artifact's files anew, this many times as strong; a resumed run must begin from whole ones."""
    for file in (folder / ADAPTER, folder / VECTORS):
        if file.exists():
            found = load_file(file)
            changed = {
                key: tensor if ".lora_A." in key else (tensor.float() * share).to(tensor.dtype)
                for key, tensor in found.items()
            }
            save_file(changed, file, metadata={"format": "pt"})


def has_adapter(folder: Path, kind: str) -> bool:
    """Say whether an artifact of this kind holds an adapter; one of stated values may hold vectors too."""
    return kind == "adapter" or (kind == "values" and (folder / "adapter_config.json").exists())


def has_vectors(folder: Path, kind: str) -> bool:
    """Say whether an artifact of this kind holds steering vectors."""
    return kind in ("vector", "personality") or (kind == "values" and (folder / VECTORS).exists())

"""Reward models as a file: one tensor (layers, hidden) for each, by its name. Knows nothing of sealing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from personalization.errors import ArtifactError
from personalization.steering.reward import Reward

FILE = "reward.safetensors"


def write(rewards: Mapping[str, Reward], folder: Path) -> None:
    """Write the heads into a folder that is about to be sealed."""
    save_file({name: reward.weights.astype("<f4") for name, reward in rewards.items()}, folder / FILE)


def read(folder: Path, name: str, summary: Mapping[str, Any]) -> Reward:
    """Return the reward of this name, with its `Reward.as_dict`. Raises ArtifactError where there is none."""
    heads = load_file(folder / FILE)
    if name not in heads:
        raise ArtifactError(f"{folder.name[:12]} holds no reward model named {name}.")
    return Reward.of_bytes(heads[name].tobytes(), len(heads[name]), summary)

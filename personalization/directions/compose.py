"""A person's stated values as one artifact: directions added, adapters merged exactly.

Knows nothing of people: values and their importance come in, a folder that the engine serves goes out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from personalization import registry
from personalization.errors import NotEnoughData
from personalization.values import effects
from personalization.values.taxonomy import values


@dataclass(frozen=True, slots=True)
class Weighed:
    """How strongly each value acts, which cancelled each other, and which have no direction."""

    weights: Mapping[str, float]
    cancelled: tuple[str, ...]
    without: tuple[str, ...]


def weigh(strengths: Mapping[str, float], built: Mapping[str, Mapping[str, Any]]) -> Weighed:
    """Return each value's weight; of two that oppose each other only the difference acts.

    `strengths` are 0 to 1.5 by the value's key, `built` the manifests of the model. A value with several
    opponents is weighed against them one after another, in the taxonomy's order.
    """
    known = values()
    weights = {key: strengths[key] for key in known if strengths.get(key) and _has_direction(built, key)}
    without = tuple(key for key in strengths if not _has_direction(built, key))
    for key in list(weights):
        for other in known[key].opposes & set(weights):
            least = min(weights[key], weights[other])
            weights[key], weights[other] = weights[key] - least, weights[other] - least
    gone = tuple(key for key, weight in weights.items() if weight == 0)
    return Weighed({key: weight for key, weight in weights.items() if weight > 0}, gone, without)


def limit(built: Mapping[str, Mapping[str, Any]]) -> float:
    """Return the greatest load at which four in five vectors left the text sound while choosing.

    Loads are those that were tried; the default of the method where nothing was.
    """
    tried = sorted(
        (load_of(trial), bool(trial["sound"]))
        for manifest in built.values()
        for trial in manifest.get("trials", ())
        if trial["kind"] == "vector"
    )
    best = 0.0
    for i, (load, _) in enumerate(tried):
        near = [sound for _, sound in tried[max(0, i - 4) : i + 5]]
        if sum(near) >= 0.8 * len(near):
            best = load
    default = registry.get("values").parameters["max_load"]
    return min(max(best or default.default, default.range.low), default.range.high)


def load_of(about: Mapping[str, Any]) -> float:
    """Return a chosen or tried vector's load: its strength over all of its layers."""
    return float(about["strength"]) * len(about["layers"]) ** 0.5


def compose(folder: Path, strengths: Mapping[str, float], out: Path, **parameters: float) -> dict[str, Any]:
    """Write one artifact for these values to `out` and return what acts.

    `folder` is the model's folder of value directions, `parameters` the method's where not the usual ones;
    `max_load` follows from what was built. Raises NotEnoughData when none of the values has
    a direction, or all cancel.
    """
    built = effects.read(folder)
    weighed = weigh(strengths, built)
    if not weighed.weights:
        raise NotEnoughData("None of the values acts: they cannot be measured in text, or cancel.", missing=1)
    vectors, adapters = [], []
    for key, weight in weighed.weights.items():
        place = folder / effects.folder_name(key)
        if built[key]["kind"] == "vector":
            vectors.append((load_file(place / "steering.safetensors"), weight))
        else:
            adapters.append((place, weight))
    norms = {f"layer.{i}.output": norm for i, norm in enumerate(load_norms(folder))}
    given = {"max_load": limit(built)} | parameters
    out.mkdir(parents=True, exist_ok=True)
    factor = 1.0
    if vectors:
        function = registry.get("values").function
        total, factor = function([v for v, _ in vectors], [w for _, w in vectors], norms, **given)
        save_file({name: tensor.contiguous() for name, tensor in total.items()}, out / "steering.safetensors")
    if adapters:
        merge_adapters(adapters, out)
    return {
        "weights": dict(weighed.weights),
        "cancelled": list(weighed.cancelled),
        "without_direction": list(weighed.without),
        "max_load": given["max_load"],
        "scaled_by": factor,
    }


def verdict(
    weights: Mapping[str, float], built: Mapping[str, Mapping[str, Any]]
) -> tuple[bool, str, list[dict[str, Any]]]:
    """Return whether every value that acts was measured to work, a sentence, and each value's numbers.

    Measured once for each base model on fresh answers: the interval must exclude a coin, and relevance
    must be kept. Nothing here was measured on the person.
    """
    rows = [{"value": key, "weight": weight, **built[key]["report"]} for key, weight in weights.items()]
    known = values()
    unseen = [known[row["value"]].label for row in rows if not row["win_rate"]["low"] > 0.5]
    astray = [known[row["value"]].label for row in rows if row["win_rate"]["low"] > 0.5 and not row["sound"]]
    found = []
    if unseen:
        found.append(f"no clear effect of {', '.join(unseen)}")
    if astray:
        found.append(f"{', '.join(astray)} led answers away from the question or made them repeat themselves")
    if found:
        return False, f"Not proven: on fresh answers of this model {'; '.join(found)}.", rows
    least = min(row["win_rate"]["value"] for row in rows)
    words = f"Proven: on fresh answers of this model each of these values wins at least {100 * least:.0f} %"
    return True, f"{words} of comparisons with the base model by its own measure.", rows


def load_norms(folder: Path) -> list[float]:
    """Return each layer's mean hidden norm over the pool."""
    return [float(norm) for norm in json.loads((folder / "norms.json").read_text())]


def merge_adapters(adapters: list[tuple[Path, float]], out: Path) -> None:
    """Write the exact weighted sum of adapters as one of their ranks' sum (PEFT's `cat`).

    A's rows and B's columns stand side by side, so that BA is the sum; `linear` would mix them.
    """
    halves: dict[str, list[Tensor]] = {}
    config: dict[str, Any] = {}
    for place, weight in adapters:
        config = json.loads((place / "adapter_config.json").read_text())
        scaling = weight * config["lora_alpha"] / config["r"]
        for name, tensor in load_file(place / "adapter_model.safetensors").items():
            halves.setdefault(name, []).append(tensor.float() * (scaling if ".lora_B." in name else 1))
    merged = {
        name: torch.cat(parts, dim=1 if ".lora_B." in name else 0).contiguous()
        for name, parts in halves.items()
    }
    rank = max(tensor.shape[0] for name, tensor in merged.items() if ".lora_A." in name)
    save_file(merged, out / "adapter_model.safetensors")
    (out / "adapter_config.json").write_text(json.dumps({**config, "r": rank, "lora_alpha": rank}, indent=1))


def _has_direction(built: Mapping[str, Mapping[str, Any]], key: str) -> bool:
    return key in built and built[key]["kind"] != "none"

"""People to be served: random adapters and vectors on disk, and prompts of an exact length.

What an adapter learned does not change what it costs; random ones change every token, so that a mix-up shows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.serving.apart import in_a_process
from personalization.engine.local import LocalEngine
from personalization.engine.requests import GenerationRequest, Intervention, Sampling
from personalization.models.base import BaseModel, load
from personalization.models.codes import codes_of
from personalization.models.personal import SteeringVectors, save_vectors
from personalization.models.prompts import encode_chat
from personalization.records import Message
from personalization.threads import in_a_thread_that_ends
from personalization.training.lora import Adapter
from personalization.training.settings import TrainingSettings

# Attention output and layer output, the two places where vectors act.
SITES = ((14, "attention"), (20, "output"))
_WORDS = (
    "river",
    "stone",
    "light",
    "paper",
    "green",
    "house",
    "water",
    "cloud",
    "music",
    "bread",
    "table",
    "road",
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an adapter and a vector; `acting` is what a request carries."""

    adapter: Path
    vector: Path

    def acting(self, *, vector: bool = True) -> tuple[Intervention, ...]:
        """Return both, or the adapter alone."""
        both = (Intervention("adapter", self.adapter, str(self.adapter)),)
        return (*both, Intervention("vector", self.vector, str(self.vector))) if vector else both


def people(model: Model, folder: Path, count: int, *, rank: int = 8, share: float = 1.0) -> list[Person]:
    """Return so many people; `share` of the layers, from the last down, have LoRA in all projections."""
    places = [folder / f"r{rank}-{share:g}-bfloat16" / str(i) for i in range(count)]
    found = [Person(here / "adapter", here / "vector") for here in places]
    if not all(person.vector.exists() for person in found):
        settings = replace(TrainingSettings(), rank=rank, alpha=2 * rank, trained_share=share)
        in_a_process(partial(_write_missing, model, found, settings))
    return found


def _write_missing(model: Model, wanted: Sequence[Person], settings: TrainingSettings) -> None:
    base = model.base()
    for i, person in enumerate(wanted):
        if not person.vector.exists():
            _write(base, person, settings, seed=i)


def _write(base: BaseModel, person: Person, settings: TrainingSettings, *, seed: int) -> None:
    random_numbers = torch.Generator().manual_seed(seed)
    person.adapter.mkdir(parents=True)
    adapter = Adapter(base, settings, seed=seed)
    with torch.no_grad():
        for name, parameter in adapter.parameters.items():
            if name.endswith("lora_B"):
                parameter.copy_(0.01 * torch.randn(parameter.shape, generator=random_numbers))
    adapter.save(person.adapter)
    layers, width = len(base.layers), base.hidden_size
    sites = {
        (layer * layers // 30, site): torch.randn(width, generator=random_numbers) for layer, site in SITES
    }
    save_vectors(SteeringVectors(sites), person.vector)  # type: ignore[arg-type]


def prompt(base: BaseModel, tokens: int, *, seed: int) -> tuple[Message, ...]:
    """Return a chat that is exactly so many tokens long. Raises ValueError below what the template takes."""
    words = random.Random(seed).choices(_WORDS, k=tokens)  # noqa: S311 - a reproducible text
    for count in range(tokens, 0, -1):
        chat = (Message("user", "Write about: " + " ".join(words[:count])),)
        if len(encode_chat(base, chat)) == tokens:
            return chat
    raise ValueError(f"No prompt of {tokens} tokens could be made.")


def requests(
    base: BaseModel,
    acting: Sequence[tuple[Intervention, ...]],
    *,
    prompt_tokens: int,
    new_tokens: int,
    first_seed: int = 0,
) -> list[GenerationRequest]:
    """Return one greedy request for each of `acting`, each of another owner and with another prompt."""
    greedy = Sampling(temperature=0.0, max_new_tokens=new_tokens)
    return [
        GenerationRequest(
            str(i), prompt(base, prompt_tokens, seed=first_seed + i), greedy, parts, owner=f"{first_seed + i}"
        )
        for i, parts in enumerate(acting)
    ]


def requests_of(
    model: Model, acting: Sequence[tuple[Intervention, ...]], prompt_tokens: int, new_tokens: int
) -> list[GenerationRequest]:
    """Return the same as `requests`, for who has not loaded the model."""
    return requests(model.base(), acting, prompt_tokens=prompt_tokens, new_tokens=new_tokens)


def _bytes(weight: Tensor) -> float:
    found = codes_of(weight)
    return weight.nbytes if found is None else weight.numel() * found.bits / 8 + 8 * found.scales.numel()


@dataclass(frozen=True, slots=True)
class Model:
    """The base model by name and folder: what a process is told that loads it for itself."""

    name: str
    folder: Path

    def base(self) -> BaseModel:
        """Load it. No token ends an answer, so that all ways do equal work; threads end with the loading."""
        base = in_a_thread_that_ends(lambda: load(self.name, self.folder))
        base.__dict__["end_ids"] = frozenset()  # a cached property, set before it is computed
        return base

    def about(self) -> dict[str, Any]:
        """Return name, revision, how many weights a step multiplies, of them the head's, and their bytes.

        Bytes: as decoding reads them, each four, or half a one and its share of scale and offset.
        """
        base = self.base()
        weights = [p for name, p in base.model.named_parameters() if "norm" not in name]
        head = base.model.get_output_embeddings().weight
        return {
            "revision": base.revision, "name": base.name, "weights": sum(p.numel() for p in weights),
            "head": head.numel(), "bytes": int(sum(_bytes(p.detach()) for p in weights)),
        }  # fmt: skip

    def engine(self, base: BaseModel, rows: int, **settings: Any) -> LocalEngine:
        """Return an engine as workers make it, whose thread is the only one of this process that computes."""
        usual = {"is_compiled": True, **settings}
        return in_a_thread_that_ends(lambda: LocalEngine(base, max_rows=rows, **usual))

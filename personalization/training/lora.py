"""LoRA matrices of several people on one frozen base model, trained in the same passes.

Hu et al. 2021, arXiv:2106.09685; many adapters of one base at once as in mLoRA (Ye et al. 2023,
arXiv:2312.02515). The tokens of a row belong to people in consecutive blocks, each with products of its own,
so nothing is padded. The base model is left as it was; folders are in PEFT's format. Knows nothing of losses
or data.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import linear

from personalization.models.base import BaseModel
from personalization.training.settings import TrainingSettings


def target_modules(base: BaseModel) -> dict[str, nn.Linear]:
    """Return every linear layer of attention and MLP by its full name: all but the head."""
    head = base.model.get_output_embeddings()
    return {
        name: module
        for name, module in base.model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    }


def first_trained(base: BaseModel, settings: TrainingSettings) -> int:
    """Return the lowest layer that gets an adapter."""
    return len(base.layers) - max(1, round(settings.trained_share * len(base.layers)))


class Adapter:
    """One person's trainable matrices: A (rank, in) and B (out, rank) for each target of the upper layers.

    Drawn as PEFT draws them from the same seed: A uniform (Kaiming), B zero, so it changes nothing at first.
    """

    def __init__(self, base: BaseModel, settings: TrainingSettings, *, seed: int) -> None:
        self._base, self._settings = base, settings
        self._first = first_trained(base, settings)
        lower = {id(module) for layer in base.layers[: self._first] for module in layer.modules()}
        self.targets = {n: m for n, m in target_modules(base).items() if id(m) not in lower}
        self.parameters: dict[str, Tensor] = {}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for name, module in self.targets.items():
                down = nn.Linear(module.in_features, settings.rank, bias=False)
                up = nn.Linear(settings.rank, module.out_features, bias=False)
                nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5))
                nn.init.zeros_(up.weight)
                self.parameters[f"{name}.lora_A"] = nn.Parameter(down.weight.detach().to(base.device))
                self.parameters[f"{name}.lora_B"] = nn.Parameter(up.weight.detach().to(base.device))

    @property
    def scaling(self) -> float:
        """What the product of both matrices is multiplied by."""
        return self._settings.alpha / self._settings.rank

    def part(self, ranks: Sequence[int]) -> Adapter:
        """Return some of its ranks as an adapter that acts alone; its gradients are this one's."""
        at = torch.tensor(list(ranks), dtype=torch.long, device=self._base.device)
        found = copy.copy(self)
        found.parameters = {name: p.index_select(dim_of(name), at) for name, p in self.parameters.items()}
        return found

    def save(self, folder: Path) -> None:
        """Write PEFT's own format: adapter_config.json and adapter_model.safetensors, in bfloat16.

        Half of float32's bytes on disk, in memory and at every token. Rounding changes 1e-8 nats a token,
        where an adapter is 1e-3 from its base model (docs/decisions/0003); what is proven is rounded already.
        """
        config = LoraConfig(
            r=self._settings.rank,
            lora_alpha=self._settings.alpha,
            target_modules=sorted({name.rsplit(".", 1)[-1] for name in self.targets}),
            layers_to_transform=list(range(self._first, len(self._base.layers))),
            lora_dropout=0.0,
            bias="none",
            task_type="CAUSAL_LM",
            base_model_name_or_path=self._base.name,
            inference_mode=True,
        )
        config.save_pretrained(str(folder))
        tensors = {
            f"base_model.model.{name}.weight": p.detach().to("cpu", torch.bfloat16).contiguous()
            for name, p in self.parameters.items()
        }
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def dim_of(name: str) -> int:
    """Return along which dimension of a matrix of this name its ranks lie."""
    return 0 if name.endswith(".lora_A") else 1


@contextmanager
def acting(adapters: Sequence[Adapter], tokens: Sequence[int] = ()) -> Iterator[None]:
    """Let the row that is read inside be changed by each adapter in turn, for so many of its tokens.

    All adapters have the same targets. A single one acts on whatever is read; without any, the base model
    answers.
    """
    handles = [
        module.register_forward_hook(_hook(adapters, tokens, name))
        for name, module in (adapters[0].targets.items() if adapters else ())
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(
    adapters: Sequence[Adapter], tokens: Sequence[int], name: str
) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    def add(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        dtype = adapters[0].parameters[f"{name}.lora_A"].dtype
        inputs, found = args[0].flatten(0, -2).to(dtype), output.flatten(0, -2).to(dtype)
        sizes = list(tokens) if len(adapters) > 1 else [len(inputs)]
        changed = [
            torch.addmm(
                own,
                linear(block, adapter.parameters[f"{name}.lora_A"]),
                adapter.parameters[f"{name}.lora_B"].T,
                alpha=adapter.scaling,
            )
            for adapter, block, own in zip(adapters, inputs.split(sizes), found.split(sizes), strict=True)
        ]
        whole = changed[0] if len(changed) == 1 else torch.cat(changed)
        return whole.reshape(output.shape).to(output.dtype)

    return add

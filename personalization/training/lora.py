"""Put a fresh LoRA adapter on a base model for training, and take it off without a trace.

Knows nothing of losses or data. PEFT trains and writes its own folder format; serving and proof read
that format through `personalization.models.interventions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from personalization.models.base import BaseModel
from personalization.training.settings import TrainingSettings


def target_modules(base: BaseModel) -> list[str]:
    """Return the full names of every linear layer of attention and MLP: all but the head."""
    head = base.model.get_output_embeddings()
    return [
        name
        for name, module in base.model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    ]


def first_trained(base: BaseModel, settings: TrainingSettings) -> int:
    """Return the lowest layer that gets an adapter."""
    return len(base.layers) - max(1, round(settings.trained_share * len(base.layers)))


@contextmanager
def trainable_adapter(base: BaseModel, settings: TrainingSettings, *, seed: int) -> Iterator[Adapter]:
    """Yield a fresh adapter on the model (which changes nothing yet); afterwards the model is as before."""
    leaves = sorted({name.rsplit(".", 1)[-1] for name in target_modules(base)})
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules=leaves,
        layers_to_transform=list(range(first_trained(base, settings), len(base.layers))),
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # PEFT draws A from the global generator
        wrapped = get_peft_model(base.model, config)
    config.base_model_name_or_path = base.name  # PEFT puts the name that the model was loaded by
    try:
        yield Adapter(wrapped, base)
    finally:
        wrapped.unload()
        if hasattr(base.model, "peft_config"):
            del base.model.peft_config


class Adapter:
    """The trainable matrices of one adapter on a wrapped model."""

    def __init__(self, wrapped: nn.Module, base: BaseModel) -> None:
        self._wrapped, self._base = wrapped, base
        self.parameters = {n: p for n, p in wrapped.named_parameters() if p.requires_grad}

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Let the base model answer inside."""
        with self._wrapped.disable_adapter():  # type: ignore[operator]
            yield

    def save(self, folder: Path) -> None:
        """Write PEFT's own format: adapter_config.json and adapter_model.safetensors."""
        # Without the last argument PEFT asks the hub whether the embeddings were resized.
        write = self._wrapped.save_pretrained
        write(folder, safe_serialization=True, save_embedding_layers=False)  # type: ignore[operator]
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card says nothing

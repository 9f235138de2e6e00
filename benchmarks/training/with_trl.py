"""One person's adapter trained by TRL's DPOTrainer, from the same matrices, pairs, order and learning rates.

Knows nothing of times. TRL is given token ids, so it need not tokenise.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from torch.utils.data import DataLoader, Sampler
from trl import DPOConfig, DPOTrainer

from benchmarks.training.lessons import Learner
from personalization.models.base import BaseModel
from personalization.training.lora import Adapter, first_trained
from personalization.training.run import schedule
from personalization.training.settings import TrainingSettings


class Batches(Sampler[list[int]]):
    """Yields an epoch's batches in the given order, then the next epoch's."""

    def __init__(self, batches: list[list[int]], epochs: int) -> None:
        self._size = len(batches) // epochs
        self._batches, self._epoch = batches, 0

    def __iter__(self) -> Iterator[list[int]]:
        begin = self._epoch * self._size
        self._epoch += 1
        return iter(self._batches[begin : begin + self._size])

    def __len__(self) -> int:
        return self._size


class Trainer(DPOTrainer):
    """DPOTrainer on token ids in a given order; `losses` has each step's."""

    def __init__(self, order: Batches, **given: Any) -> None:
        self._order = order
        self.losses: list[float] = []
        super().__init__(**given)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def get_train_dataloader(self) -> Any:
        """Load the pairs in our order."""
        pairs: Any = self.train_dataset
        loader = DataLoader(pairs, batch_sampler=self._order, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)

    def compute_loss(self, *given: Any, **named: Any) -> Any:
        """Compute TRL's loss and note it."""
        loss = super().compute_loss(*given, **named)
        self.losses.append(loss.item())
        return loss


def trained(
    base: BaseModel, learner: Learner, settings: TrainingSettings, *, beta: float, plain: bool
) -> list[float]:
    """Train and return each step's loss.

    `plain`: as TRL comes, the reference model at every step and gradient checkpointing. Otherwise reference
    log-probabilities are computed once, and activations are kept.
    """
    completions = learner.encoded.completions
    rows = {
        "prompt_ids": [list(ids) for ids in completions.prompts[::2]],
        "chosen_ids": [list(ids) for ids in completions.answers[::2]],
        "rejected_ids": [list(ids) for ids in completions.answers[1::2]],
    }
    adapter = Adapter(base, settings, seed=learner.seed)
    lora = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules=sorted({name.rsplit(".", 1)[-1] for name in adapter.targets}),
        layers_to_transform=list(range(first_trained(base, settings), len(base.layers))),
        task_type="CAUSAL_LM",
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            Batches(learner.batches, settings.epochs),
            model=copy.deepcopy(base.model),  # TRL changes its forward pass; a thousandth of the time
            args=_arguments(folder, settings, beta=beta, plain=plain),
            train_dataset=Dataset.from_dict(rows),
            processing_class=base.tokenizer,
            peft_config=lora,
        )
        parameters = _begin_alike(trainer, adapter)
        optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0)
        steps = len(learner.batches)
        rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda at: schedule(at, steps, settings))
        trainer.optimizer, trainer.lr_scheduler = optimizer, rates
        trainer.train()
    return trainer.losses


def _arguments(folder: str, settings: TrainingSettings, *, beta: float, plain: bool) -> DPOConfig:
    return DPOConfig(
        output_dir=folder,
        per_device_train_batch_size=settings.pairs_per_batch,
        num_train_epochs=settings.epochs,
        max_grad_norm=settings.clip_norm,
        beta=beta,
        max_length=None,
        precompute_ref_log_probs=not plain,
        gradient_checkpointing=plain,
        bf16=False,
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def _begin_alike(trainer: Trainer, adapter: Adapter) -> list[torch.nn.Parameter]:
    """Give PEFT's matrices the values that ours begin with, and return them."""
    found, model = [], trainer.model
    assert model is not None
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            ours = name.removeprefix("base_model.model.").replace(".default.weight", "")
            with torch.no_grad():
                parameter.copy_(adapter.parameters[ours])
            found.append(parameter)
    if len(found) != len(adapter.parameters):
        raise RuntimeError(f"PEFT trains {len(found)} matrices, alignapp {len(adapter.parameters)}.")
    return found

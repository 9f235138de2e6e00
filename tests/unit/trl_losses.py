"""TRL's own loss code, fed with given log-probabilities instead of a model's."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from trl import DPOTrainer, KTOTrainer, RLOOTrainer


class _Model(torch.nn.Module):
    """Answers each call with the next of these: log-probabilities for each token, 0 after an answer's end."""

    def __init__(self, *answers: Tensor) -> None:
        super().__init__()
        self._answers = list(answers)
        self.is_gradient_checkpointing = False

    def forward(self, **_: Any) -> SimpleNamespace:
        found = self._answers.pop(0)
        zeros = torch.zeros_like(found)
        return SimpleNamespace(log_probs=found, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool())


def _rows(sums: Tensor, tokens: Tensor) -> Tensor:
    inside = torch.arange(int(tokens.max())) < tokens[:, None]
    return inside * (sums / tokens)[:, None]


def _inputs(tokens: Tensor) -> dict[str, Tensor]:
    mask = torch.arange(int(tokens.max()) + 1)[None] - 1 < tokens[:, None]
    mask[:, 0] = False  # one token of a prompt
    ids = torch.ones_like(mask, dtype=torch.long)
    return {"input_ids": ids, "attention_mask": ids, "completion_mask": mask.long()}


def _trainer(kind: type, **fields: Any) -> Any:
    trainer = object.__new__(kind)
    accelerator = SimpleNamespace(
        device=torch.device("cpu"),
        gather_for_metrics=lambda x: x,
        gather=lambda x: x,
        unwrap_model=lambda m: m,
    )
    shared = {
        "accelerator": accelerator, "aux_loss_enabled": False,
        "_metrics": defaultdict(lambda: defaultdict(list)),
        "precompute_ref_logps": False, "_total_train_tokens": 0, "_tp_size": 1,
        "args": SimpleNamespace(gradient_checkpointing_kwargs=None),
    }  # fmt: skip
    for name, value in {**shared, **fields}.items():
        setattr(trainer, name, value)
    return trainer


def dpo_loss(loss_type: str, policy: Tensor, reference: Tensor, tokens: Tensor, **fields: Any) -> float:
    """Return DPOTrainer's loss; tensors are (2 x pairs,): chosen answers first."""
    model = _Model(_rows(policy, tokens)).eval()
    trainer = _trainer(
        DPOTrainer, model=model, ref_model=_Model(_rows(reference, tokens)), loss_types=[loss_type],
        loss_weights=[1.0], ld_alpha=None, f_divergence_type="reverse_kl", use_weighting=False, **fields,
    )  # fmt: skip
    return float(trainer._compute_loss(model, _inputs(tokens), return_outputs=False))


def kto_losses(policy: Tensor, reference: Tensor, strangers: Tensor, liked: Tensor, **fields: Any) -> float:
    """Return KTOTrainer's loss; `strangers` (2, answers): of mismatched answers, policy and reference."""
    tokens = torch.full((len(policy),), 4)
    model = _Model(_rows(strangers[0], tokens), _rows(policy, tokens)).eval()
    before = _Model(_rows(strangers[1], tokens), _rows(reference, tokens))
    trainer = _trainer(
        KTOTrainer, model=model, ref_model=before, calculate_KL=True, loss_type="kto", **fields
    )
    batch = {**_inputs(tokens), "label": liked}
    batch |= {f"KL_{name}": value for name, value in _inputs(tokens).items()}
    return float(trainer._compute_loss(model, batch, return_outputs=False))


def rloo_loss(sums: Tensor, advantages: Tensor) -> Tensor:
    """Return RLOOTrainer's loss of answers of one token that were just drawn; gradients reach `sums`."""
    logps = sums[:, None]
    trainer = _trainer(
        RLOOTrainer, model=SimpleNamespace(training=False), epsilon_low=0.2, epsilon_high=0.2,
        _get_per_token_logps_and_entropies=lambda *_, **__: (logps, torch.zeros_like(logps), None),
    )  # fmt: skip
    trainer.accelerator.reduce = lambda x, **_: x
    ones = torch.ones(len(sums), 1, dtype=torch.long)
    inputs = {f"{part}_{what}": ones for part in ("prompt", "completion") for what in ("ids", "mask")}
    found: Tensor = trainer._compute_loss(
        None, {**inputs, "old_logps": sums.detach(), "advantages": advantages}
    )
    return found

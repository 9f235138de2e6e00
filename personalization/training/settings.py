"""How an adapter is trained, whatever the loss: measured defaults for one person's few dozen pairs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """LoRA and optimiser settings; on SmolLM2-135M these gave 0.8 to 0.96 win rate on fresh answers."""

    rank: int = 8
    alpha: int = 16
    trained_share: float = 1.0  # of the layers, from the last one down
    learning_rate: float = 3e-4
    warmup_share: float = 0.1  # of all steps; the rate then falls linearly to a tenth
    epochs: int = 3
    pairs_per_batch: int = 4
    clip_norm: float = 1.0
    checkpoint_steps: int = 8
    # One pair of each conversation, or more where there are few conversations.
    pairs_aimed_at: int = 32
    most_pairs_per_conversation: int = 3

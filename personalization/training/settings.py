"""How an adapter is trained, whatever the loss: measured defaults for one person's few dozen pairs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """LoRA and optimiser settings, measured on SmolLM2-135M (`benchmarks.people`)."""

    rank: int = 8
    alpha: int = 16
    # Of the layers, from the last one down; what is below is read once (`Trunk`), which saves half the time.
    # For a brief taste and 32 pairs all layers won 0.52 (at 3e-4) and 0.50 (1e-3), the upper half 0.79.
    trained_share: float = 0.5
    learning_rate: float = 1e-3
    warmup_share: float = 0.1  # of all steps; the rate then falls linearly to a tenth
    epochs: int = 2
    pairs_per_batch: int = 4
    clip_norm: float = 1.0
    checkpoint_steps: int = 8
    # One pair of each conversation, or more where there are few conversations.
    pairs_aimed_at: int = 32
    most_pairs_per_conversation: int = 3
    # Nats of loss for each nat a token by which the base model's own plain text changes (`Replay`); 0: none.
    replay: float = 10.0
    # Nats of loss for each nat a token between the policy and the steered model (`Teacher`).
    teaching: float = 3.0
    # Of each kind of feedback so much is kept, by `selection`; all: not measured to help. What is off is not
    # named (`repr`), so that what was measured before it came stays comparable.
    kept_share: float = field(default=1.0, repr=False)
    kept_by: str = field(default="similarity", repr=False)  # or "likelihood"

"""How many multiply-adds each way needs for a token that is trained on: what no implementation can undercut.

Linear layers and the head only: attention among a few hundred tokens and rank-8 matrices add little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from benchmarks.training.lessons import Learner
from personalization.models.base import BaseModel
from personalization.training.lora import first_trained
from personalization.training.run import PROBED
from personalization.training.settings import TrainingSettings


def multiply_adds(base: BaseModel, learner: Learner, settings: TrainingSettings) -> dict[str, float]:
    """Return each way's multiply-adds for one trained token of this person, in millions.

    Of ours, `compared` is what it costs to compare gradients after each epoch, which TRL does not do.
    """
    first = first_trained(base, settings)
    lower, upper = _weights(base.layers[:first]), _weights(base.layers[first:])
    head = base.model.get_output_embeddings().weight.numel()
    each_epoch = learner.batches[: len(learner.batches) // settings.epochs]
    row, answers = _row(learner, range(learner.encoded.size))
    padded = sum(_padded(learner, batch) for batch in each_epoch)
    probed, probed_answers = _row(learner, range(min(PROBED, learner.encoded.size)))
    # A frozen linear layer costs as much backwards as forwards: there is no gradient of its weights.
    compared = settings.epochs * 3 * (probed * upper + probed_answers * head)
    ours = settings.epochs * 2 * (row * upper + answers * head) + compared
    ours += row * (lower + upper) + answers * head  # what is read once, and the reference
    trl = settings.epochs * (padded * (lower + 2 * upper) + 2 * answers * head)
    read = padded * (lower + upper) + answers * head
    # As it comes, TRL reads the reference at every step, every layer again for its gradient, and gradients go
    # down to the first layer.
    plain = trl + settings.epochs * (read + padded * (2 * lower + upper))
    tokens = learner.tokens * 1e6
    found = {"ours": ours, "compared": compared, "trl": trl + read, "trl_plain": plain}
    return {name: count / tokens for name, count in found.items()}


def _weights(layers: Iterable[nn.Module]) -> int:
    linears = (m for layer in layers for m in layer.modules() if isinstance(m, nn.Linear))
    return sum(linear.weight.numel() for linear in linears)


def _row(learner: Learner, pairs: Sequence[int]) -> tuple[int, int]:
    """Return the tokens of these pairs' row, each prompt once, and those of their answers."""
    texts = learner.encoded.texts(list(pairs))
    answers = learner.encoded.completions.answers
    return sum(len(text.given) for text in texts), sum(len(answers[2 * i + k]) for i in pairs for k in (0, 1))


def _padded(learner: Learner, batch: Sequence[int]) -> int:
    """Return the tokens of a batch that is padded to its longest text, prompt and answer."""
    lengths = learner.encoded.completions.lengths()
    return 2 * len(batch) * max(lengths[2 * i + k] for i in batch for k in (0, 1))

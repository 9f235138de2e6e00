"""One person's training run: whose turn which examples are, the reference, what a step says, where it stands.

Knows nothing of who else is trained in the same passes. A run is a function of base model, examples, teacher,
settings and seed; one that was interrupted goes on from its checkpoint, bit for bit.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from personalization.models.base import BaseModel
from personalization.models.logprobs import AnswerLogps
from personalization.progress import Progress, Report
from personalization.registry import Method
from personalization.training import checkpoint
from personalization.training.encoded import Encoded
from personalization.training.entanglement import entanglement
from personalization.training.examples import PAIRED
from personalization.training.lora import Adapter
from personalization.training.online import Online
from personalization.training.packed import Text
from personalization.training.parts import WAYS
from personalization.training.replay import Replay
from personalization.training.settings import TrainingSettings

# A chosen answer that lost this many nats on average sinks (see `entanglement`). Where one epoch ends so, the
# next ones also ask that chosen answers lose nothing, this much for each nat a token, as DPOP does
# (Pal et al. 2024, arXiv:2402.13228, equation 3, there inside of the sigmoid).
SINKING_NATS, ANCHOR = -5.0, 5.0
PROBED = 2  # examples whose gradients are compared after each epoch


class Run:
    """The state of one run between two steps. `adapter` is what it trains."""

    def __init__(
        self,
        base: BaseModel,
        train: Encoded,
        held_out: Encoded,
        replay: Replay | None,
        method: Method,
        parameters: Mapping[str, float],
        settings: TrainingSettings,
        *,
        seed: int,
        checkpoints: Path,
        report: Report,
        online: Online | None = None,
    ) -> None:
        self._base, self.train, self._held_out, self.replay = base, train, held_out, replay
        self.examples = train.size
        self._method, self._parameters = method, dict(parameters)
        self._settings, self._checkpoints, self.report = settings, checkpoints, report
        self._online = online
        self.adapter = Adapter(base, settings, seed=seed)
        self._parts = WAYS[method.trained](
            self.adapter,
            rank=settings.rank,
            epochs=settings.epochs,
            parameters=method.resolve(parameters),
        )
        self._batches = train.batches(settings, seed)
        learned = (train.completions, train.wanted, train.weights, train.taught_by)
        given = (base.revision, learned, method.name, sorted(parameters.items()), settings, seed)
        self._name = hashlib.sha256(repr(given).encode()).hexdigest()
        self.steps = len(self._batches)
        self._epoch_steps = math.ceil(self.steps / settings.epochs)
        self.entangled: list[dict[str, float | bool]] = []
        self.anchored_at: int | None = None
        self._memory: dict[str, float] = {}  # what the loss keeps from step to step
        self._remembered = self._memory  # the same with the step under way
        self.failed: Exception | None = None
        self._optimizer = torch.optim.AdamW(
            self.adapter.parameters.values(), lr=settings.learning_rate, weight_decay=0.0
        )
        self.done = self._begun = 0  # steps, in all and before this process
        self._clock = time.monotonic()
        self._recent: list[dict[str, float]] = []  # what the steps of the last epoch said
        self._said: dict[str, float] = {}  # what the step under way says

    def begin(self) -> None:
        """Go on from the checkpoint, if there is one of this run, and read the reference."""
        self.done, notes = checkpoint.restore(
            self._checkpoints, self.adapter.parameters, self._optimizer, run=self._name
        )
        self._begun = self.done
        self.report(Progress(self.done, self.steps))
        if self._online is None:
            self._reference = self._read(self.train, *self._parts.reference(self._epoch))
        self._held_reference = self._read(self._held_out) if self._held_out.size else None
        self._recent = notes.get("recent", [])
        self.entangled, self.anchored_at = notes.get("entangled", []), notes.get("anchored_at")
        self._memory = notes.get("memory", {})
        self._clock = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Say whether no step is left, or none will come of it."""
        return self.failed is not None or self.done >= self.steps

    @property
    def batch(self) -> list[int]:
        """The next step's examples."""
        return self._batches[self.done] if self._online is None else list(range(self.train.size))

    @property
    def _epoch(self) -> int:
        return self.done // self._epoch_steps

    def prepare(self) -> None:
        """Let an online method's policy write what the next step learns from. Raises what `report` raises."""
        if self._online is not None:
            self.report(Progress(self.done, self.steps))
            some = self._batches[self.done]
            self.train = self._online.answered(self._base, some, self.adapter, step=self.done)
            self._reference = self._read(self.train)

    def acts(self, texts: Sequence[Text]) -> list[tuple[Adapter, int]]:
        """Return what acts on the texts of the next step's batch, and on how many tokens each, in order."""
        if self._parts.together:
            return self.acts_on_any(texts)
        wanted = [self.train.wanted[entry] for entry in self.train.entries(self.batch)]
        return list(zip(self._parts.on(wanted), [len(text.given) for text in texts], strict=True))

    def acts_on_any(self, texts: Sequence[Text]) -> list[tuple[Adapter, int]]:
        """Return the same for texts that are nobody's answers."""
        return [(self._parts.served, sum(len(text.given) for text in texts))]

    def save(self, folder: Path) -> None:
        """Write what is served, in PEFT's format."""
        self._parts.end()
        self.adapter.save(folder)

    def loss(self, policy: AnswerLogps, apart: Tensor, drift: Tensor) -> Tensor:
        """Return the next step's loss from what the policy, with this adapter, says of its batch."""
        before = replace(policy, sums=self._reference[self.train.entries(self.batch)])
        loss = self._of_method(policy, before)
        change, liked = policy.sums - before.sums, policy.wanted > 0
        if self.anchored_at is not None and liked.any():
            loss = loss + ANCHOR * ((-change[liked]).clamp(min=0) / policy.tokens[liked]).mean()
        self._said = {
            "loss": loss.item(),
            "accuracy": right_way(policy, change),
            "chosen_change": _mean(change[liked]),
            "rejected_change": _mean(change[policy.wanted < 0]),
            "drift": drift.item(),
            "from_teacher": apart.item(),
        }
        return loss + self._settings.replay * drift + self._settings.teaching * apart

    def _of_method(self, policy: AnswerLogps, before: AnswerLogps) -> Tensor:
        self._remembered = dict(self._memory)
        memory = (self._remembered,) if self._method.remembers else ()
        given = (policy.pairs(), before.pairs()) if self._method.data in PAIRED else (policy, before)
        loss: Tensor = self._method.function(*given, *memory, **self._parameters).mean()
        return loss

    def step(self) -> None:
        """Change the adapter by the gradient that is there, and report. Raises what `report` raises."""
        self._parts.keep_still(self._epoch)
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * schedule(self.done, self.steps, self._settings)
        torch.nn.utils.clip_grad_norm_(self.adapter.parameters.values(), self._settings.clip_norm)
        self._optimizer.step()
        self.drop_gradient()
        self._memory = self._remembered
        self._recent = [*self._recent[-(self._epoch_steps - 1) :], self._said]
        self.done += 1
        values = dict(self._said)
        if self.done % self._epoch_steps == 0:
            values |= self._end_of_epoch()
        # The last step is kept, too: whoever ended may wait while another's result is proven.
        if self.done % self._settings.checkpoint_steps == 0 or self.done == self.steps:
            self.keep()
        seconds = (time.monotonic() - self._clock) / (self.done - self._begun)
        self.report(Progress(self.done, self.steps, seconds * (self.steps - self.done), values))

    def drop_gradient(self) -> None:
        """Forget what the last pass gave."""
        self._optimizer.zero_grad(set_to_none=True)

    def keep(self) -> None:
        """Write where it stands: whoever goes on with this run, on another worker perhaps, loses no step."""
        notes = {
            "recent": self._recent,
            "entangled": self.entangled,
            "anchored_at": self.anchored_at,
            "memory": self._memory,
        }
        state = (self.adapter.parameters, self._optimizer, notes)
        checkpoint.save(self._checkpoints, self.done, *state, run=self._name)

    @property
    def metrics(self) -> dict[str, float]:
        """The last epoch's means."""
        recent = self._recent
        return {name: sum(r[name] for r in recent) / len(recent) for name in recent[0]} if recent else {}

    @property
    def settings(self) -> dict[str, float]:
        """The settings, JSON-ready."""
        return asdict(self._settings)

    def _end_of_epoch(self) -> dict[str, float]:
        """Compare the gradients, anchor the chosen answers if they sank, ask what is held out."""
        values = {}
        if some := self.train.probed(PROBED):
            probed = self.train.logps(self._base, some, self._parts.served)
            liked, disliked = probed.sums[probed.wanted > 0], probed.sums[probed.wanted < 0]
            weights = list(self.adapter.parameters.values())
            found = entanglement(liked.mean(), disliked.mean(), weights)
            self.entangled = [*self.entangled, found.as_dict()]
            values["gradient_cosine"] = found.cosine
        change = sum(one["chosen_change"] for one in self._recent) / len(self._recent)
        if self.anchored_at is None and change < SINKING_NATS:
            self.anchored_at = self.done
        if self._parts.end_epoch(self._epoch - 1):
            self._optimizer.state.clear()  # what it remembers is of the reference before
            self._reference = self._read(self.train, *self._parts.reference(self._epoch))
        if self._held_reference is not None:
            values["held_out_accuracy"] = self._accuracy(self._held_reference)
        return values

    @torch.no_grad()
    def _read(self, encoded: Encoded, *adapters: Adapter) -> Tensor:
        """Return the summed log-probability of each entry."""
        parts = [encoded.logps(self._base, some, *adapters) for some in encoded.in_order(self._settings)]
        return torch.cat([part.sums for part in parts])

    def _accuracy(self, reference: Tensor) -> float:
        change = self._read(self._held_out, self._parts.served) - reference
        return (change[0::2] > change[1::2]).float().mean().item()


def right_way(policy: AnswerLogps, change: Tensor) -> float:
    """Return how often of two answers to one message the better one gained more.

    Where no two were judged, how often one answer changed as was wanted.
    """
    known = policy.wanted != 0
    better = (policy.group[:, None] == policy.group) & (policy.wanted[:, None] > policy.wanted)
    better &= known[:, None] & known
    if better.any():
        return _mean((change[:, None] > change)[better].float())
    return _mean((change * policy.wanted > 0)[known].float())


def _mean(values: Tensor) -> float:
    """Return the mean, 0 of nothing."""
    return values.mean().item() if len(values) else 0.0


def schedule(step: int, steps: int, settings: TrainingSettings) -> float:
    """Return the learning rate's factor: linear warm-up, then linear decay to a tenth."""
    warmup = max(1, round(steps * settings.warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return 1.0 - 0.9 * (step - warmup) / max(1, steps - warmup)


def shared_loss(
    base: BaseModel, runs: Sequence[Run], hidden: Sequence[Tensor], plain: Sequence[Tensor]
) -> Tensor:
    """Return the sum of the losses of runs that were read together; a run without a finite one has failed.

    `hidden` holds each run's part of the decoder's output for its batch, `plain` for its replayed texts.
    """
    total = torch.zeros((), device=base.device)
    for run, own, texts in zip(runs, hidden, plain, strict=True):
        policy, apart = run.train.scores(base, run.batch, own)
        drift = run.replay.divergence(base, run.done, texts) if run.replay else torch.zeros_like(total)
        loss = run.loss(policy, apart, drift)
        if torch.isfinite(loss):
            total = total + loss
        else:
            run.failed = ArithmeticError("the loss is not a number: the learning rate may be too high")
    return total

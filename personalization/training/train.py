"""Train one person's LoRA adapter from preference pairs with any registered pair loss.

Knows nothing of jobs, databases or how the result is proven. Reference log-probabilities are computed
once, before the first step; a run is a function of base model, pairs, settings and seed.
"""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from personalization.errors import Cancelled, NotEnoughData
from personalization.models.base import BaseModel
from personalization.models.interventions import SteeringVectors
from personalization.models.logprobs import Completions, PairLogps, batch_logps, decoded
from personalization.progress import Progress, Report, ignore
from personalization.records import Message, Pair
from personalization.registry import Method
from personalization.training import checkpoint
from personalization.training.entanglement import entanglement
from personalization.training.lora import Adapter, first_trained, trainable_adapter
from personalization.training.replay import Replay
from personalization.training.select import topic_pairs, topical_margins, widest_pairs
from personalization.training.settings import TrainingSettings
from personalization.training.teacher import Teacher
from personalization.training.trunk import Trunk

# A chosen answer that lost this many nats on average sinks (see `entanglement`). Where one epoch ends so, the
# next ones also ask that chosen answers lose nothing, this much for each nat a token, as DPOP does
# (Pal et al. 2024, arXiv:2402.13228, equation 3, there inside of the sigmoid).
SINKING_NATS, ANCHOR = -5.0, 5.0
PROBED = 2  # pairs whose gradients are compared after each epoch


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a run did: pairs used, steps, the last epoch's means, and the settings.

    `entanglement` has one entry for each epoch (`Entanglement.as_dict`); `anchored_at` is the step from
    which chosen answers were kept from sinking, None where none sank; `taught`: a vector was the teacher.
    """

    pairs: int
    steps: int
    metrics: dict[str, float]
    chosen_sinks: bool
    entanglement: list[dict[str, float | bool]] = field(default_factory=list)
    anchored_at: int | None = None
    taught: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, JSON-ready."""
        return asdict(self)


def train_adapter(
    base: BaseModel,
    pairs: Sequence[Pair],
    method: Method,
    *,
    parameters: Mapping[str, float],
    system_message: str,
    out: Path,
    checkpoints: Path,
    held_out: Sequence[Pair] = (),
    teacher: SteeringVectors | None = None,
    seed: int = 0,
    settings: TrainingSettings = TrainingSettings(),  # noqa: B008 - immutable
    report: Report = ignore,
) -> TrainingResult:
    """Train and write the adapter to `out` in PEFT's format; the base model is left as it was.

    `teacher` holds the vectors that the same feedback implies; the adapter learns to write as they do, too.
    `held_out` is measured once per epoch for the person to see; nothing is chosen by it. A run that was
    interrupted goes on from `checkpoints`, bit for bit; one of other data or settings begins anew.
    `report` may raise Cancelled, and then nothing is written. Raises NotEnoughData without pairs.
    """
    used = widest_pairs(
        pairs,
        aim=settings.pairs_aimed_at,
        most_per_conversation=settings.most_pairs_per_conversation,
        margins=topical_margins(pairs),
    )
    if not used:
        raise NotEnoughData("There is no pair to learn from.", missing=1)
    first = first_trained(base, settings)
    train = EncodedPairs(
        base, [*used, *topic_pairs(used)], system_message, first_trained=first, teacher=teacher
    )
    shown = EncodedPairs(base, held_out, system_message, first_trained=first)
    replay = Replay.of(base, seed=seed, first_trained=first) if settings.replay else None
    with trainable_adapter(base, settings, seed=seed) as adapter:
        run = _Run(base, adapter, train, shown, replay, method, dict(parameters), settings, seed, report)
        metrics = run.to_the_end(checkpoints)
        out.mkdir(parents=True, exist_ok=True)
        adapter.save(out)
    sinks = metrics.get("chosen_change", 0.0) < SINKING_NATS
    return TrainingResult(
        len(used), run.steps, metrics, sinks, run.entangled, run.anchored_at, bool(teacher), asdict(settings)
    )


class EncodedPairs:
    """Pairs as token ids: entry 2i is pair i's chosen answer, entry 2i + 1 its rejected one.

    What the layers below `first_trained` make of them is computed once.
    """

    def __init__(
        self,
        base: BaseModel,
        pairs: Sequence[Pair],
        system_message: str,
        *,
        first_trained: int = 0,
        teacher: SteeringVectors | None = None,
    ) -> None:
        head = (Message("system", system_message),) if system_message else ()
        answers = [(head + p.prompt, text) for p in pairs for text in (p.chosen, p.rejected)]
        self.completions = Completions.encode(base, answers)
        self.size = len(pairs)
        texts = [(*p, *a) for p, a in zip(self.completions.prompts, self.completions.answers, strict=True)]
        self._trunk = Trunk.of(base, texts, first_trained)
        self.taught_by = _fingerprint(teacher)
        self._teacher = Teacher.of(base, self.completions, teacher) if teacher else None

    def logps(self, base: BaseModel, indices: Sequence[int]) -> PairLogps:
        """Return log-probabilities of these pairs under whatever acts on the model now."""
        return self.scores(base, indices, taught=False)[0]

    def scores(
        self, base: BaseModel, indices: Sequence[int], *, taught: bool = True
    ) -> tuple[PairLogps, Tensor]:
        """Return also how far the answers are from the teacher's: KL(teacher || policy) in nats a token."""
        at = [entry for i in indices for entry in (2 * i, 2 * i + 1)]
        some = self.completions.take(at)
        hidden = self._trunk.hidden(base, at) if self._trunk else decoded(base, some)
        wanted = self._teacher.of_entries(at) if self._teacher and taught else None
        sums, apart = batch_logps(base, some, hidden, wanted)
        counts = torch.tensor([float(len(answer)) for answer in some.answers], device=base.device)
        return PairLogps(sums[0::2], sums[1::2], counts[0::2], counts[1::2]), apart

    def length(self, index: int) -> int:
        """Return the longer of a pair's two sequences, in tokens."""
        lengths = self.completions.lengths()
        return max(lengths[2 * index], lengths[2 * index + 1])


class _Run:
    """One training run: the order of batches, the reference, the steps."""

    def __init__(
        self,
        base: BaseModel,
        adapter: Adapter,
        train: EncodedPairs,
        held_out: EncodedPairs,
        replay: Replay | None,
        method: Method,
        parameters: Mapping[str, float],
        settings: TrainingSettings,
        seed: int,
        report: Report,
    ) -> None:
        self._base, self._adapter, self._train, self._held_out = base, adapter, train, held_out
        self._replay = replay
        self._loss: Callable[..., Tensor] = method.function
        self._parameters, self._settings, self._report = parameters, settings, report
        self._batches = _batches(train, settings, seed)
        learned = (train.completions, train.taught_by)
        given = (base.revision, learned, method.name, sorted(parameters.items()), settings, seed)
        self._name = hashlib.sha256(repr(given).encode()).hexdigest()
        self.steps = len(self._batches)
        self.entangled: list[dict[str, float | bool]] = []
        self.anchored_at: int | None = None
        self._optimizer = torch.optim.AdamW(
            adapter.parameters.values(), lr=settings.learning_rate, weight_decay=0.0
        )

    def to_the_end(self, checkpoints: Path) -> dict[str, float]:
        """Take every step that is left and return the last epoch's means."""
        begun, notes = checkpoint.restore(
            checkpoints, self._adapter.parameters, self._optimizer, run=self._name
        )
        self._report(Progress(begun, self.steps))
        reference = self._reference(self._train)
        held_reference = self._reference(self._held_out) if self._held_out.size else None
        recent: list[dict[str, float]] = notes.get("recent", [])
        self.entangled, self.anchored_at = notes.get("entangled", []), notes.get("anchored_at")
        clock, per_epoch = time.monotonic(), math.ceil(self.steps / self._settings.epochs)
        for step in range(begun, self.steps):
            recent = [*recent[-(per_epoch - 1) :], self._step(step, reference)]
            done, values = step + 1, dict(recent[-1])
            if done % per_epoch == 0:
                values |= self._end_of_epoch(done, recent)
                if held_reference is not None:
                    values["held_out_accuracy"] = self._accuracy(self._held_out, held_reference)
            keep = partial(self._keep, checkpoints, done, recent)
            if done % self._settings.checkpoint_steps == 0:
                keep()
            seconds = (time.monotonic() - clock) / (done - begun)
            try:
                self._report(Progress(done, self.steps, seconds * (self.steps - done), values))
            except Cancelled:
                raise
            except BaseException:
                keep()  # whoever goes on with this run, on another worker perhaps, loses no step
                raise
        return {name: sum(r[name] for r in recent) / len(recent) for name in recent[0]} if recent else {}

    def _keep(self, checkpoints: Path, done: int, recent: list[dict[str, float]]) -> None:
        notes = {"recent": recent, "entangled": self.entangled, "anchored_at": self.anchored_at}
        state = (self._adapter.parameters, self._optimizer, notes)
        checkpoint.save(checkpoints, done, *state, run=self._name)

    def _end_of_epoch(self, done: int, recent: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Compare the gradients, and anchor the chosen answers from here on if they sank."""
        probed = self._train.logps(self._base, range(min(PROBED, self._train.size)))
        found = entanglement(
            probed.chosen.mean(), probed.rejected.mean(), list(self._adapter.parameters.values())
        )
        self.entangled = [*self.entangled, found.as_dict()]
        change = sum(one["chosen_change"] for one in recent) / len(recent)
        if self.anchored_at is None and change < SINKING_NATS:
            self.anchored_at = done
        return {"gradient_cosine": found.cosine}

    def _step(self, step: int, reference: PairLogps) -> dict[str, float]:
        batch = self._batches[step]
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * _schedule(step, self.steps, self._settings)
        policy, apart = self._train.scores(self._base, batch)
        before = _take(reference, batch)
        loss = self._loss(policy, before, **self._parameters).mean()
        if self.anchored_at is not None:
            lost = (before.chosen - policy.chosen).clamp(min=0) / policy.chosen_tokens
            loss = loss + ANCHOR * lost.mean()
        drift = self._replay.divergence(self._base, step) if self._replay else torch.zeros(())
        (loss + self._settings.replay * drift + self._settings.teaching * apart).backward()
        torch.nn.utils.clip_grad_norm_(self._adapter.parameters.values(), self._settings.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        chosen, rejected = policy.chosen - before.chosen, policy.rejected - before.rejected
        return {
            "loss": loss.item(),
            "accuracy": (chosen > rejected).float().mean().item(),
            "chosen_change": chosen.mean().item(),
            "rejected_change": rejected.mean().item(),
            "drift": drift.item(),
            "from_teacher": apart.item(),
        }

    @torch.no_grad()
    def _reference(self, pairs: EncodedPairs) -> PairLogps:
        with self._adapter.disabled():
            return _joined([pairs.logps(self._base, b) for b in _by_length(pairs, self._settings)])

    @torch.no_grad()
    def _accuracy(self, pairs: EncodedPairs, reference: PairLogps) -> float:
        policy = _joined([pairs.logps(self._base, b) for b in _by_length(pairs, self._settings)])
        margin = (policy.chosen - reference.chosen) - (policy.rejected - reference.rejected)
        return (margin > 0).float().mean().item()


def _fingerprint(teacher: SteeringVectors | None) -> str:
    sites = sorted(teacher.sites.items(), key=lambda entry: entry[0]) if teacher else []
    return hashlib.sha256(repr([(site, vector.tolist()) for site, vector in sites]).encode()).hexdigest()


def _by_length(pairs: EncodedPairs, settings: TrainingSettings) -> list[list[int]]:
    """Return the pairs in their own order, in batches."""
    size = 2 * settings.pairs_per_batch
    return [list(range(i, min(i + size, pairs.size))) for i in range(0, pairs.size, size)]


def _batches(pairs: EncodedPairs, settings: TrainingSettings, seed: int) -> list[list[int]]:
    """Return each step's pairs: every epoch shuffled anew, pairs of like length together to save padding."""
    rng, size, batches = random.Random(seed), settings.pairs_per_batch, []  # noqa: S311 - an order
    lengths = [pairs.length(i) for i in range(pairs.size)]
    for _ in range(settings.epochs):
        order = list(range(pairs.size))
        rng.shuffle(order)
        order.sort(key=lambda i: lengths[i] // 32)  # stable: the shuffle decides within a length
        epoch = [order[i : i + size] for i in range(0, len(order), size)]
        rng.shuffle(epoch)
        batches += epoch
    return batches


def _schedule(step: int, steps: int, settings: TrainingSettings) -> float:
    """Return the learning rate's factor: linear warm-up, then linear decay to a tenth."""
    warmup = max(1, round(steps * settings.warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return 1.0 - 0.9 * (step - warmup) / max(1, steps - warmup)


def _take(logps: PairLogps, indices: Sequence[int]) -> PairLogps:
    at = torch.tensor(list(indices), device=logps.chosen.device)
    return PairLogps(logps.chosen[at], logps.rejected[at], logps.chosen_tokens[at], logps.rejected_tokens[at])


def _joined(parts: Sequence[PairLogps]) -> PairLogps:
    return PairLogps(
        torch.cat([p.chosen for p in parts]),
        torch.cat([p.rejected for p in parts]),
        torch.cat([p.chosen_tokens for p in parts]),
        torch.cat([p.rejected_tokens for p in parts]),
    )

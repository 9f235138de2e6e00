"""Pairs of answers as training reads them: token ids, what lies below the adapters, the teacher's words."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import torch
from torch import Tensor

from personalization.models.base import BaseModel
from personalization.models.interventions import SteeringVectors
from personalization.models.logprobs import Completions, PairLogps, read_logps
from personalization.records import Message, Pair
from personalization.training.lora import Adapter, acting
from personalization.training.packed import Text, packable
from personalization.training.settings import TrainingSettings
from personalization.training.teacher import Teacher
from personalization.training.trunk import Trunk, decoded_above


class EncodedPairs:
    """Pairs as token ids: entry 2i is pair i's chosen answer, entry 2i + 1 its rejected one.

    What the layers below `first_trained` make of them is computed once, and a pair's prompt is read once
    for both answers, where the model allows it.
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
        texts = _texts(base, self.completions)
        self._each = len(texts) // max(self.size, 1)  # texts of a pair
        self._trunk = Trunk.of(base, texts, first_trained)
        self._texts = self._trunk.texts if self._trunk else texts
        self.taught_by = _fingerprint(teacher)
        self._teacher = Teacher.of(base, self.completions, teacher) if teacher else None

    @property
    def first(self) -> int:
        """The layer from which on these texts are read: 0 where nothing below is kept."""
        return self._trunk.first if self._trunk else 0

    def texts(self, indices: Sequence[int]) -> list[Text]:
        """Return what is read of these pairs, from `first` on."""
        return [self._texts[self._each * i + k] for i in indices for k in range(self._each)]

    def scores(
        self, base: BaseModel, indices: Sequence[int], hidden: Tensor, *, taught: bool = True
    ) -> tuple[PairLogps, Tensor]:
        """Return what the decoder's output for the texts of these pairs (tokens, hidden) says.

        And how far the answers are from the teacher's: KL(teacher || policy) in nats a token.
        """
        at = entries_of(indices)
        answers = [self.completions.answers[entry] for entry in at]
        wanted = self._teacher.of_entries(at) if self._teacher and taught else None
        sums, apart = read_logps(base, answers, hidden[self._places(indices, hidden.device)], wanted)
        counts = torch.tensor([float(len(answer)) for answer in answers], device=base.device)
        return PairLogps(sums[0::2], sums[1::2], counts[0::2], counts[1::2]), apart

    def _places(self, indices: Sequence[int], device: torch.device) -> Tensor:
        """Return where the head reads each answer's tokens from, in the row of these pairs' texts."""
        found: list[int] = []
        begin = 0
        for text in self.texts(indices):
            for branch in range(len(text.branches)):
                found += [begin + place for place in text.before(branch)]
            begin += len(text.given)
        return torch.tensor(found, device=device)

    def logps(self, base: BaseModel, indices: Sequence[int], *adapters: Adapter) -> PairLogps:
        """Return log-probabilities of these pairs under one adapter, or without any under the base model."""
        texts = self.texts(indices)
        with acting(adapters, [sum(len(text.given) for text in texts)]):
            hidden = decoded_above(base, texts, self.first)
        return self.scores(base, indices, hidden, taught=False)[0]

    def batches(self, settings: TrainingSettings, seed: int) -> list[list[int]]:
        """Return each step's pairs: every epoch shuffled anew, pairs of like length together."""
        rng, size, batches = random.Random(seed), settings.pairs_per_batch, []  # noqa: S311 - an order
        lengths = self.completions.lengths()
        longer = [max(lengths[2 * i], lengths[2 * i + 1]) for i in range(self.size)]
        for _ in range(settings.epochs):
            order = list(range(self.size))
            rng.shuffle(order)
            order.sort(key=lambda i: longer[i] // 32)  # stable: the shuffle decides within a length
            epoch = [order[i : i + size] for i in range(0, len(order), size)]
            rng.shuffle(epoch)
            batches += epoch
        return batches

    def in_order(self, settings: TrainingSettings) -> list[list[int]]:
        """Return all pairs in their own order, in batches."""
        size = 2 * settings.pairs_per_batch
        return [list(range(i, min(i + size, self.size))) for i in range(0, self.size, size)]


def _texts(base: BaseModel, completions: Completions) -> list[Text]:
    """Return one text for each pair, with its answers as branches; one for each answer where it must be."""
    prompts, answers = completions.prompts, completions.answers
    together = 2 if packable(base) and prompts[0::2] == prompts[1::2] else 1
    found = []
    for at in range(0, len(answers), together):
        own = answers[at : at + together]
        ids = torch.tensor([*prompts[at], *(t for answer in own for t in answer)], device=base.device)
        found.append(Text(ids, len(prompts[at]), tuple(map(len, own))))
    return found


def entries_of(indices: Sequence[int]) -> list[int]:
    """Return the entries of these pairs: chosen and rejected by turns."""
    return [entry for i in indices for entry in (2 * i, 2 * i + 1)]


def joined(parts: Sequence[PairLogps]) -> PairLogps:
    """Return all of these as one."""
    return PairLogps(
        torch.cat([p.chosen for p in parts]),
        torch.cat([p.rejected for p in parts]),
        torch.cat([p.chosen_tokens for p in parts]),
        torch.cat([p.rejected_tokens for p in parts]),
    )


def taken(logps: PairLogps, indices: Sequence[int]) -> PairLogps:
    """Return these pairs' numbers, in this order."""
    at = torch.tensor(list(indices), device=logps.chosen.device)
    return PairLogps(logps.chosen[at], logps.rejected[at], logps.chosen_tokens[at], logps.rejected_tokens[at])


def _fingerprint(teacher: SteeringVectors | None) -> str:
    sites = sorted(teacher.sites.items(), key=lambda entry: entry[0]) if teacher else []
    return hashlib.sha256(repr([(site, vector.tolist()) for site, vector in sites]).encode()).hexdigest()

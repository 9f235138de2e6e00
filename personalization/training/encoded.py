"""Examples as training reads them: token ids, what lies below the adapters, the teacher's words."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from personalization.models.base import BaseModel
from personalization.models.logprobs import AnswerLogps, Completions, read_logps
from personalization.models.personal import SteeringVectors
from personalization.training.examples import Example
from personalization.training.lora import Adapter, acting
from personalization.training.packed import Text, packable
from personalization.training.settings import TrainingSettings
from personalization.training.teacher import Teacher
from personalization.training.trunk import Trunk, decoded_above


class Encoded:
    """Examples as token ids; `completions` has an entry for each answer, example by example.

    What the layers below `first_trained` make of them is computed once, and a prompt is read once for all
    answers of an example that follow it, where the model allows it; not `together`, each answer is a text of
    its own. `completions` are the answers' tokens where they are known already.
    """

    def __init__(
        self,
        base: BaseModel,
        examples: Sequence[Example],
        *,
        first_trained: int = 0,
        teacher: SteeringVectors | None = None,
        completions: Completions | None = None,
        together: bool = True,
    ) -> None:
        answers = [entry for example in examples for entry in example.answers]
        self.completions = completions or Completions.encode(base, answers)
        self.size = len(examples)
        self.wanted = [want for example in examples for want in example.wanted]
        self.weights = [example.weight for example in examples for _ in example.answers]
        self._entries = _consecutive([len(example.answers) for example in examples])
        together = together and packable(base)
        texts = [_texts(base, self.completions.take(entries), together=together) for entries in self._entries]
        self._at = _consecutive([len(some) for some in texts])
        row = [text for some in texts for text in some]
        self._trunk = Trunk.of(base, row, first_trained)
        self._texts = self._trunk.texts if self._trunk else row
        self.taught_by = _fingerprint(teacher)
        self._teacher = Teacher.of(base, self.completions, teacher) if teacher else None

    @property
    def first(self) -> int:
        """The layer from which on these texts are read: 0 where nothing below is kept."""
        return self._trunk.first if self._trunk else 0

    def texts(self, indices: Sequence[int]) -> list[Text]:
        """Return what is read of these examples, from `first` on."""
        return [self._texts[at] for i in indices for at in self._at[i]]

    def entries(self, indices: Sequence[int]) -> list[int]:
        """Return the entries of these examples' answers."""
        return [entry for i in indices for entry in self._entries[i]]

    def scores(
        self, base: BaseModel, indices: Sequence[int], hidden: Tensor, *, taught: bool = True
    ) -> tuple[AnswerLogps, Tensor]:
        """Return what the decoder's output for the texts of these examples (tokens, hidden) says.

        And how far the answers are from the teacher's: KL(teacher || policy) in nats a token.
        """
        at = self.entries(indices)
        answers = [self.completions.answers[entry] for entry in at]
        wanted = self._teacher.of_entries(at) if self._teacher and taught else None
        sums, apart = read_logps(base, answers, hidden[self._places(indices, hidden.device)], wanted)
        groups = [i for i, example in enumerate(indices) for _ in self._entries[example]]

        def numbers(values: Sequence[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=base.device)

        found = AnswerLogps(
            sums,
            numbers([len(answer) for answer in answers]),
            numbers([self.wanted[entry] for entry in at]),
            torch.tensor(groups, device=base.device),
            numbers([self.weights[entry] for entry in at]),
        )
        return found, apart

    def _places(self, indices: Sequence[int], device: torch.device) -> Tensor:
        """Return where the head reads each answer's tokens from, in the row of these examples' texts."""
        found: list[int] = []
        begin = 0
        for text in self.texts(indices):
            for branch in range(len(text.branches)):
                found += [begin + place for place in text.before(branch)]
            begin += len(text.given)
        return torch.tensor(found, device=device)

    def logps(self, base: BaseModel, indices: Sequence[int], *adapters: Adapter) -> AnswerLogps:
        """Return log-probabilities of these examples under an adapter, or without any under base."""
        texts = self.texts(indices)
        with acting(adapters, [sum(len(text.given) for text in texts)]):
            hidden = decoded_above(base, texts, self.first)
        return self.scores(base, indices, hidden, taught=False)[0]

    def batches(self, settings: TrainingSettings, seed: int) -> list[list[int]]:
        """Return each step's examples: every epoch shuffled anew, examples of like length together."""
        rng, size, batches = random.Random(seed), self._batch_size(settings), []  # noqa: S311 - an order
        lengths = self.completions.lengths()
        longest = [max(lengths[entry] for entry in entries) for entries in self._entries]
        for _ in range(settings.epochs):
            order = list(range(self.size))
            rng.shuffle(order)
            order.sort(key=lambda i: longest[i] // 32)  # stable: the shuffle decides within a length
            epoch = [order[i : i + size] for i in range(0, len(order), size)]
            rng.shuffle(epoch)
            batches += epoch
        return batches

    def in_order(self, settings: TrainingSettings) -> list[list[int]]:
        """Return all examples in their own order, in batches."""
        size = 2 * self._batch_size(settings)
        return [list(range(i, min(i + size, self.size))) for i in range(0, self.size, size)]

    def _batch_size(self, settings: TrainingSettings) -> int:
        """Return how many examples a step reads: no more answers than a step of pairs does."""
        most = max((len(entries) for entries in self._entries), default=1)
        return min(settings.pairs_per_batch, max(1, 2 * settings.pairs_per_batch // most))

    def probed(self, count: int) -> list[int]:
        """Return a few examples that hold what is wanted and what is not; none without both."""
        signs = [{self.wanted[e] > 0 for e in entries if self.wanted[e]} for entries in self._entries]
        if both := [i for i, found in enumerate(signs) if len(found) == 2]:
            return both[:count]
        liked, disliked = ([i for i, found in enumerate(signs) if found == {sign}] for sign in (True, False))
        return [liked[0], disliked[0]] if liked and disliked else []


def _consecutive(sizes: Sequence[int]) -> list[range]:
    found, begin = [], 0
    for size in sizes:
        found.append(range(begin, begin + size))
        begin += size
    return found


def _texts(base: BaseModel, completions: Completions, *, together: bool) -> list[Text]:
    """Return an example's texts: answers to one prompt as branches; one for each where it must be."""
    prompts, found = completions.prompts, []
    for _, group in groupby(range(len(prompts)), key=lambda i: prompts[i] if together else i):
        own = list(group)
        answers = [completions.answers[i] for i in own]
        ids = torch.tensor([*prompts[own[0]], *(t for answer in answers for t in answer)], device=base.device)
        found.append(Text(ids, len(prompts[own[0]]), tuple(map(len, answers))))
    return found


def _fingerprint(teacher: SteeringVectors | None) -> str:
    sites = sorted(teacher.sites.items(), key=lambda entry: entry[0]) if teacher else []
    return hashlib.sha256(repr([(site, vector.tolist()) for site, vector in sites]).encode()).hexdigest()

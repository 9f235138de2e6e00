"""Log-probabilities of answers under a base model, with whatever acts on it at the moment.

Knows nothing of losses or of who prefers what. Gradients flow when torch records them. Sequences are
padded on the right: a causal model never looks there, so no mask is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from personalization.errors import ModelError
from personalization.models.base import BaseModel
from personalization.models.head import Said, divergence, word_logps
from personalization.models.prompts import encode_chat, encode_completion
from personalization.records import Message


@dataclass(frozen=True, slots=True)
class PairLogps:
    """Summed log-probabilities of chosen and rejected answers and their token counts, each (batch,)."""

    chosen: Tensor
    rejected: Tensor
    chosen_tokens: Tensor
    rejected_tokens: Tensor


@dataclass(frozen=True, slots=True)
class AnswerLogps:
    """Summed log-probabilities of any answers, their token counts and what the person wants, each (answers,).

    `wanted` is above 0 for what shall become likelier (or by how much one is better than another), below 0
    for what shall not, and 0 for what nobody judged. `group` says which answers are weighed against each
    other, in order; `weight` what each counts.
    """

    sums: Tensor
    tokens: Tensor
    wanted: Tensor
    group: Tensor
    weight: Tensor

    def pairs(self) -> PairLogps:
        """Return the same where every group is a chosen answer and then its rejected one."""
        return PairLogps(self.sums[0::2], self.sums[1::2], self.tokens[0::2], self.tokens[1::2])

    def sum_of_groups(self, values: Tensor, where: Tensor) -> Tensor:
        """Return each group's sum of those of these values (answers,) that `where` names: (groups,)."""
        _, at = self.group.unique(return_inverse=True)
        return values.new_zeros(int(at.max()) + 1).index_add(0, at[where], values[where])

    def mean_of_groups(self, values: Tensor, where: Tensor) -> Tensor:
        """Return each group's mean of the same: (groups,). A group without any has 0."""
        counts = self.sum_of_groups(torch.ones_like(values), where)
        return self.sum_of_groups(values, where) / counts.clamp(min=1)


@dataclass(frozen=True, slots=True)
class Completions:
    """Answers to prompts as token ids: one entry of `prompts` and of `answers` for each."""

    prompts: tuple[tuple[int, ...], ...]
    answers: tuple[tuple[int, ...], ...]

    @classmethod
    def encode(cls, base: BaseModel, items: Iterable[tuple[Sequence[Message], str]]) -> Completions:
        """Encode (messages before the answer, answer) with the chat template and the end of turn.

        What is longer than the context loses the end of the answer. Raises ModelError when a prompt
        alone fills the context.
        """
        prompts, answers = [], []
        for messages, text in items:
            prompt = tuple(encode_chat(base, messages))
            room = base.context_length - len(prompt)
            if room < 1:
                raise ModelError(
                    f"A prompt of {len(prompt)} tokens leaves no room for an answer in {base.context_length}."
                )
            prompts.append(prompt)
            answers.append(tuple(encode_completion(base, text)[:room]))
        return cls(tuple(prompts), tuple(answers))

    def __len__(self) -> int:
        return len(self.answers)

    def take(self, indices: Iterable[int]) -> Completions:
        """Return these entries, in this order."""
        chosen = list(indices)
        return Completions(tuple(self.prompts[i] for i in chosen), tuple(self.answers[i] for i in chosen))

    def lengths(self) -> list[int]:
        """Return each entry's tokens, prompt and answer."""
        return [len(p) + len(a) for p, a in zip(self.prompts, self.answers, strict=True)]


@torch.inference_mode()
def mean_logps(base: BaseModel, answers: Sequence[tuple[Sequence[Message], str]]) -> list[float]:
    """Return the mean log-probability a token of each (messages before the answer, answer)."""
    sums, tokens = completion_logps(base, Completions.encode(base, answers))
    return (sums / tokens).tolist()


def completion_logps(
    base: BaseModel, items: Completions, *, batch_tokens: int = 4096
) -> tuple[Tensor, Tensor]:
    """Return each answer's summed log-probability and its token count, float tensors (n,) on the device.

    Batches hold at most `batch_tokens` padded tokens (always at least one entry) of similar length.
    The language-model head runs on answer positions only.
    """
    order: list[int] = []
    sums: list[Tensor] = []
    for indices in _batches(items.lengths(), batch_tokens):
        order += indices
        some = items.take(indices)
        sums.append(batch_logps(base, some, decoded(base, some))[0])
    counts = torch.tensor([float(len(answer)) for answer in items.answers], device=base.device)
    if not order:
        return counts.clone(), counts
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return torch.cat(sums)[back.to(base.device)], counts


def _batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Yield indices in batches, shortest first."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and lengths[i] * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def decoded(base: BaseModel, items: Completions) -> Tensor:
    """Return the decoder's output for all entries, padded on the right: (n, longest, hidden)."""
    ids = torch.zeros(len(items), max(items.lengths()), dtype=torch.long)
    for i, (prompt, answer) in enumerate(zip(items.prompts, items.answers, strict=True)):
        ids[i, : len(prompt) + len(answer)] = torch.tensor([*prompt, *answer])
    output: Tensor = base.decoder(input_ids=ids.to(base.device), use_cache=False).last_hidden_state
    return output


def batch_logps(
    base: BaseModel, items: Completions, hidden: Tensor, teacher: Said | None = None
) -> tuple[Tensor, Tensor]:
    """Return each answer's summed log-probability (n,), and how far the model is from a teacher.

    `hidden` is the output of `decoded` for all entries: (n, longest, hidden). `teacher` is what the head says
    of another decoder's output for the same answer tokens; the second result is KL(teacher || model) in nats,
    a mean over these tokens, and 0 without a teacher.
    """
    return read_logps(base, items.answers, answer_states(items, hidden)[1], teacher)


def read_logps(
    base: BaseModel, answers: Sequence[Sequence[int]], read: Tensor, teacher: Said | None = None
) -> tuple[Tensor, Tensor]:
    """Return the same as `batch_logps` from what the head reads each token of the answers from.

    `read` is (tokens, hidden), one answer after the other.
    """
    row = torch.tensor([i for i, answer in enumerate(answers) for _ in answer], device=base.device)
    target = torch.tensor([t for answer in answers for t in answer], device=base.device)
    sums = torch.zeros(len(answers), device=base.device)
    if not len(target):
        return sums, torch.zeros((), device=base.device)
    sums = sums.index_add(0, row, word_logps(base, read, target))
    apart = divergence(base, read, teacher).mean() if teacher else sums.new_zeros(())
    return sums, apart


def answer_states(items: Completions, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the head reads each answer's tokens from: entries (tokens,) and states (tokens, hidden).

    `hidden` is the decoder's output for all entries, padded on the right: (n, longest, hidden).
    """
    rows: list[int] = []
    places: list[int] = []
    for i, (prompt, answer) in enumerate(zip(items.prompts, items.answers, strict=True)):
        rows += [i] * len(answer)
        places += range(len(prompt) - 1, len(prompt) + len(answer) - 1)
    row = torch.tensor(rows, dtype=torch.long, device=hidden.device)
    return row, hidden[row, torch.tensor(places, dtype=torch.long, device=hidden.device)]

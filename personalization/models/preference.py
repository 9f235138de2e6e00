"""How often a model prefers the answer that the person preferred, on pairs that nothing learned from.

Two readings, because they answer different questions:

- *likelihood*: the chosen answer has the higher mean log-probability for each token. Any model has
  this reading, so the base model and the base model with a system message are compared by it. The
  mean, not the sum, because a sum prefers the shorter answer whatever it says.
- *implicit reward* (Rafailov et al. 2023, arXiv:2305.18290, section 5): the change that the artifact
  makes to the summed log-probability is larger for the chosen answer. This is what learning changed;
  a coin gives one half. It is the headline for an artifact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.models.logprobs import Completions, PairLogps, completion_logps
from personalization.records import Message, Pair


@dataclass(frozen=True, slots=True)
class Scored:
    """Log-probabilities of held-out pairs under one arm, and the conversation of each pair."""

    logps: PairLogps
    conversations: tuple[str, ...]

    def likelihood(self) -> list[float]:
        """Return for each pair 1, 0 or 0.5 (tie): is the chosen answer likelier, token by token?"""
        return outcomes(self.likelihood_margins())

    def likelihood_margins(self) -> Tensor:
        """Return for each pair how much likelier the chosen answer is, in nats for each token."""
        chosen = self.logps.chosen / self.logps.chosen_tokens
        return chosen - self.logps.rejected / self.logps.rejected_tokens

    def implicit_reward(self, base: Scored) -> list[float]:
        """Return for each pair 1, 0 or 0.5: did the chosen answer gain more over `base`?"""
        return outcomes(self.reward_margins(base))

    def reward_margins(self, base: Scored) -> Tensor:
        """Return for each pair how much more the chosen answer gained over `base`, in nats."""
        change = self.change(base)
        return change.chosen - change.rejected

    def longer(self, margins: Tensor) -> list[float]:
        """Return for each pair 1, 0 or 0.5: do these margins prefer the answer of more tokens?"""
        return outcomes(margins.sign() * (self.logps.chosen_tokens - self.logps.rejected_tokens))

    def change(self, base: Scored) -> PairLogps:
        """Return log-probabilities minus those of `base`, in nats for each answer."""
        return PairLogps(
            self.logps.chosen - base.logps.chosen,
            self.logps.rejected - base.logps.rejected,
            self.logps.chosen_tokens,
            self.logps.rejected_tokens,
        )


def outcomes(margins: Tensor) -> list[float]:
    """Return 1 for a positive margin, 0 for a negative one, 0.5 for a tie."""
    return ((margins > 0).float() + 0.5 * (margins == 0).float()).tolist()


@torch.no_grad()
def score(
    base: BaseModel,
    interventions: Interventions,
    pairs: Sequence[Pair],
    *,
    row: Row,
    system_message: str,
    before: Sequence[Message] = (),
) -> Scored:
    """Return the log-probabilities of both answers of every pair with `row` acting.

    `before` stands between the system message and each prompt. Four rated answers make six pairs; each
    answer is read once.
    """
    head = (*((Message("system", system_message),) if system_message else ()), *before)
    answers = dict.fromkeys((head + p.prompt, text) for p in pairs for text in (p.chosen, p.rejected))
    at = {answer: i for i, answer in enumerate(answers)}
    chosen = torch.tensor([at[head + pair.prompt, pair.chosen] for pair in pairs], device=base.device)
    rejected = torch.tensor([at[head + pair.prompt, pair.rejected] for pair in pairs], device=base.device)
    with interventions.everywhere(row):
        sums, counts = completion_logps(base, Completions.encode(base, answers))
    return Scored(
        PairLogps(sums[chosen], sums[rejected], counts[chosen], counts[rejected]),
        tuple(pair.conversation for pair in pairs),
    )

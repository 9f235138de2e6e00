"""Which of two answers a person would prefer, by what they compared before: the check of mined pairs.

Nothing that a model writes on its own is learned from unless the person's comparisons agree with it. Knows
nothing of where the answers come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from personalization.models.base import BaseModel
from personalization.models.logprobs import Completions
from personalization.records import Message, Pair
from personalization.steering.capture import mean_states
from personalization.steering.instant import layers_of
from personalization.steering.reward import Reward, learn_reward
from personalization.steering.taste import rated_prompts


@dataclass(frozen=True)
class Judge:
    """A person's reward, and the model whose states it reads."""

    base: BaseModel
    reward: Reward

    def __call__(self, prompt: Sequence[Message], answers: Sequence[str]) -> list[float]:
        """Return how much the person would like each answer: differences are log-odds of being preferred."""
        items = Completions.encode(self.base, [(prompt, text) for text in answers])
        states = mean_states(self.base, items)[:, list(layers_of(len(self.base.layers)))].numpy()
        return [float(value) for value in self.reward.scale * self.reward.of(states)]


def judge_of(base: BaseModel, pairs: Sequence[Pair]) -> Judge | None:
    """Return the judge that these comparisons make.

    None where they do not tell two answers apart better than chance in conversations that were held out among
    them: such a judge would wave anything through.
    """
    reward = learn_reward(rated_prompts(base, pairs)) if pairs else None
    return Judge(base, reward) if reward and reward.is_useful else None

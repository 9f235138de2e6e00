"""Is the text still text? A vector that is too strong makes a model repeat itself or leave the question.

Knows nothing of how a vector was learned. Judged on a few fixed prompts, against the base model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from personalization.models.base import BaseModel
from personalization.models.generate import answers_of_arms
from personalization.models.interventions import Interventions, Row
from personalization.models.relevance import relevance
from personalization.records import Message

PROMPTS = (
    "What is a good way to spend a rainy afternoon?",
    "Explain what a map is for.",
    "How do I boil an egg?",
    "Tell me about rivers.",
    "What should I think about before I move house?",
    "Why do people keep pets?",
)
TOKENS = 64
TEMPERATURE = 1.0  # as answers are sampled for people; a lower one hides what breaks
# The share of repeated three-word sequences may rise, and the mean relevance fall, by this much.
MORE_REPETITION = LESS_RELEVANCE = 0.10


def repetition(text: str) -> float:
    """Return the share of three-word sequences that occurred before in the text, 0 to 1."""
    words = text.lower().split()
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return 1.0 - len(set(triples)) / len(triples) if triples else 0.0


@dataclass(frozen=True, slots=True)
class Text:
    """Means over the fixed prompts: repetition, 0 to 1, and the cosine of answer and prompt, -1 to 1."""

    repetition: float
    relevance: float

    def is_sound(self, base: Text) -> bool:
        """Whether this is still text, beside the base model's."""
        return (
            self.repetition <= base.repetition + MORE_REPETITION
            and self.relevance >= base.relevance - LESS_RELEVANCE
        )


def texts_with(
    base: BaseModel, interventions: Interventions, rows: Sequence[Row], *, seed: int
) -> list[Text]:
    """Return what answers to the fixed prompts are like with each of the rows acting."""
    chats = [[Message("user", prompt)] for prompt in PROMPTS]
    arms = [(row, chats) for row in rows]
    found = answers_of_arms(
        base, interventions, arms, seed=seed, max_new_tokens=TOKENS, temperature=TEMPERATURE
    )
    return [
        Text(sum(map(repetition, answers)) / len(answers), sum(relevance(PROMPTS, answers)) / len(answers))
        for answers in found
    ]

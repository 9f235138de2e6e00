"""Is the text still text? A vector that is too strong makes a model repeat itself.

Knows nothing of how a vector was learned. Judged on a few fixed prompts, against the base model.
"""

from __future__ import annotations

from personalization.models.base import BaseModel
from personalization.models.generate import short_answers
from personalization.models.interventions import Interventions, Row
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
# The share of repeated three-word sequences may rise by this much over the base model's.
TOLERANCE = 0.10


def repetition(text: str) -> float:
    """Return the share of three-word sequences that occurred before in the text, 0 to 1."""
    words = text.lower().split()
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return 1.0 - len(set(triples)) / len(triples) if triples else 0.0


def repetition_rate(base: BaseModel, interventions: Interventions, row: Row, *, seed: int) -> float:
    """Return the mean repetition of answers to the fixed prompts with `row` acting."""
    chats = [[Message("user", prompt)] for prompt in PROMPTS]
    with interventions.everywhere(row):
        answers = short_answers(base, chats, seed=seed, max_new_tokens=TOKENS)
    return sum(map(repetition, answers)) / len(answers)

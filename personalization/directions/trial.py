"""What an intervention does to the answers: win rate by a measure, relevance, repetition, side effects.

Answers are compared with the base model's to the same prompt and seed. Knows nothing of how either
was made.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personalization.models.relevance import relevance
from personalization.statistics import Estimate, clustered_mean, win_rate
from personalization.steering.soundness import repetition
from personalization.values.measures import Measure, measures

FEWEST_WORDS = 3  # a shorter answer says nothing and loses, also where brief is asked for
LESS_RELEVANCE = 0.05  # the bar: the mean cosine of prompt and answer may fall by this much
CAUTION = 0.03  # while choosing, on fewer prompts, where some of a small loss is luck
MORE_REPETITION = 0.05
CUT = 5.0

Spreads = Mapping[str, float]  # each measure's standard deviation over the pool


@dataclass(frozen=True, slots=True)
class Texts:
    """Answers to prompts, one each, with their relevance."""

    prompts: Sequence[str]
    answers: Sequence[str]
    relevance: Sequence[float]

    @classmethod
    def of(cls, prompts: Sequence[str], answers: Sequence[str]) -> Texts:
        """Measure the relevance once."""
        return cls(prompts, answers, relevance(prompts, answers))


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of answers beside the base model's."""

    win_rate: Estimate
    effect: float  # mean change of the measure, in standard deviations of the pool
    relevance: Estimate  # mean change
    repetition: Estimate  # mean change
    effects: Mapping[str, float]  # the same of every measure
    words: float  # mean number of words

    @property
    def is_sound(self) -> bool:
        """Whether relevance and repetition are kept."""
        return self.relevance.value >= -LESS_RELEVANCE and self.repetition.value <= MORE_REPETITION

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What is chosen by: sound ones first, of them the win rate and the effect; else the relevance."""
        if not self.is_sound or self.relevance.value < -CAUTION:
            return False, self.relevance.value, self.effect
        return True, round(self.win_rate.value, 3), self.effect

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, JSON-ready."""
        return {
            "win_rate": self.win_rate.as_dict(),
            "effect": self.effect,
            "relevance": self.relevance.as_dict(),
            "repetition": self.repetition.as_dict(),
            "effects": dict(self.effects),
            "words": self.words,
            "sound": self.is_sound,
        }


def spreads_of(texts: Sequence[str]) -> dict[str, float]:
    """Return each measure's standard deviation over the model's own answers; 0 where they never differ."""
    return {key: statistics.pstdev([m(text) for text in texts]) for key, m in measures().items()}


def compare(measure: Measure, after: Texts, before: Texts, spreads: Spreads) -> Trial:
    """Judge answers by a measure. Both must answer the same prompts in the same order."""
    prompts = list(after.prompts)
    paired = list(zip(after.answers, before.answers, strict=True))
    effects = {
        key: sum(_change(each, new, old, spreads[key]) for new, old in paired) / len(paired)
        for key, each in measures().items()
    }
    return Trial(
        win_rate=win_rate([_won(measure, new, old) for new, old in paired]),
        effect=effects[measure.key],
        relevance=clustered_mean(
            [a - b for a, b in zip(after.relevance, before.relevance, strict=True)], prompts
        ),
        repetition=clustered_mean([repetition(new) - repetition(old) for new, old in paired], prompts),
        effects=effects,
        words=sum(len(text.split()) for text in after.answers) / len(after.answers),
    )


def _won(measure: Measure, new: str, old: str) -> float:
    if len(new.split()) < FEWEST_WORDS:
        return 0.0
    difference = measure(new) - measure(old)
    return 0.5 if abs(difference) < 1e-9 else float(difference > 0)


def _change(measure: Measure, new: str, old: str, spread: float) -> float:
    """Return the change in standard deviations, cut so that one broken answer is not the mean."""
    if spread == 0:
        return 0.0
    return max(-CUT, min(CUT, (measure(new) - measure(old)) / spread))

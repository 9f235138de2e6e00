"""What an answer is judged by at decoding time: a person's reward, words, a length.

Knows nothing of how answers are made. Objectives are in different units, so each is calibrated among the
candidates of one prompt before a weighted sum (Balashankar et al. 2024, "InfAlign", arXiv:2412.19792): the
calibrated reward C(x, y) is the chance that another answer of the reference to the same prompt is no better,
and e^(t C) is the transform that best-of-n is aligned by. For one objective the choice among n does not
depend on either; together they decide what a weight means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from personalization.steering.instant import Array
from personalization.steering.reward import Reward

Floats = NDArray[np.float64]
# The exponent of the transform: the larger, the more only the best answers of a prompt count.
EXPONENT = 4.0
# The log-odds that a unit of cosine with the question is worth. With the first three seeds of
# `benchmarks.people` the best of eight won, from 2 to 4, nearly as often as without, and left the question no
# more than one answer does.
NEARNESS = 3.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer, or its beginning: its text, and the base model's mean states over it where known."""

    text: str
    token_count: int
    states: Array | None = field(default=None, compare=False, repr=False)  # (layers, hidden)


Near = Callable[[Sequence[str]], Sequence[float]]  # each answer's cosine with the question, -1 to 1
Scores = Callable[[Sequence[Candidate]], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Objective:
    """Something to judge candidates of one prompt by, larger is better, and how much it counts."""

    name: str
    scores: Scores = field(repr=False)
    weight: float = 1.0


def by_reward(reward: Reward, weight: float = 1.0) -> Objective:
    """Judge by a person's reward; an answer without states (an empty one) is the worst."""

    def scores(candidates: Sequence[Candidate]) -> list[float]:
        found = [-np.inf if c.states is None else float(reward.of(c.states[None])[0]) for c in candidates]
        least = min((value for value in found if np.isfinite(value)), default=0.0)
        return [value if np.isfinite(value) else least - 1.0 for value in found]

    return Objective("reward", scores, weight)


def by_reward_on_subject(reward: Reward, near: Near, weight: float = 1.0) -> Objective:
    """Judge by a person's reward in log-odds and NEARNESS times the cosine with the question, together.

    What a person rates highest often leaves the question, and a reward learns that. Added up in their own
    units rather than calibrated, nearness decides between answers that the person would like about alike.
    """

    def scores(candidates: Sequence[Candidate]) -> list[float]:
        liked = by_reward(reward).scores(candidates)
        cosines = near([c.text for c in candidates])
        return [reward.scale * one + NEARNESS * other for one, other in zip(liked, cosines, strict=True)]

    return Objective("reward on the subject", scores, weight)


def by_length(words: int, weight: float = 1.0) -> Objective:
    """Judge by the nearness to so many words, as a share of them (DeAL's length constraint)."""

    def scores(candidates: Sequence[Candidate]) -> list[float]:
        return [-abs(len(c.text.split()) - words) / max(words, 1) for c in candidates]

    return Objective("length", scores, weight)


def by_words(wanted: Collection[str], weight: float = 1.0) -> Objective:
    """Judge by the share of wanted words that are in the text, whatever their case (DeAL's keywords)."""
    looked_for = {word.casefold() for word in wanted}

    def scores(candidates: Sequence[Candidate]) -> list[float]:
        texts = [set(re.findall(r"\w+", c.text.casefold())) for c in candidates]
        return [len(looked_for & words) / max(len(looked_for), 1) for words in texts]

    return Objective("words", scores, weight)


def calibrated(values: Sequence[float], reference: Sequence[float] | None = None) -> Floats:
    """Return C for each value: the share of the reference's values that are no larger, 0 to 1.

    `reference` are other answers' values for the same prompt; without, the candidates are their own.
    """
    own = np.asarray(values, dtype=np.float64)
    others = np.sort(own if reference is None else np.asarray(reference, dtype=np.float64))
    found: Floats = np.searchsorted(others, own, side="right") / max(len(others), 1)
    return found


def transformed(calibration: Floats, exponent: float = EXPONENT) -> Floats:
    """Return (e^(t C) - 1) / (e^t - 1): InfAlign's transform for best-of-n, 0 to 1; t = 0 is C itself."""
    if exponent == 0:
        return calibration
    found: Floats = np.expm1(exponent * calibration) / np.expm1(exponent)
    return found


def together(objectives: Sequence[Objective], candidates: Sequence[Candidate]) -> Floats:
    """Return each candidate's weighted sum of transformed, calibrated objectives; zeros where none acts."""
    total = np.zeros(len(candidates))
    for objective in objectives:
        if objective.weight != 0:
            total += objective.weight * transformed(calibrated(objective.scores(candidates)))
    return total


def choose(objectives: Sequence[Objective], candidates: Sequence[Candidate]) -> int:
    """Return the place of the best candidate; the first of equals, so without objectives the plain answer.

    Raises ValueError without candidates.
    """
    if not candidates:
        raise ValueError("There is no candidate to choose from.")
    return int(np.argmax(together(objectives, candidates)))

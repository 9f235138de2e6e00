"""A simulated person: a hidden taste, a noisy hand on the slider, and the part of it that they state.

The taste is a weighted sum of features of the answer; nothing about it reaches learning but ratings.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from .features import standardise


@dataclass(frozen=True, slots=True)
class Temperament:
    """A kind of taste: weights over standardised features, and what such a person would say of it."""

    description: str
    weights: Mapping[str, float]
    stated_values: tuple[str, ...]  # the person's own words for the values page


TEMPERAMENTS: tuple[Temperament, ...] = (
    Temperament(
        "simple words and short sentences",
        {"word_length": -1.0, "sentence_length": -1.0},
        ("Use simple, everyday words.", "Keep sentences short."),
    ),
    Temperament("brief", {"word_count": -1.0}, ("Be brief: say it in one or two short sentences.",)),
    Temperament(
        "lists and short sentences",
        {"list_share": 1.0, "sentence_length": -0.7},
        ("Use a bulleted list.", "Keep sentences short."),
    ),
    Temperament(
        "warm and plain",
        {"warmth": 1.0, "word_length": -0.7},
        ("Be warm and speak to me directly.", "Use simple, everyday words."),
    ),
    Temperament(
        "learned and flowing",
        {"word_length": 1.0, "list_share": -0.7},
        ("Use precise, advanced vocabulary.", "Write in flowing prose, without lists."),
    ),
)


@dataclass(frozen=True, slots=True)
class SimulatedPerson:
    """Somebody with a hidden taste. `noise` is the standard deviation of a rating's error, in taste units."""

    description: str
    weights: Mapping[str, float]
    stated_values: tuple[str, ...]
    noise: float

    def taste(self, answer: str) -> float:
        """Return how much this person really likes an answer; 0 is a typical one. An empty one is worst."""
        if not answer.strip():
            return -5.0
        return sum(weight * standardise(name, answer) for name, weight in self.weights.items())

    def rate(self, answer: str, rng: random.Random) -> int:
        """Return a rating from 1 to 100: the taste with noise; a typical answer is in the middle."""
        felt = self.taste(answer) + rng.gauss(0.0, self.noise)
        return max(1, min(100, round(50 + 15 * felt)))


def draw_person(seed: int, *, noise: float = 0.3) -> SimulatedPerson:
    """Return the person of this seed: a temperament with weights changed by up to a fifth either way."""
    rng = random.Random(seed)  # noqa: S311 - a simulation, nothing secret
    temperament = TEMPERAMENTS[seed % len(TEMPERAMENTS)]
    weights = {name: weight * rng.uniform(0.8, 1.2) for name, weight in temperament.weights.items()}
    return SimulatedPerson(temperament.description, weights, temperament.stated_values, noise)

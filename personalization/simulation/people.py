"""A simulated person: a hidden taste, a noisy hand on the slider, and the part of it that they state.

The taste is a weighted sum of features of the answer; nothing about it reaches learning but ratings.
Some people's choices run in circles, as real ones do: `notices` makes a taste a lexicographic semiorder
(Tversky 1969, "Intransitivity of preferences", Psychological Review 76:31-48).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
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
    """Somebody with a hidden taste. `noise` is the standard deviation of a rating's error, in taste units.

    With `notices` the first feature decides between two answers whenever it differs by more than that
    (in standard deviations), and the others decide otherwise: such choices need not be transitive.
    """

    description: str
    weights: Mapping[str, float]
    stated_values: tuple[str, ...]
    noise: float
    notices: float | None = None

    def taste(self, answer: str) -> float:
        """Return how much this person really likes an answer; 0 is a typical one. An empty one is worst."""
        if not answer.strip():
            return -5.0
        return sum(weight * standardise(name, answer) for name, weight in self.weights.items())

    def rate(self, answer: str, rng: random.Random) -> int:
        """Return a rating from 1 to 100: the taste with noise; a typical answer is in the middle."""
        return _on_the_slider(self.taste(answer) + rng.gauss(0.0, self.noise))

    def rate_together(self, answers: Sequence[str], rng: random.Random) -> list[int]:
        """Return ratings of a prompt's answers; who chooses in circles rates by how often each wins."""
        if self.notices is None:
            return [self.rate(answer, rng) for answer in answers]
        wins = [
            sum(self.prefers(mine, theirs) for theirs in answers) / len(answers) for mine in answers
        ]  # an answer ties with itself, so the mean over a prompt is one half
        return [_on_the_slider(4.0 * (share - 0.5) + rng.gauss(0.0, self.noise)) for share in wins]

    def prefers(self, first: str, second: str) -> float:
        """Return 1 where the first answer is really liked better, 0 where the second is, 0.5 for a tie."""
        difference = self.taste(first) - self.taste(second)
        if self.notices is not None and first.strip() and second.strip():
            (name, weight), *others = self.weights.items()
            gap = standardise(name, first) - standardise(name, second)
            looked_at = [(name, weight)] if abs(gap) > self.notices else others
            difference = sum(w * (standardise(n, first) - standardise(n, second)) for n, w in looked_at)
        return 0.5 if abs(difference) < 1e-9 else float(difference > 0)


def _on_the_slider(felt: float) -> int:
    return max(1, min(100, round(50 + 15 * felt)))


def draw_person(seed: int, *, noise: float = 0.3) -> SimulatedPerson:
    """Return the person of this seed: a temperament with weights changed by up to a fifth either way."""
    rng = random.Random(seed)  # noqa: S311 - a simulation, nothing secret
    temperament = TEMPERAMENTS[seed % len(TEMPERAMENTS)]
    weights = {name: weight * rng.uniform(0.8, 1.2) for name, weight in temperament.weights.items()}
    return SimulatedPerson(temperament.description, weights, temperament.stated_values, noise)


def population() -> tuple[SimulatedPerson, ...]:
    """Return twelve people: clean tastes, noisy hands, mixtures, and two who choose in circles."""
    clean = [SimulatedPerson(t.description, t.weights, t.stated_values, 0.3) for t in TEMPERAMENTS]
    noisy = [
        SimulatedPerson(f"{t.description}, noisy", t.weights, t.stated_values, 1.0)
        for t in (TEMPERAMENTS[0], TEMPERAMENTS[3])
    ]
    mixed = [
        SimulatedPerson(
            "brief but warm",
            {"word_count": -0.7, "warmth": 1.0},
            ("Be brief.", "Be warm and speak to me directly."),
            0.3,
        ),
        SimulatedPerson(
            "thorough in lists",
            {"word_count": 0.8, "list_share": 1.0},
            ("Be thorough.", "Use a bulleted list."),
            0.3,
        ),
        SimulatedPerson(
            "asks back, in short sentences",
            {"questions": 1.0, "sentence_length": -0.8},
            ("Ask me questions back.", "Keep sentences short."),
            0.3,
        ),
    ]
    circular = [
        SimulatedPerson(
            "plain words if it shows, else brief",
            {"word_length": -1.0, "word_count": -1.0},
            ("Use simple, everyday words.", "Be brief."),
            0.3,
            notices=1.0,
        ),
        SimulatedPerson(
            "short sentences if it shows, else warm",
            {"sentence_length": -1.0, "warmth": 1.0},
            ("Keep sentences short.", "Be warm and speak to me directly."),
            0.3,
            notices=1.0,
        ),
    ]
    return (*clean, *noisy, *mixed, *circular)

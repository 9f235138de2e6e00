"""A person's own reward in closed form: which of two answers they would rate higher, and how surely.

A linear head on the base model's mean hidden states (`personalization.steering.instant.MeanStates`), so that
it needs no model beside the one that answers. States and ratings are centred within their prompt: a prompt
that pleases or tires says nothing about its answers. Knows nothing of torch, models or rows: numpy only.

    ratings = X w + noise,  w ~ N(mean, spread),  w = mean + X' (K + ridge I)^-1 (ratings - X mean)

The ridge is the one under which the ratings are the likeliest (empirical Bayes, MacKay 1992, Neural
Computation 4:415-447). Conversations that are held out, each with its ridge from the others alone, say how
often the reward orders two answers rightly and scale its differences to probabilities (Bradley and Terry).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization.statistics import Estimate, clustered_share
from personalization.steering.instant import Array

Floats = NDArray[np.float64]

FOLDS = 5
# Noise as a multiple of what one answer's states explain under the prior: the ridges that are tried.
RIDGES = tuple(float(ridge) for ridge in np.geomspace(0.03, 100.0, 15))
# The last prompts count: with four answers each that is a matrix of 256 rows.
MOST_PROMPTS = 64
# A held-out difference is trusted as if so many ratings had contradicted it: two right ones prove little.
DOUBT = 1.0
# Fewer prompts than this cannot be held out and learned from at the same time.
FEWEST_PROMPTS = 3


@dataclass(frozen=True, slots=True)
class RatedPrompt:
    """The rated answers to one prompt: states (answers, layers, hidden) and a rating for each."""

    conversation: str
    states: Array = field(compare=False, repr=False)
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed before anybody rates, in units of `features`: where heads lie and how they spread.

    The spread is 1 in every direction and `along` times the square of `basis` in its own: (directions,
    features). `mean` (features,) is zero where nothing is known.
    """

    mean: Floats = field(repr=False)
    basis: Floats = field(repr=False)
    along: float = 1.0


@dataclass(frozen=True, slots=True)
class Reward:
    """A head (layers, hidden) on states, and what it is worth on conversations that it did not see."""

    weights: Array = field(compare=False, repr=False)
    scale: float  # of a difference of rewards, to log-odds; 0 where held-out answers say nothing
    accuracy: Estimate  # share of two answers that are ordered as the person did
    prompts: int
    ratings: int

    def of(self, states: Array) -> Floats:
        """Return each answer's reward, states (answers, layers, hidden); only differences mean anything."""
        found: Floats = np.einsum("nlh,lh->n", states.astype(np.float64), self.weights)
        return found

    def beats(self, difference: float) -> float:
        """Return how likely the person rates an answer higher whose reward is so much higher."""
        return float(_sigmoid(np.asarray(self.scale * difference)))

    @property
    def is_useful(self) -> bool:
        """Say whether it orders answers better than chance, as far as held-out conversations show."""
        return self.scale > 0 and self.accuracy.low > 0.5

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the head, JSON-ready."""
        return {
            "scale": self.scale,
            "accuracy": self.accuracy.as_dict(),
            "prompts": self.prompts,
            "ratings": self.ratings,
            "useful": self.is_useful,
        }

    @classmethod
    def of_bytes(cls, weights: bytes, layers: int, summary: Mapping[str, Any]) -> Reward:
        """Return the reward with these float32 weights and this `as_dict`."""
        return cls(
            np.frombuffer(weights, dtype="<f4").reshape(layers, -1),
            summary["scale"],
            Estimate(**summary["accuracy"]),
            summary["prompts"],
            summary["ratings"],
        )


def learn_reward(prompts: Sequence[RatedPrompt], prior: Prior | None = None) -> Reward | None:
    """Return what the ratings say; None where fewer than FEWEST_PROMPTS prompts were rated apart.

    The order of the prompts is that of time: the last MOST_PROMPTS count.
    """
    told = [p for p in prompts if len(p.scores) > 1 and len(set(p.scores)) > 1][-MOST_PROMPTS:]
    if len(told) < FEWEST_PROMPTS:
        return None
    norms = mean_norms(told)
    rated = _Rated.of(told, norms)
    head = rated.head(prior, np.ones(len(rated.ratings), dtype=bool))
    gaps, clusters = rated.held_out(prior)
    return Reward(
        weights=raw(head, norms),
        scale=log_odds_scale(np.asarray(gaps)),
        accuracy=clustered_share(right(gaps), clusters),
        prompts=len(told),
        ratings=len(rated.ratings),
    )


def mean_norms(prompts: Sequence[RatedPrompt]) -> Floats:
    """Return the mean norm of the states at each layer, (layers,)."""
    return mean_norms_of(np.concatenate([p.states for p in prompts]))


def mean_norms_of(states: Array | Sequence[Array]) -> Floats:
    """Return the mean norm of answers' states (answers, layers, hidden) at each layer, (layers,)."""
    found: Floats = np.linalg.norm(np.asarray(states), axis=2).mean(axis=0)
    return np.maximum(found.astype(np.float64), 1e-9)


def features(states: Array, norms: Floats) -> Floats:
    """Return states as a head sees them (answers, layers * hidden): each layer counts alike, norm about 1."""
    scaled = states.astype(np.float64) / norms[None, :, None] / np.sqrt(len(norms))
    return scaled.reshape(len(states), -1)


def raw(head: Floats, norms: Floats) -> Array:
    """Return a head on features as one on states, (layers, hidden)."""
    shaped = head.reshape(len(norms), -1) / norms[:, None] / np.sqrt(len(norms))
    return shaped.astype(np.float32)


@dataclass(frozen=True)
class _Rated:
    """All answers together: features and ratings centred within prompts, in units of the ratings' spread."""

    features: Floats
    ratings: Floats
    prompts: NDArray[np.int64]
    conversations: list[str]  # of each answer

    @classmethod
    def of(cls, told: Sequence[RatedPrompt], norms: Floats) -> _Rated:
        rows, ratings = [], []
        for prompt in told:
            own, scores = features(prompt.states, norms), np.asarray(prompt.scores, dtype=np.float64)
            rows.append(own - own.mean(axis=0))
            ratings.append(scores - scores.mean())
        together = np.concatenate(ratings)
        return cls(
            np.concatenate(rows),
            together / np.sqrt((together**2).mean()),
            np.repeat(np.arange(len(told)), [len(p.scores) for p in told]),
            [p.conversation for p in told for _ in p.scores],
        )

    def head(self, prior: Prior | None, kept: NDArray[np.bool_]) -> Floats:
        """Return the head that these answers imply, (features,)."""
        rows, wanted = self.features[kept], self.ratings[kept]
        along: Floats | None = None
        if prior is not None:
            wanted = wanted - rows @ prior.mean
            along = prior.along * (rows @ prior.basis.T)  # (answers, directions)
        kernel = rows @ rows.T + (along @ along.T if along is not None else 0.0)
        duals = _ridge(kernel, wanted)
        head: Floats = rows.T @ duals
        if prior is not None and along is not None:
            head = head + prior.mean + prior.along * (prior.basis.T @ (along.T @ duals))
        return head

    def held_out(self, prior: Prior | None) -> tuple[list[float], list[str]]:
        """Return the reward's gap, better less worse, of every two answers, and whose conversation it is.

        Nothing of a conversation is in the head that it is judged by, nor in that head's ridge.
        """
        names = list(dict.fromkeys(self.conversations))
        folds = min(FOLDS, len(names))
        fold_of = {name: i % folds for i, name in enumerate(names)}
        place = np.asarray([fold_of[name] for name in self.conversations])
        if folds < 2:
            return [0.0], names
        gaps: list[float] = []
        clusters: list[str] = []
        for fold in range(folds):
            inside = np.flatnonzero(place == fold)
            rewards = dict(zip(inside, self.features[inside] @ self.head(prior, place != fold), strict=True))
            for better in inside:
                for worse in inside[self.prompts[inside] == self.prompts[better]]:
                    if self.ratings[better] > self.ratings[worse]:
                        gaps.append(float(rewards[better] - rewards[worse]))
                        clusters.append(self.conversations[better])
        return gaps, clusters


def _ridge(kernel: Floats, wanted: Floats) -> Floats:
    """Return (kernel + ridge I)^-1 wanted with the likeliest ridge; zeros where nothing is explained."""
    values, vectors = np.linalg.eigh(kernel)
    values = np.maximum(values, 0.0)
    usual = values.sum() / max(len(wanted), 1)
    turned = vectors.T @ wanted
    if usual <= 0 or not np.any(np.abs(wanted) > 1e-12):
        return np.zeros_like(wanted)
    # Centring takes one direction of each prompt away: it has no spread and says nothing.
    alive = values > 1e-9 * values.max()
    values, turned, vectors = values[alive], turned[alive], vectors[:, alive]

    def unlikely(ridge: float) -> float:
        spread = values / (ridge * usual) + 1.0
        return len(values) * float(np.log((turned**2 / spread).mean())) + float(np.log(spread).sum())

    ridge = min(RIDGES, key=unlikely) * usual
    found: Floats = vectors @ (turned / (values + ridge))
    return found


def right(margins: Iterable[float]) -> list[float]:
    """Return for each comparison 1 where what was chosen is preferred, 0 where not, 0.5 for a tie."""
    return [1.0 if margin > 0 else 0.5 if margin == 0 else 0.0 for margin in margins]


def log_odds_scale(gaps: Floats) -> float:
    """Return the log-odds that a unit of held-out gap is worth, by maximum likelihood; never below 0.

    DOUBT times a gap of the usual size counts as contradicted and confirmed once more: without, answers
    that are all ordered rightly would make it infinite.
    """
    usual = float(np.sqrt((gaps**2).mean())) if len(gaps) else 0.0
    if usual <= 0:
        return 0.0
    all_gaps = np.concatenate([gaps / usual, [1.0, -1.0]])
    weights = np.concatenate([np.ones(len(gaps)), [DOUBT, DOUBT]])
    scale = 0.0
    for _ in range(50):  # Newton's steps; the likelihood of one number is concave
        wrong = _sigmoid(-scale * all_gaps)
        slope = float((weights * wrong * all_gaps).sum())
        curve = float((weights * wrong * (1 - wrong) * all_gaps**2).sum())
        step = max(-1.0, min(1.0, slope / max(curve, 1e-12)))
        scale += step
        if abs(step) < 1e-9:
            break
    return max(0.0, scale / usual)


def _sigmoid(x: Floats) -> Floats:
    found: Floats = 0.5 * (1.0 + np.tanh(0.5 * x))
    return found

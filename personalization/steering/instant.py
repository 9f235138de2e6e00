"""A steering vector in closed form from rated answers: running sums, and a strength that grows with evidence.

Knows nothing of torch, models or rows: numpy only, so that the web computes it at every rating. States are
the base model's mean hidden states of answers (`MeanStates`), stored as bytes (`pack`). The direction is
the one of `personalization.methods.steer`: states centred within their prompt, weighted by the rating.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization.steering.shared import PART_PROMPTS, Start
from personalization.steering.vector_file import write_vectors

Array = NDArray[np.float32]

# Where states are kept and the vector acts, as shares of the model's depth: layers 10, 14, 18 and 22 of 30. A
# little in each keeps the text better than much in one (`benchmarks.people`, and value directions alike).
DEPTHS = (0.33, 0.47, 0.6, 0.73)
# The greatest norm in each, as a share of its mean hidden norm, and how much of the way to the subject stands
# beside the taste there (`benchmarks.vector_cost`). Ten simulated tastes won, after 32 rated prompts: one
# layer at 0.2: 0.76 with relevance -0.08; four at 0.08: 0.88 and -0.18 without the way to the subject, 0.80
# and -0.03 with it.
LIMIT, SUBJECT = 0.08, 0.6
# How much of it acts beside an adapter or stated values: both at full strength leave the question
# (`benchmarks.people`: `both`; `benchmarks.values_together`).
BESIDE = 0.3
# The cosine with the true taste, as far as the ratings tell, from which the limit is reached.
FULL = 0.8
# What other people's ratings agree like, worth so many prompts, until the person's own have spoken: of the
# twelve people of `benchmarks.people` 0.051 on average (0.018 to 0.076, 32 prompts of 4 answers, layer 14),
# and 0.000 for ratings drawn at random. One person's estimate from 8 prompts has a standard error of 0.03.
PRIOR_AGREEMENT, PRIOR_PROMPTS = 0.05, 8.0


def layers_of(count: int) -> tuple[int, ...]:
    """Return the layers of a model with `count` layers whose states are kept, without repetition."""
    return tuple(sorted({min(round(depth * count), count - 1) for depth in DEPTHS}))


@dataclass(frozen=True, slots=True)
class MeanStates:
    """Mean hidden states of one answer's tokens, read by the base model alone: (layers, hidden) float32."""

    layers: tuple[int, ...]
    means: Array = field(compare=False, repr=False)
    tokens: int  # that the mean is over


def pack(means: Array) -> bytes:
    """Return states (layers, hidden) as bytes: each layer's norm in float32, then directions in float16.

    Hidden states of some models exceed float16; their directions never do.
    """
    norms = np.linalg.norm(means, axis=1).astype("<f4")
    unit = means / np.maximum(norms, 1e-12)[:, None]
    return bytes(norms.tobytes() + unit.astype("<f2").tobytes())


def unpack(data: bytes, layers: int) -> Array:
    """Return the states (layers, hidden) of `pack`. Raises ValueError for bytes of another shape."""
    norms = np.frombuffer(data[: 4 * layers], dtype="<f4")
    unit = np.frombuffer(data[4 * layers :], dtype="<f2").reshape(layers, -1)
    found: Array = unit.astype(np.float32) * norms[:, None]
    return found


@dataclass(frozen=True, slots=True)
class Direction:
    """What ratings say: a vector for each layer, and how far to go, as a share of LIMIT."""

    layers: tuple[int, ...]
    units: Array = field(compare=False, repr=False)  # (layers, hidden): the taste, in unit length
    subject: Array | None = field(compare=False, repr=False)  # (layers, hidden): the way to the subject
    hidden_norms: tuple[float, ...]  # the mean norm of the states at each layer
    agreement: float  # mean cosine-like agreement of two prompts, about 0 for chance
    strength: float  # 0 to 1, a share of the limit
    prompts: int  # that say something
    ratings: int
    started: float = 0.0  # how many prompts the warm start beside them is worth

    @property
    def vectors(self) -> Array:
        """The vectors as they act at full slider, (layers, hidden)."""
        sizes = LIMIT * np.asarray(self.hidden_norms)
        found = beside_subject(self.units, self.subject, self.strength) * sizes[:, None]
        return found.astype(np.float32)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the tensor, JSON-ready."""
        return {
            "layers": list(self.layers),
            "hidden_norms": list(self.hidden_norms),
            "agreement": self.agreement,
            "strength": self.strength,
            "limit": LIMIT,
            "groups": self.prompts,
            "answers": self.ratings,
            "started": self.started,
        }


class Sums:
    """Each prompt's sum of centred states weighted by the rating: all that the closed form needs.

    A prompt that is put again replaces itself, so any order of acts gives the same, and a change that is
    taken back leaves no trace.
    """

    def __init__(self, layers: Sequence[int]) -> None:
        self._layers = tuple(layers)
        self._parts: dict[str, tuple[Array, Array, int]] = {}  # sum, mean norms (layers,), answers

    def put(self, prompt: str, states: Array, scores: Sequence[float]) -> None:
        """Set one prompt's answers: states (answers, layers, hidden) and their ratings.

        Ratings that are all alike say nothing and take the prompt out.
        """
        self._parts.pop(prompt, None)
        weights = np.asarray(scores, dtype=np.float64)
        weights = weights - weights.mean() if len(weights) else weights
        if not np.any(np.abs(weights) > 1e-9):
            return
        centred = states.astype(np.float64) - states.mean(axis=0, dtype=np.float64)
        total = np.einsum("n,nlh->lh", weights, centred)
        norms = np.linalg.norm(states, axis=2).mean(axis=0)
        self._parts[prompt] = (total, norms, len(weights))

    def direction(self, subject: Array | None = None, start: Start | None = None) -> Direction | None:
        """Return what all prompts together say; None where nothing does, or prompts contradict each other.

        `subject` (layers, hidden) holds unit vectors towards answers that stay with the question, as
        `manage.py values build` learns them. `start` counts beside the prompts for as many as it is worth.
        """
        if not self._parts:
            return None
        # Sorted, so that rounding does not depend on the order of the acts either.
        parts = [self._parts[name] for name in sorted(self._parts)]
        rows = np.stack([total for total, _, _ in parts])  # (prompts, layers, hidden)
        answers = sum(count for _, _, count in parts)
        norms = np.average([each for _, each, _ in parts], axis=0, weights=[count for _, _, count in parts])
        scaled = rows / np.maximum(norms, 1e-9)[:, None]
        agreement = agreement_of(scaled.reshape(len(parts), -1))
        strength = strength_of(len(parts), agreement, started=start.worth if start else 0.0)
        total = scaled.sum(axis=0)
        if start is not None:
            usual = np.sqrt((scaled**2).sum(axis=(1, 2)).mean())
            expected = PART_PROMPTS * usual * start.direction.reshape(total.shape)
            strength *= harmony(total, expected)
            total = total + expected
        units = _unit(total)
        if not units.any() or strength <= 0:
            return None
        return Direction(
            layers=self._layers,
            units=units.astype(np.float32),
            subject=subject,
            hidden_norms=tuple(float(norm) for norm in norms),
            agreement=agreement,
            strength=strength,
            prompts=len(parts),
            ratings=answers,
            started=start.worth if start else 0.0,
        )


def beside_subject(units: NDArray[Any], subject: NDArray[Any] | None, strength: float) -> NDArray[Any]:
    """Return `strength` times the taste with some of the way to the subject beside it (layers, hidden).

    In units of LIMIT. The taste is taken without what it shares with the subject: liked answers of a small
    model often left the question. What a push costs grows with its square, so what makes up for it does, too.
    """
    if subject is None:
        return strength * units
    shared = (units * subject).sum(axis=1, keepdims=True)
    return strength * _unit(units - shared * subject) + SUBJECT * strength**2 * subject


def _unit(rows: NDArray[Any]) -> NDArray[Any]:
    """Return each row in unit length; a row without any stays zero."""
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    found: NDArray[Any] = np.where(sizes > 1e-9, rows / np.maximum(sizes, 1e-9), 0.0)
    return found


def agreement_of(rows: NDArray[Any]) -> float:
    """Return the share of the prompts' sums (prompts, hidden) that they have in common, -1 to 1.

    The mean inner product of two different prompts over the mean square of one: about 0 by chance, 1 when
    all say the same. A single prompt has nothing to agree with: 0.
    """
    count = len(rows)
    squares = float((rows**2).sum())
    if count < 2 or squares == 0:
        return 0.0
    between = float((rows.sum(axis=0) ** 2).sum()) - squares
    return between / (count - 1) / squares


def harmony(own: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the squared length of two sums together, as a share of what unrelated ones would have, 0 to 1.

    1 where they say the same or have nothing to do with each other; less the more ratings contradict what
    was expected, for then neither is to be trusted.
    """
    apart = float((own**2).sum() + (expected**2).sum())
    return min(1.0, float(((own + expected) ** 2).sum()) / apart) if apart else 1.0


def strength_of(prompts: int, agreement: float, *, started: float = 0.0) -> float:
    """Return how much of the limit the evidence carries, 0 to 1: the cosine to expect with the true taste.

    Spearman and Brown: of a sum over n prompts that agree by q, the reliability is n q / (1 + (n - 1) q),
    which is n / (n + k) with k = (1 - q) / q, so k is the person's own. The gain rises with the cosine and
    the cost with the square of the norm (Wolf et al. 2024, arXiv:2401.16332), so the best norm is
    proportional to it, up to the limit, which is reached at FULL. q is shrunk towards what is usual while
    there are few prompts. `started`: how many prompts a warm start is worth beside them.
    """
    own = max(prompts - 1, 0)
    q = (own * agreement + PRIOR_PROMPTS * PRIOR_AGREEMENT) / (own + PRIOR_PROMPTS)
    if prompts < 1 or q <= 0:
        return 0.0
    counted = prompts + started
    cosine = float(min(1.0, counted * q / (1 + (counted - 1) * q)) ** 0.5)
    return min(1.0, cosine / FULL)


def read_subject(folder: Path, layers: Sequence[int]) -> Array | None:
    """Return the unit vectors towards the subject (layers, hidden); None where none was learned.

    `folder` is a model's folder of value directions; it holds all layers, and these are returned.
    """
    file = folder / "subject.npy"
    if not file.exists():
        return None
    every: Array = np.load(file, allow_pickle=False)
    return every[list(layers)]


def write_vector(direction: Direction, folder: Path) -> None:
    """Write `steering.safetensors` as the engine reads it, into an existing folder."""
    names = [f"layer.{layer}.output" for layer in direction.layers]
    write_vectors(dict(zip(names, direction.vectors, strict=True)), folder)

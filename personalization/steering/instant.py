"""A steering vector in closed form from rated answers: running sums, and a strength that grows with evidence.

Knows nothing of torch, models or rows: numpy only, so that the web computes it at every rating. States are
the base model's mean hidden states of answers (`MeanStates`), stored as bytes (`pack`). The direction is
the one of `personalization.methods.steer`: states centred within their prompt, weighted by the rating.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# Where states are kept, as shares of the model's depth: layers 8, 11, 14, 17 and 20 of 30.
DEPTHS = (0.27, 0.37, 0.47, 0.57, 0.67)
# The layer that acts, among them: with few ratings no layer can be told from another.
ACTING = 2
# The greatest norm, as a share of the mean hidden norm: above it text leaves the question or repeats itself.
LIMIT = 0.2
# What other people's ratings agree like, worth so many prompts, until the person's own have spoken: of the
# twelve people of `benchmarks.people` 0.051 on average (0.018 to 0.076, 32 prompts of 4 answers, layer 14),
# and 0.000 for ratings drawn at random. One person's estimate from 8 prompts has a standard error of 0.03.
PRIOR_AGREEMENT, PRIOR_PROMPTS = 0.05, 8.0


def layers_of(count: int) -> tuple[int, ...]:
    """Return the layers of a model with `count` layers whose states are kept, without repetition."""
    return tuple(sorted({min(int(depth * count), count - 1) for depth in DEPTHS}))


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
    """What ratings say: a unit vector (hidden,), its layer, and how far to go, as a share of LIMIT."""

    layer: int
    unit: Array = field(compare=False, repr=False)
    hidden_norm: float  # the mean norm of the states at that layer
    agreement: float  # mean cosine-like agreement of two prompts, about 0 for chance
    strength: float  # 0 to 1, a share of the limit
    prompts: int  # that say something
    ratings: int

    @property
    def vector(self) -> Array:
        """The vector as it acts at full slider, (hidden,)."""
        found: Array = self.unit * np.float32(self.hidden_norm * LIMIT * self.strength)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the tensor, JSON-ready."""
        return {
            "layer": self.layer,
            "hidden_norm": self.hidden_norm,
            "agreement": self.agreement,
            "strength": self.strength,
            "limit": LIMIT,
            "groups": self.prompts,
            "answers": self.ratings,
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

    def direction(self) -> Direction | None:
        """Return what all prompts together say; None where nothing does, or prompts contradict each other."""
        if not self._parts:
            return None
        place = min(ACTING, len(self._layers) - 1)
        # Sorted, so that rounding does not depend on the order of the acts either.
        parts = [self._parts[name] for name in sorted(self._parts)]
        rows = np.stack([total[place] for total, _, _ in parts])
        total = rows.sum(axis=0)
        size = float(np.linalg.norm(total))
        agreement = agreement_of(rows)
        strength = strength_of(len(parts), agreement)
        if size < 1e-9 or strength <= 0:
            return None
        answers = sum(count for _, _, count in parts)
        norm = sum(float(norms[place]) * count for _, norms, count in parts) / answers
        return Direction(
            layer=self._layers[place],
            unit=(total / size).astype(np.float32),
            hidden_norm=norm,
            agreement=agreement,
            strength=strength,
            prompts=len(parts),
            ratings=answers,
        )


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


def strength_of(prompts: int, agreement: float) -> float:
    """Return how much of the limit the evidence carries, 0 to 1: the cosine to expect with the true taste.

    Spearman and Brown: of a sum over n prompts that agree by q, the reliability is n q / (1 + (n - 1) q),
    which is n / (n + k) with k = (1 - q) / q, so k is the person's own. The gain rises with the cosine and
    the cost with the square of the norm (Wolf et al. 2024, arXiv:2401.16332), so the best norm is
    proportional to it. q is shrunk towards what is usual while there are few prompts.
    """
    own = max(prompts - 1, 0)
    q = (own * agreement + PRIOR_PROMPTS * PRIOR_AGREEMENT) / (own + PRIOR_PROMPTS)
    if prompts < 1 or q <= 0:
        return 0.0
    return float(min(1.0, prompts * q / (1 + (prompts - 1) * q)) ** 0.5)


def write_vector(direction: Direction, folder: Path) -> None:
    """Write `steering.safetensors` as the engine reads it, into an existing folder."""
    data = direction.vector.astype("<f4").tobytes()
    entry: Mapping[str, Any] = {
        f"layer.{direction.layer}.output": {
            "dtype": "F32",
            "shape": [len(direction.unit)],
            "data_offsets": [0, len(data)],
        }
    }
    header = json.dumps(entry, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    (folder / "steering.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)

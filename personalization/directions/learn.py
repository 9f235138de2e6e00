"""From the pool to one value's direction: which way the hidden states move when answers show more of it.

Knows nothing of how a direction is served or judged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from personalization import registry
from personalization.directions.pool import Pool
from personalization.errors import NotEnoughData
from personalization.models.personal import SteeringVectors
from personalization.records import Message, Pair
from personalization.text import word_count
from personalization.values.measures import Measure

Numbers = npt.NDArray[np.float64]

CUT = 3.0  # standard deviations: one odd answer must not be the direction
FEWEST_PROMPTS = 8
KEPT = 0.6  # of the direction of relevance, beside each value's own


def scores_of(pool: Pool, measure: Measure) -> list[float]:
    """Return each answer's measure beyond what length and relevance explain, in units of its spread.

    Centred within each prompt. What the relevance to the prompt and the number of words explain (one slope
    for all prompts) is taken away, except length where it is the value itself: the model's oddest answers
    are often off the subject, and a direction must not point there. Raises NotEnoughData when the model's
    answers differ in this measure for fewer than eight prompts.
    """
    groups = np.array(pool.groups)
    raw = _centred(np.array([measure(text) for text in pool.texts]), groups)
    differing = len({int(group) for group, value in zip(groups, raw, strict=True) if abs(value) > 1e-9})
    if differing < FEWEST_PROMPTS:
        raise NotEnoughData(
            f"The model's answers differ in {measure.key} for {differing} of {len(pool.prompts)} prompts.",
            missing=FEWEST_PROMPTS - differing,
        )
    known = [_centred(np.array(pool.relevance), groups)]
    if not measure.is_length:
        known.append(_centred(np.array([word_count(text) for text in pool.texts]), groups))
    explained = np.stack(known, axis=1)
    raw = raw - explained @ np.linalg.lstsq(explained, raw, rcond=None)[0]
    spread = float(raw.std())
    cut = np.clip(raw / spread, -CUT, CUT)
    return [float(value) for value in cut]


def directions(pool: Pool, measure: Measure) -> Tensor:
    """Return vectors (layers, hidden): directions times each layer's mean hidden norm.

    The value's unit direction without what it shares with the way to the subject, plus KEPT of that: a
    push along the value alone leaves the subject (measured: at equal effect, plain words lost 0.07 of
    relevance with 0.4 of it and none with 0.8).
    """
    fit = registry.get("steer").function
    unit: Tensor = fit(pool.states, scores_of(pool, measure), pool.groups)
    about = towards_subject(pool)
    shared = (unit * about).sum(dim=-1, keepdim=True)
    unit = torch.nn.functional.normalize(unit - shared * about, dim=-1)
    return (unit + KEPT * about) * pool.states.norm(dim=-1).mean(dim=0)[:, None]


def towards_subject(pool: Pool) -> Tensor:
    """Return unit vectors (layers, hidden) along which answers stay with the question, and grow no longer.

    Long answers repeat the prompt, so what length explains is taken out of the relevance and out of the
    direction: with it, the two shared a cosine of 0.6 and every push made answers longer.
    """
    fit = registry.get("steer").function
    about: Tensor = fit(pool.states, _on_the_subject(pool), pool.groups)
    length: Tensor = fit(pool.states, [float(word_count(text)) for text in pool.texts], pool.groups)
    return torch.nn.functional.normalize(about - (about * length).sum(dim=-1, keepdim=True) * length, dim=-1)


def _on_the_subject(pool: Pool) -> list[float]:
    """Return each answer's relevance beyond what its length explains: long answers repeat the prompt."""
    groups = np.array(pool.groups)
    near = _centred(np.array(pool.relevance), groups)
    length = _centred(np.array([word_count(text) for text in pool.texts]), groups)
    return [float(v) for v in near - length * float(near @ length) / max(float(length @ length), 1e-9)]


def pairs(pool: Pool, measure: Measure) -> list[Pair]:
    """Return the best against the worst answer of each prompt where they differ, the widest first."""
    scores = scores_of(pool, measure)
    found, start = [], 0
    for i, (prompt, texts) in enumerate(zip(pool.prompts, pool.answers, strict=True)):
        ranked = sorted(zip(scores[start : start + len(texts)], texts, strict=True))
        start += len(texts)
        (low, worst), (high, best) = ranked[0], ranked[-1]
        # What is left after length may differ where the measure does not.
        if best.strip() and measure(best) > measure(worst):
            margin = min((high - low) / (2 * CUT), 1.0)
            found.append(Pair(str(i), (), (Message("user", prompt),), best, worst, margin))
    return sorted(found, key=lambda pair: -pair.margin)


def placed(learned: Tensor, layers: Sequence[int], strength: float) -> SteeringVectors:
    """Return the vectors of these layers, each `strength` times its layer's hidden norm long."""
    return SteeringVectors({(layer, "output"): learned[layer].float() * strength for layer in layers})


def _centred(values: Numbers, groups: npt.NDArray[np.int64]) -> Numbers:
    sums = np.bincount(groups, weights=values)
    return values - (sums / np.bincount(groups))[groups]

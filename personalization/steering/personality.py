"""Learn a personality from answers to the inventory, and prove it on answers that nothing was learned from.

Knows nothing of forms or jobs. Answers are agreement with each statement as worded, 1 to 5. One item
of each facet is held out first; strength and calibration see the other items only.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from personalization.errors import NotEnoughData
from personalization.inventory.items import ITEM_COUNT, items
from personalization.models.base import BaseModel
from personalization.models.cost import Cost, measure_cost
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import SteeringVectors, save_vectors
from personalization.progress import Progress, Report, ignore
from personalization.registry import Method
from personalization.steering.evidence import MAX_PERPLEXITY_RATIO, proof
from personalization.steering.fit import PersonalityFit, item_heads
from personalization.steering.questionnaire import Questionnaire

MIN_ANSWERS = 60
FOLDS = 3
# In standard deviations of what lies along a head's direction.
STRENGTHS = (2.0, 8.0)


def learn_personality(
    base: BaseModel,
    answers: Mapping[int, int],
    method: Method,
    *,
    parameters: Mapping[str, float],
    out: Path,
    cache: Path,
    seed: int = 0,
    report: Report = ignore,
) -> dict[str, Any]:
    """Write `steering.safetensors` to `out`; return what was chosen, and under "proof" how it did.

    `answers` maps item numbers to agreement, 1 to 5; 0 is a missing answer. Activations depend on the
    base model only and are kept in `cache`. About 30 s on two cores. Raises NotEnoughData with fewer
    than 60 answers, or when all answers to learn from are alike.
    """
    given = _given(answers)
    train, held_out = hold_out(list(given), seed=seed)
    if len({given[number] for number in train}) < 2:
        raise NotEnoughData("All answers are alike, so they say nothing about the person.", missing=1)
    steps = 3 + FOLDS * len(STRENGTHS)
    report(Progress(0, steps))
    questions = Questionnaire(base)
    heads = item_heads(base, cache, lambda _: report(Progress(0, steps)))
    fit = _Fit(PersonalityFit(base, heads, method, parameters), given)
    interventions = Interventions(base)

    def scores(row: Row, numbers: Sequence[int]) -> Tensor:
        with interventions.everywhere(row):
            return questions.scores(numbers)

    plain = scores(Row(), list(given))
    report(Progress(1, steps))
    trials = _trials(fit, scores, train, seed=seed, tick=lambda k: report(Progress(1 + k, steps)))
    (vectors,) = fit.vectors(train)
    strength, cost = _choose(base, interventions, vectors, trials)
    row = _row(vectors, strength)
    steered = scores(row, list(given))
    report(Progress(steps - 1, steps))
    at = {number: i for i, number in enumerate(given)}
    errors = _compared(fit, given, plain, steered, train, held_out)
    save_vectors(SteeringVectors({place: v * strength for place, v in vectors.sites.items()}), out)
    report(Progress(steps, steps))
    return {
        "strength": strength,
        "strength_trials": trials,
        "base_cross_validated_error": _base_error(fit, plain, train, at, seed=seed),
        "layers": sorted(layer for layer, _ in vectors.sites),
        "learned_from": len(train),
        "held_out": held_out,
        "proof": {**proof(errors, held_out, cost, seed=seed), "facets": _by_facet(held_out, errors)},
    }


def _compared(
    fit: _Fit, given: Mapping[int, int], plain: Tensor, steered: Tensor, train: list[int], held_out: list[int]
) -> dict[str, list[float]]:
    """Return each arm's errors on the held-out items; `plain` and `steered` are scores of all `given`."""
    at = {number: i for i, number in enumerate(given)}
    learned, shown = [at[n] for n in train], [at[n] for n in held_out]
    return {
        "base": _errors(plain[learned], fit.values(train), plain[shown], fit.values(held_out)),
        "always_3": [abs(given[n] - 3.0) for n in held_out],
        "facet_mean": [abs(given[n] - _facet_mean(n, train, given)) for n in held_out],
        "artifact": _errors(steered[learned], fit.values(train), steered[shown], fit.values(held_out)),
    }


def _by_facet(
    held_out: Sequence[int], errors: Mapping[str, Sequence[float]]
) -> dict[str, tuple[float, float]]:
    """Return the base model's and the artifact's error of each facet's one held-out item."""
    facets = [items()[number - 1].facet for number in held_out]
    return dict(zip(facets, zip(errors["base"], errors["artifact"], strict=True), strict=True))


def _given(answers: Mapping[int, int]) -> dict[int, int]:
    """Return the answered items in their order. Raises as `learn_personality` says."""
    given = {number: answers[number] for number in sorted(answers) if answers[number]}
    if strange := [n for n, value in given.items() if not (1 <= n <= ITEM_COUNT and 1 <= value <= 5)]:
        raise ValueError(f"Item {strange[0]} has the answer {given[strange[0]]}; both must be in range.")
    if len(given) < MIN_ANSWERS:
        raise NotEnoughData(
            f"{len(given)} items are answered; {MIN_ANSWERS} are needed.", missing=MIN_ANSWERS - len(given)
        )
    return given


def hold_out(numbers: Sequence[int], *, seed: int) -> tuple[list[int], list[int]]:
    """Return (to learn from, held out): one item of each facet that has two or more, drawn by the seed."""
    by_facet: dict[str, list[int]] = defaultdict(list)
    for number in sorted(numbers):
        by_facet[items()[number - 1].facet].append(number)
    rng = random.Random(seed)  # noqa: S311 - a reproducible draw
    held = {rng.choice(group) for _, group in sorted(by_facet.items()) if len(group) > 1}
    return [n for n in sorted(numbers) if n not in held], sorted(held)


class _Fit:
    """One person's answers and vectors that any of them give."""

    def __init__(self, fit: PersonalityFit, given: Mapping[int, int]) -> None:
        self._fit, self._given = fit, given

    def values(self, numbers: Sequence[int]) -> Tensor:
        """Return the answers to these items, float32 (n,)."""
        return torch.tensor([float(self._given[number]) for number in numbers])

    def vectors(self, *some: Sequence[int]) -> list[SteeringVectors]:
        """Return what each of these sets of items says: vectors at strength 1."""
        return self._fit.vectors([{number: self._given[number] for number in numbers} for numbers in some])


def _trials(
    fit: _Fit,
    scores: Callable[[Row, Sequence[int]], Tensor],
    train: Sequence[int],
    *,
    seed: int,
    tick: Callable[[int], None],
) -> list[dict[str, float]]:
    """Return each strength's error on items that neither the vector nor the calibration saw."""
    errors: dict[float, list[float]] = {strength: [] for strength in STRENGTHS}
    done = 0
    folds = _folds(train, seed)
    learned = fit.vectors(*(inside for inside, _ in folds))
    for (inside, outside), vectors in zip(folds, learned, strict=True):
        for strength in STRENGTHS:
            found = scores(_row(vectors, strength), [*inside, *outside])
            known, new = found[: len(inside)], found[len(inside) :]
            errors[strength] += _errors(known, fit.values(inside), new, fit.values(outside))
            done += 1
            tick(done)
    return [{"strength": s, "error": sum(found) / len(found)} for s, found in errors.items()]


def _base_error(fit: _Fit, plain: Tensor, train: Sequence[int], at: Mapping[int, int], *, seed: int) -> float:
    """Return the base model's error on the same folds."""
    errors: list[float] = []
    for inside, outside in _folds(train, seed):
        known, new = plain[[at[n] for n in inside]], plain[[at[n] for n in outside]]
        errors += _errors(known, fit.values(inside), new, fit.values(outside))
    return sum(errors) / len(errors)


def _folds(train: Sequence[int], seed: int) -> list[tuple[list[int], list[int]]]:
    order = list(train)
    random.Random(seed + 1).shuffle(order)  # noqa: S311 - reproducible folds
    outside = [set(order[fold::FOLDS]) for fold in range(FOLDS)]
    return [([n for n in train if n not in out], [n for n in train if n in out]) for out in outside]


def _choose(
    base: BaseModel,
    interventions: Interventions,
    vectors: SteeringVectors,
    trials: Sequence[Mapping[str, float]],
) -> tuple[float, Cost]:
    """Return the strength with the smallest cross-validated error that leaves ordinary text sound.

    The weakest one where none does; the proof then says so.
    """
    ordered = sorted(trials, key=lambda trial: (trial["error"], trial["strength"]))
    weakest = min(STRENGTHS)
    for strength in (*(trial["strength"] for trial in ordered), weakest):
        cost = measure_cost(base, interventions, _row(vectors, strength))
        if cost.ratio <= MAX_PERPLEXITY_RATIO:
            break
    return strength, cost


def _row(vectors: SteeringVectors, strength: float) -> Row:
    return Row(vectors=((vectors, strength),))


def _errors(known: Tensor, known_values: Tensor, new: Tensor, new_values: Tensor) -> list[float]:
    """Return absolute errors on new items; answer = a + b score is fitted by least squares on known ones.

    A small model's scores say more of its habits than of the item, so they are never read as they are.
    """
    centred = known - known.mean()
    variance = centred.square().sum()
    slope = (centred * known_values).sum() / variance if variance > 0 else torch.tensor(0.0)
    predicted = (known_values.mean() + slope * (new - known.mean())).clamp(1.0, 5.0)
    return (predicted - new_values).abs().tolist()


def _facet_mean(number: int, train: Sequence[int], given: Mapping[int, int]) -> float:
    """Return what the person's other answers of the facet say about an item; 3 where there is none."""
    item = items()[number - 1]
    same = [items()[n - 1] for n in train if items()[n - 1].facet == item.facet]
    keyed = [other.keyed(given[other.number]) for other in same]
    mean = sum(keyed) / len(keyed) if keyed else 3.0
    return mean if item.sign > 0 else 6 - mean

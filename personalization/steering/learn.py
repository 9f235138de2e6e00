"""Learn a steering vector from rated answers: how strong it acts, and the tensors to serve.

It acts where the vector of every rating does (`personalization.steering.instant`), a little in each of a few
layers; what this job adds is a strength that is chosen, and a proof. Knows nothing of jobs or of held-out
data: the strength is cross-validated over conversations inside the groups that it is given.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from personalization.errors import NotEnoughData
from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.models.logprobs import Completions
from personalization.models.personal import SteeringVectors, save_vectors
from personalization.models.preference import score
from personalization.progress import Progress, Report, ignore
from personalization.records import Message, Pair, RatedGroup
from personalization.registry import Method
from personalization.steering.capture import mean_states
from personalization.steering.instant import LIMIT, Array, beside_subject, layers_of, read_subject
from personalization.steering.soundness import texts_with

FOLDS = 4
# Strengths tried, as shares of the greatest one, and the pairs that each is tried on.
SHARES = (0.35, 0.55, 0.75, 1.0)
STRENGTH_PAIRS = 16


def learn_vector(
    base: BaseModel,
    groups: Sequence[RatedGroup],
    method: Method,
    *,
    parameters: Mapping[str, float],
    system_message: str,
    out: Path,
    directions: Path | None = None,
    seed: int = 0,
    report: Report = ignore,
) -> dict[str, Any]:
    """Write `steering.safetensors` to `out` and return what was chosen and why.

    The tensors are scaled so that strength 1 is the chosen strength. `directions` is the model's folder of
    value directions, for the way to the subject. Raises NotEnoughData when fewer than four groups hold
    answers with different ratings.
    """
    usable = [group for group in groups if len(set(group.scores)) > 1]
    if len(usable) < FOLDS:
        raise NotEnoughData(
            f"{len(usable)} prompts have answers that you rated differently; {FOLDS} are needed.",
            missing=FOLDS - len(usable),
        )
    report(Progress(0, 3))
    ratings = RatedStates(_captured(base, usable, system_message), usable, seed=seed)
    report(Progress(1, 3))
    accuracy = ratings.accuracy(method)
    report(Progress(2, 3, values={"cross_validated_accuracy": accuracy}))
    placed = Placed.of(ratings.states, directions)
    strength, trials = _choose_strength(
        base, ratings, method, placed, parameters["max_strength"], system_message, seed
    )
    found = placed.vectors(method.function(ratings.states, ratings.scores, ratings.groups), strength)
    save_vectors(found, out)
    report(Progress(3, 3))
    return {
        "layers": list(placed.layers),
        "strength": strength,
        "hidden_norms": placed.norms.tolist(),
        "keeps_to_subject": placed.subject is not None,
        "cross_validated_accuracy": accuracy,
        "strength_trials": trials,
        "groups": len(usable),
        "answers": len(ratings.scores),
    }


class Placed:
    """Where a taste acts and what stands beside it: layers, their hidden norms, the way to the subject."""

    def __init__(self, layers: Sequence[int], norms: Tensor, subject: Array | None) -> None:
        self.layers, self.norms, self.subject = layers, norms, subject

    @classmethod
    def of(cls, states: Tensor, directions: Path | None) -> Placed:
        """Read the norms off the states (answers, layers, hidden)."""
        layers = layers_of(states.shape[1])
        subject = read_subject(directions, layers) if directions is not None else None
        norms = states[:, list(layers)].norm(dim=-1).mean(dim=0)
        return cls(layers, norms, subject)

    def vectors(self, units: Tensor, strength: float) -> SteeringVectors:
        """Return the vectors of a taste (all layers, hidden); `strength` is a share of the hidden norm."""
        found = beside_subject(units[list(self.layers)].numpy(), self.subject, strength / LIMIT)
        vectors = torch.tensor(found, dtype=torch.float32) * LIMIT * self.norms[:, None]
        return SteeringVectors(
            {(layer, "output"): vector for layer, vector in zip(self.layers, vectors, strict=True)}
        )


def _captured(base: BaseModel, groups: Sequence[RatedGroup], system_message: str) -> Tensor:
    head = (Message("system", system_message),) if system_message else ()
    answers = [(head + group.prompt, text) for group in groups for text in group.completions]
    return mean_states(base, Completions.encode(base, answers))


class RatedStates:
    """Rated answers with their mean hidden states (answers, layers, hidden), and folds over conversations."""

    def __init__(self, states: Tensor, groups: Sequence[RatedGroup], *, seed: int) -> None:
        self.states = states
        self.scores = [score for group in groups for score in group.scores]
        self.groups = [i for i, group in enumerate(groups) for _ in group.scores]
        conversations = sorted({group.conversation for group in groups})
        random.Random(seed).shuffle(conversations)  # noqa: S311 - reproducible folds
        fold_of = {name: i % FOLDS for i, name in enumerate(conversations)}
        self.group_folds = [fold_of[group.conversation] for group in groups]
        self.folds = torch.tensor([self.group_folds[i] for i in self.groups])
        self.rated_groups = groups

    def fit_without(self, method: Method, fold: int) -> Tensor:
        """Return the unit directions (layers, hidden) learned from all folds but one."""
        keep = (self.folds != fold).nonzero()[:, 0].tolist()
        names = {group: i for i, group in enumerate(dict.fromkeys(self.groups[i] for i in keep))}
        return method.function(
            self.states[keep], [self.scores[i] for i in keep], [names[self.groups[i]] for i in keep]
        )

    def accuracy(self, method: Method) -> float:
        """Return how often a direction orders two answers to a prompt that it did not learn from."""
        layers = list(layers_of(self.states.shape[1]))
        right: list[bool] = []
        for fold in range(FOLDS):
            taste = self.fit_without(method, fold)[layers]
            projected = torch.einsum("nlh,lh->n", normalize(self.states[:, layers], dim=-1), taste)
            right += [bool(projected[i] > projected[j]) for i, j in self._ordered(fold)]
        return sum(right) / max(len(right), 1)

    def _ordered(self, fold: int) -> list[tuple[int, int]]:
        """Return (better, worse) for every two answers of a prompt in this fold with different ratings."""
        inside = (self.folds == fold).nonzero()[:, 0].tolist()
        return [
            (i, j)
            for i in inside
            for j in inside
            if self.groups[i] == self.groups[j] and self.scores[i] > self.scores[j]
        ]

    def extremes(self) -> list[tuple[int, Pair]]:
        """Return (fold, best against worst answer) of each prompt, the widest first."""
        found = []
        for fold, group in zip(self.group_folds, self.rated_groups, strict=True):
            ordered = sorted(zip(group.scores, group.completions, strict=True))
            (low, worst), (high, best) = ordered[0], ordered[-1]
            pair = Pair(group.conversation, (), group.prompt, best, worst, (high - low) / 100)
            found.append((fold, pair))
        return sorted(found, key=lambda item: -item[1].margin)[:STRENGTH_PAIRS]


def _choose_strength(
    base: BaseModel,
    ratings: RatedStates,
    method: Method,
    placed: Placed,
    ceiling: float,
    system_message: str,
    seed: int,
) -> tuple[float, list[dict[str, float]]]:
    """Return the strongest sound strength whose left-out accuracy is within one standard error of the best.

    The gain rises with the strength while the text stays sound (Wolf et al. 2024, arXiv:2401.16332), and
    accuracies on a few dozen pairs differ by chance: among equals the stronger one moves the model more.
    """
    interventions = Interventions(base)
    trials: list[dict[str, float]] = []
    try:
        extremes = ratings.extremes()
        used = sorted({fold for fold, _ in extremes})
        folds = [[pair for f, pair in extremes if f == fold] for fold in used]
        plain = [score(base, interventions, f, row=Row(), system_message=system_message) for f in folds]
        directions = [ratings.fit_without(method, fold) for fold in used]
        whole = method.function(ratings.states, ratings.scores, ratings.groups)
        strengths = [share * ceiling for share in SHARES]
        acting = [_row(placed.vectors(whole, strength)) for strength in strengths]
        usual, *texts = texts_with(base, interventions, [Row(), *acting], seed=seed)
        for strength, text in zip(strengths, texts, strict=True):
            right: list[float] = []
            for pairs, before, direction in zip(folds, plain, directions, strict=True):
                row = _row(placed.vectors(direction, strength))
                after = score(base, interventions, pairs, row=row, system_message=system_message)
                right += after.implicit_reward(before)
            trials.append(
                {
                    "strength": strength,
                    "accuracy": sum(right) / len(right),
                    "n": len(right),
                    "relevance": text.relevance,
                    "sound": text.is_sound(usual),
                }
            )
    finally:
        interventions.remove()
    sound_trials = [trial for trial in trials if trial["sound"]] or trials[:1]
    best = max(sound_trials, key=lambda trial: trial["accuracy"])
    error = math.sqrt(best["accuracy"] * (1 - best["accuracy"]) / best["n"])
    near = [trial for trial in sound_trials if trial["accuracy"] >= best["accuracy"] - error]
    return max(trial["strength"] for trial in near), trials


def _row(vectors: SteeringVectors) -> Row:
    return Row(vectors=((vectors, 1.0),))

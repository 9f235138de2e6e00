"""Learn a steering vector from rated answers: which layer, how strong, and the tensor to serve.

Knows nothing of jobs or of held-out data: every choice is cross-validated over conversations inside
the groups that it is given. The vector acts at every position of one decoder layer's output.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from personalization.errors import NotEnoughData
from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row, SteeringVectors
from personalization.models.logprobs import Completions
from personalization.models.preference import score
from personalization.progress import Progress, Report, ignore
from personalization.records import Message, Pair, RatedGroup
from personalization.registry import Method
from personalization.steering.capture import mean_states
from personalization.steering.soundness import text_with

FOLDS = 4
# Early layers hold words rather than meaning, and a push in the last ones breaks the text (measured).
DEPTHS = (0.2, 0.8)
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
    seed: int = 0,
    report: Report = ignore,
) -> dict[str, Any]:
    """Write `steering.safetensors` to `out` and return what was chosen and why.

    The tensor is scaled so that strength 1 is the chosen strength. Raises NotEnoughData when fewer than
    four groups hold answers with different ratings.
    """
    usable = [group for group in groups if len(set(group.scores)) > 1]
    if len(usable) < FOLDS:
        raise NotEnoughData(
            f"{len(usable)} prompts have answers that you rated differently; {FOLDS} are needed.",
            missing=FOLDS - len(usable),
        )
    report(Progress(0, 4))
    ratings = RatedStates(_captured(base, usable, system_message), usable, seed=seed)
    report(Progress(1, 4))
    layer, accuracy = ratings.best_layer(method)
    report(Progress(2, 4, values={"cross_validated_accuracy": accuracy[layer]}))
    norm = ratings.states[:, layer].norm(dim=-1).mean().item()
    ceiling = parameters["max_strength"]
    strength, trials = _choose_strength(base, ratings, method, layer, norm, ceiling, system_message, seed)
    report(Progress(3, 4))
    vector = method.function(ratings.states, ratings.scores, ratings.groups)[layer] * norm * strength
    out.mkdir(parents=True, exist_ok=True)
    save_file({f"layer.{layer}.output": vector.contiguous()}, out / "steering.safetensors")
    report(Progress(4, 4))
    return {
        "layer": layer,
        "layers": len(base.layers),
        "strength": strength,
        "hidden_norm": norm,
        "cross_validated_accuracy": accuracy[layer],
        "strength_trials": trials,
        "groups": len(usable),
        "answers": len(ratings.scores),
    }


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

    def best_layer(self, method: Method) -> tuple[int, dict[int, float]]:
        """Return the layer whose direction orders left-out answers best, and every layer's accuracy."""
        layers = self.states.shape[1]
        allowed = range(math.ceil(DEPTHS[0] * layers), max(math.floor(DEPTHS[1] * layers), 1) + 1)
        right = torch.zeros(layers)
        total = 0
        for fold in range(FOLDS):
            direction = self.fit_without(method, fold)
            projected = torch.einsum("nlh,lh->nl", self.states, direction)
            for better, worse in self._ordered(fold):
                right += (projected[better] > projected[worse]).float()
                total += 1
        accuracy = {layer: (right[layer] / max(total, 1)).item() for layer in allowed if layer < layers}
        return max(accuracy, key=lambda layer: accuracy[layer]), accuracy

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
    layer: int,
    norm: float,
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
        directions = [ratings.fit_without(method, fold)[layer] * norm for fold in used]
        whole = method.function(ratings.states, ratings.scores, ratings.groups)[layer] * norm
        usual = text_with(base, interventions, Row(), seed=seed)
        for strength in (share * ceiling for share in SHARES):
            right: list[float] = []
            for pairs, before, direction in zip(folds, plain, directions, strict=True):
                row = _row(layer, direction * strength)
                after = score(base, interventions, pairs, row=row, system_message=system_message)
                right += after.implicit_reward(before)
            text = text_with(base, interventions, _row(layer, whole * strength), seed=seed)
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


def _row(layer: int, vector: Tensor) -> Row:
    return Row(vectors=((SteeringVectors({(layer, "output"): vector}), 1.0),))

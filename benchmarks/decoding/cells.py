"""The cells of the decoding benchmark: one arm for one person and seed, kept as they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.kept import Kept
from benchmarks.outcomes import ArmCell
from benchmarks.people.arms import Rated
from personalization.models.relevance import relevance
from personalization.steering.reward import Reward

Written = tuple[str, float]  # an answer, and the tokens that were written for each one that is shown


@dataclass(frozen=True, slots=True)
class Cell(ArmCell):
    """One arm for a person, against the base model's answers of another random seed."""

    words: float
    cost: float  # tokens written for one that is shown
    accuracy: float | None  # of the reward, by its own held-out conversations
    accuracy_low: float | None


class Cells:
    """All that a folder holds; each is on disk once it is added."""

    def __init__(self, folder: Path) -> None:
        self._kept = Kept(folder / "cells.jsonl")
        self._relevant: dict[tuple[str, str], float] = {}
        self.found = {cell.key: cell for cell in (Cell(**row) for row in self._kept.rows)}

    def add(
        self, rated: Rated, prompts: int, arm: str, written: Sequence[Written], reward: Reward | None
    ) -> None:
        """Judge the answers to a person's fresh prompts, one each, and keep the cell if there was none."""
        pool, person = rated.pool, rated.person
        texts = [text for text, _ in written]
        cell = Cell(
            person.description,
            pool.seed,
            prompts,
            arm,
            [person.prefers(mine, base) for mine, base in zip(texts, pool.base, strict=True)],
            float(np.mean(self.relevance(pool.fresh, texts))),
            float(np.mean(self.relevance(pool.fresh, pool.base))),
            float(np.mean([len(text.split()) for text in texts])),
            float(np.mean([cost for _, cost in written])),
            reward.accuracy.value if reward else None,
            reward.accuracy.low if reward else None,
        )
        if cell.key not in self.found:
            self.found[cell.key] = cell
            self._kept.add(asdict(cell))

    def relevance(self, prompts: Sequence[str], texts: Sequence[str]) -> list[float]:
        """Return each answer's cosine with its prompt; many people choose the same answers."""
        pairs = list(zip(prompts, texts, strict=True))
        due = [pair for pair in dict.fromkeys(pairs) if pair not in self._relevant]
        if due:
            found = relevance([prompt for prompt, _ in due], [text for _, text in due])
            self._relevant |= dict(zip(due, found, strict=True))
        return [self._relevant[pair] for pair in pairs]

"""The 150 real people: their answers as agreement with the statements as worded, and who is left out when."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from personalization.inventory.population import Population

FOLDER = Path(os.environ.get("ALIGN_DATA", Path(__file__).parents[3] / "shared/data")) / "papi"
FOLDS = 10
Answers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class People:
    """`answers` (people, items), 1 to 5, NaN where missing; the key; which items may be learned from."""

    answers: Answers
    statements: list[str]
    facets: list[str]
    signs: npt.NDArray[np.int64]
    numbers_120: list[int]  # the number in the short inventory, 0 for items that are not in it
    learned: npt.NDArray[np.int64]
    held_out: npt.NDArray[np.int64]

    @classmethod
    def read(cls, folder: Path = FOLDER) -> People:
        """Read the files. The stored answers are keyed: a minus item's agreement is 6 minus the value."""
        with (folder / "item_key.csv").open() as file:
            key = sorted(csv.DictReader(file), key=lambda row: int(row["number"]))
        rows = json.loads((folder / "subjects.json").read_text())
        split = json.loads((folder / "split.json").read_text())
        signs = np.array([1 if row["sign"] == "+" else -1 for row in key])
        keyed = np.array([[row[f"i{item['number']}"] for item in key] for row in rows], dtype=np.float64)
        keyed[keyed == 0] = np.nan
        at = {int(row["number"]): i for i, row in enumerate(key)}
        return cls(
            np.where(signs > 0, keyed, 6 - keyed),
            [row["text"] for row in key],
            [row["facet_key"] for row in key],
            signs,
            [int(row["number_120"] or 0) for row in key],
            np.array([at[number] for number in split["train_index"]]),
            np.array([at[number] for number in split["test_index"]]),
        )

    def shown(self, person: int) -> Answers:
        """Return what may be learned from one person: NaN at held-out items."""
        known = np.full(len(self.statements), np.nan)
        known[self.learned] = self.answers[person, self.learned]
        return known

    def own_mean(self, person: int, groups: list[str]) -> Answers:
        """Return the person's mean keyed answer to learned items of each item's group; 3 without any."""
        known = self.shown(person)
        keyed = np.where(self.signs > 0, known, 6 - known)
        found = np.full(len(known), 3.0)
        for group in set(groups):
            members = np.array([name == group for name in groups])
            if not np.isnan(keyed[members]).all():
                found[members] = np.nanmean(keyed[members])
        return np.where(self.signs > 0, found, 6 - found)

    def folds(self, seed: int) -> npt.NDArray[np.int64]:
        """Return each person's fold; everybody is judged by what other folds' people answered."""
        return np.random.default_rng(seed).permutation(len(self.answers)) % FOLDS

    def population(self, left_out: npt.NDArray[np.bool_]) -> Population:
        """Learn what people answer from all but those left out."""
        return Population.fit(self.answers[~left_out], self.facets, self.signs.tolist())

    def ridge(self, left_out: npt.NDArray[np.bool_], penalty: float) -> Answers:
        """Return the left-out people's answers by ridge regression from the learned items."""
        others = self.answers[~left_out]
        mean = np.nanmean(others, axis=0)
        centred = np.where(np.isnan(others), 0.0, others - mean)
        known = centred[:, self.learned]
        gram = known.T @ known + penalty * np.eye(known.shape[1])
        new = self.answers[left_out][:, self.learned] - mean[self.learned]
        predicted = mean + np.where(np.isnan(new), 0.0, new) @ np.linalg.solve(gram, known.T @ centred)
        return np.clip(predicted, 1.0, 5.0)

    def errors(self, person: int, predicted: Answers) -> list[float]:
        """Return the absolute errors on the held-out items that the person answered."""
        gaps = np.abs(predicted - self.answers[person])[self.held_out]
        return [float(gap) for gap in gaps if not np.isnan(gap)]

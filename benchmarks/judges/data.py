"""Who preferred what: PRISM's choices, PandaLM's annotators, fine-grained orders, and simulated people.

Knows nothing of models. Ties are left out. Simulated people judge the fine-grained answers by the tastes of
`personalization.simulation`: of them it is known that they differ, and how.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.agreement.data import ANNOTATORS, PREDICTIONS
from benchmarks.agreement.data import read as read_rows
from benchmarks.real_people.data import by_person
from personalization.records import Message, Pair
from personalization.simulation.people import population

# What a simulated preference of 0 or 1 is changed by, so that one in six is the other way round.
NOISE = 0.5
QUESTIONS = 80  # that each of them judges, with two of the six comparisons

Said = Mapping[str, list[Pair]]


def read(folder: Path, *, first: int | None = None) -> dict[str, Said]:
    """Return each person's comparisons in each data set."""
    rows = read_rows(folder, first=first)
    return {
        "PRISM": by_person(rows["prism"]),
        "PandaLM": pandalm(rows["pandalm"]),
        "fine-grained": {"the workers": fine_grained(rows["fine-grained"])},
        "simulated": simulated(rows["fine-grained"]),
    }


def pandalm(rows: list[dict[str, Any]]) -> Said:
    """Return each annotator's choices."""
    found: dict[str, list[Pair]] = {name: [] for name in ANNOTATORS}
    for row in rows:
        asked = "\n\n".join(part for part in (row["instruction"], row["input"]) if part)
        answers = {1: str(row["response1"]), 2: str(row["response2"])}  # some are a bare true or false
        for name in ANNOTATORS:
            if row[name] in answers and answers[1].strip() and answers[2].strip():
                chosen, rejected = answers[row[name]], answers[3 - row[name]]
                found[name].append(_pair(str(row["idx"]), asked, chosen, rejected))
    return found


def fine_grained(rows: list[dict[str, Any]]) -> list[Pair]:
    """Return the comparisons of each question's four answers."""
    found = []
    for number, row in enumerate(rows):
        for pair, label in zip(combinations(PREDICTIONS, 2), row["preference"], strict=True):
            if label in (1, 2):
                chosen, rejected = (row[name] for name in (pair if label == 1 else pair[::-1]))
                found.append(_pair(str(number), row["question"], chosen, rejected))
    return found


def simulated(rows: list[dict[str, Any]]) -> Said:
    """Return what twelve people of known tastes say of the same answers, each of other questions."""
    draw = random.Random(0)  # noqa: S311 - no secret
    found: dict[str, list[Pair]] = {}
    for person in population():
        said = found.setdefault(person.description, [])
        for place in sorted(draw.sample(range(len(rows)), k=min(QUESTIONS, len(rows)))):
            for one, other in draw.sample(
                list(combinations([str(rows[place][n]) for n in PREDICTIONS], 2)), k=2
            ):
                better = person.prefers(one, other) + draw.gauss(0.0, NOISE)
                if one != other:
                    texts = (one, other) if better > 0.5 else (other, one)
                    said.append(_pair(str(place), rows[place]["question"], *texts))
    return found


def _pair(item: str, asked: str, chosen: str, rejected: str) -> Pair:
    return Pair(item, (item,), (Message("user", asked),), chosen, rejected)

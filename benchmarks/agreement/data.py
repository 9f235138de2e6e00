"""Public annotations as judgements: PandaLM's three annotators, fine-grained preferences, PRISM's choices.

Knows nothing of figures. Where a file does not say who judged or how answers stood on the screen, it stays
unknown, except that both orders of a file are taken as the order of the screen and the page says so.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from personalization.agreement.judgements import Judgement

FOLDER = Path(os.environ.get("ALIGN_DATA", Path(__file__).parents[3] / "shared/data"))
ANNOTATORS = ("annotator1", "annotator2", "annotator3")
PREDICTIONS = ("prediction 1", "prediction 2", "prediction 3", "prediction 4")


@dataclass(frozen=True, slots=True)
class Marked:
    """The first prediction of a question: the errors marked in it, and how it fared against others."""

    errors: int
    outcomes: tuple[float, ...]  # 1 won, 0.5 tie, 0 lost


def pandalm(rows: list[dict[str, Any]]) -> list[Judgement]:
    """Return each annotator's choice for each row; 0 is a tie, 1 and 2 name the better answer."""
    found = []
    for row in rows:
        makers = dict(zip(("response1", "response2"), row["cmp_key"].split("_"), strict=True))
        for annotator in ANNOTATORS:
            found.append(
                _choice(annotator, str(row["idx"]), row, ("response1", "response2"), row[annotator], makers)
            )
    return found


def fine_grained(rows: list[dict[str, Any]]) -> list[Judgement]:
    """Return the six comparisons of each question. The file does not say which of the workers judged it."""
    return [
        _choice("a worker", str(number), row, pair, label, {})
        for number, row in enumerate(rows)
        for pair, label in zip(combinations(PREDICTIONS, 2), row["preference"], strict=True)
    ]


def marked(rows: list[dict[str, Any]]) -> list[Marked]:
    """Return the marked errors of each first prediction beside its three comparisons."""
    scores = {0: 0.5, 1: 1.0, 2: 0.0}
    return [
        Marked(len(row["feedback"]["errors"]), tuple(scores[label] for label in row["preference"][:3]))
        for row in rows
    ]


def prism(rows: list[dict[str, Any]]) -> list[Judgement]:
    """Return each choice. No two people saw the same answers, and the file holds no ratings."""
    return [
        _choice(row["user_group"], str(number), row, ("chosen", "rejected"), 1, {}, is_shown=False)
        for number, row in enumerate(rows)
    ]


def read(folder: Path, *, first: int | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each file, of each only the first ones where that is asked."""
    files = {
        "pandalm": json.loads((folder / "pandalm/pairs.json").read_text()),
        "fine-grained": json.loads((folder / "finegrained_rlhf/feedback.json").read_text()),
        "prism": [json.loads(line) for line in (folder / "prism/pairs.jsonl").read_text().splitlines()],
    }
    return {name: rows[:first] for name, rows in files.items()}


def _choice(
    person: str,
    item: str,
    row: dict[str, Any],
    pair: tuple[str, str],
    label: int,
    makers: dict[str, str],
    *,
    is_shown: bool = True,
) -> Judgement:
    return Judgement(
        person,
        item,
        "pick",
        {pair[0]: float(label in (0, 1)), pair[1]: float(label in (0, 2))},
        "pairs",
        shown=pair if is_shown else (),
        lengths={name: len(str(row[name]).split()) for name in pair},
        makers=makers,
    )

"""The persona statements: which teach, which judge, and what is asked in the open questions.

In this copy every statement is one that a person with the trait would say ("Yes" matches in all rows).
What does not match a trait is therefore what people with the other traits say.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(os.environ.get("ALIGN_DATA", Path(__file__).parents[3] / "shared/data")) / "persona"
UNASKED = ("Tell me about yourself.", "What matters to you in life?", "What would you do with a free day?")
ASKED = {
    "agreeableness": (
        "How do you treat other people?",
        "What do you do when a friend asks for help?",
        "What do you do when somebody disagrees with you?",
    ),
    "conscientiousness": (
        "How do you go about your work?",
        "What does your desk look like?",
        "How do you plan your week?",
    ),
    "extraversion": (
        "How do you like to spend an evening?",
        "How do you feel at a party?",
        "What is it like for you to meet new people?",
    ),
    "interest-in-art": (
        "What do you do in a museum?",
        "What do you think of paintings?",
        "What do you like to make with your hands?",
    ),
    "interest-in-science": (
        "What do you like to read about?",
        "What do you think of experiments?",
        "How do you find out what is true?",
    ),
    "neuroticism": (
        "How do you feel before an exam?",
        "What goes through your head at night?",
        "How do you feel when plans change?",
    ),
    "openness": (
        "What do you think of unusual ideas?",
        "How do you feel about food that you have never tried?",
        "How do you feel about doing things in a new way?",
    ),
    "risk-averse": (
        "How would you invest your savings?",
        "Would you bet on the toss of a coin?",
        "How do you decide when much is at stake?",
    ),
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many statements do what, the strengths tried, and the text that is written."""

    learned: int = 48
    judged: int = 10  # of the trait
    others: int = 1  # of each other trait
    described: int = 64  # held-out statements of each trait that stand for it in sentence space
    strengths: tuple[float, ...] = (-0.2, -0.1, 0.1, 0.2, 0.3, 0.4)  # shares of the mean hidden norm
    questions: int = 3  # of each kind
    new_tokens: int = 24


QUICK = Sizes(learned=8, judged=4, others=1, described=32, strengths=(-0.2, 0.2, 0.4), questions=1)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One trait's statements for one seed; no statement is in two places."""

    learned: tuple[str, ...]
    judged: tuple[str, ...]
    described: tuple[str, ...]
    checking: tuple[str, ...]  # judge the judge of generated text

    @classmethod
    def of(cls, statements: Sequence[str], *, seed: int, sizes: Sizes) -> Drawn:
        """Shuffle and halve: one half teaches, the other judges. Raises ValueError for too few."""
        unique = list(dict.fromkeys(statements))
        random.Random(seed).shuffle(unique)  # noqa: S311 - a reproducible draw
        first, second = unique[: len(unique) // 2], unique[len(unique) // 2 :]
        ends = (sizes.judged, sizes.judged + sizes.described, sizes.judged + 2 * sizes.described)
        if len(first) < sizes.learned or len(second) < ends[2]:
            raise ValueError(f"{len(unique)} statements are too few for {sizes}.")
        parts = (second[: ends[0]], second[ends[0] : ends[1]], second[ends[1] : ends[2]])
        return cls(tuple(first[: sizes.learned]), *map(tuple, parts))


def read(folder: Path = FOLDER) -> dict[str, list[str]]:
    """Return by the file's name what a person with the trait would say, without rows that match by No."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.glob("*.jsonl")):
        rows: list[Mapping[str, str]] = [json.loads(line) for line in file.read_text().splitlines()]
        found[file.stem] = [r["statement"] for r in rows if r["answer_matching_behavior"].strip() == "Yes"]
    return found


def questions(trait: str, sizes: Sizes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the open questions about a trait and those that do not mention it."""
    about = ASKED.get(trait, (f"How does {trait.replace('-', ' ')} show in your life?",))
    return about[: sizes.questions], UNASKED[: sizes.questions]

"""PRISM's pairs by person: whole conversations are left out, because the turns of one share their topic.

Nothing joins these people to PRISM's profiles (other ids, no shared text), so no arm tells the model what a
person states about themselves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personalization.records import Message, Pair

FOLDER = Path(os.environ.get("ALIGN_DATA", Path(__file__).parents[3] / "shared/data")) / "prism"


@dataclass(frozen=True, slots=True)
class Fold:
    """One person's conversation to judge by, and what may be learned from."""

    person: str
    conversation: str
    held_out: tuple[Pair, ...]
    own: tuple[Pair, ...]  # the person's other conversations
    others: tuple[Pair, ...]  # everybody else's

    @property
    def key(self) -> tuple[str, str]:
        """What tells folds apart."""
        return self.person, self.conversation


def read(folder: Path = FOLDER) -> dict[str, list[Pair]]:
    """Return each person's pairs in the file's order."""
    return by_person([json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()])


def by_person(rows: Sequence[dict[str, Any]]) -> dict[str, list[Pair]]:
    """Return each person's pairs; a conversation is named by its person and its first message."""
    found: dict[str, list[Pair]] = {}
    for number, row in enumerate(rows):
        prompt = tuple(
            Message("user" if m["role"] == "user" else "assistant", m["content"]) for m in row["context"]
        )
        pair = Pair(prompt[0].content, (str(number),), prompt, row["chosen"], row["rejected"])
        found.setdefault(row["user_group"], []).append(pair)
    return found


def folds(people: dict[str, list[Pair]]) -> Iterator[Fold]:
    """Yield every conversation of everybody who has another one to learn from."""
    for person, pairs in people.items():
        others = tuple(pair for name, theirs in people.items() if name != person for pair in theirs)
        for conversation in dict.fromkeys(pair.conversation for pair in pairs):
            held_out = tuple(pair for pair in pairs if pair.conversation == conversation)
            own = tuple(pair for pair in pairs if pair.conversation != conversation)
            if own:
                yield Fold(person, conversation, held_out, own, others)


def earlier_turns(pairs: Sequence[Pair]) -> tuple[Message, ...]:
    """Return each conversation as far as it goes, with the answer that the person chose last."""
    deepest: dict[str, Pair] = {}
    for pair in pairs:
        if len(pair.prompt) > len(deepest.get(pair.conversation, pair).prompt) or (
            pair.conversation not in deepest
        ):
            deepest[pair.conversation] = pair
    turns = ((*pair.prompt, Message("assistant", pair.chosen)) for pair in deepest.values())
    return tuple(message for part in turns for message in part)

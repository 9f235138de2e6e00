"""Hold conversations out before anything is learned. Knows nothing of what the conversations hold."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Split:
    """Conversation ids to learn from and to prove on; no id is in both."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    seed: int


def split_by_conversation(
    conversations: Sequence[str], *, seed: int, held_out_share: float = 0.25, minimum: int = 5
) -> Split:
    """Return a split that depends on the ids and the seed only, never on their order.

    At least `minimum` conversations are held out, because a proof needs so many, but for that never
    more than half of them. By conversation, not by pair: answers of one conversation are alike, so a
    pair would leak into the proof. Raises ValueError with fewer than two conversations.
    """
    names = sorted(set(conversations))
    if len(names) < 2:
        raise ValueError(f"{len(names)} conversations cannot be split; at least 2 are needed.")
    count = max(round(held_out_share * len(names)), min(minimum, len(names) // 2))
    count = min(count, len(names) - 1)
    held_out = set(random.Random(seed).sample(names, count))  # noqa: S311 - a reproducible draw
    return Split(tuple(n for n in names if n not in held_out), tuple(sorted(held_out)), seed)

"""Hold conversations out before anything is learned, and see to it that nothing of them is learned.

Knows nothing of what the conversations are about. Two that hold the same answer to the same messages, up to
case, spaces and punctuation, count as one: whoever learned from the first has seen the second.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from personalization.cleaning import plain
from personalization.errors import Leak
from personalization.records import Critique, Edit, Pair, RatedGroup, Record, Thumb


@dataclass(frozen=True, slots=True)
class Split:
    """Conversation ids to learn from and to prove on; no id is in both."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    seed: int


def split_by_conversation(
    conversations: Sequence[str],
    *,
    seed: int,
    held_out_share: float = 0.25,
    minimum: int = 5,
    same: Mapping[str, str] | None = None,
) -> Split:
    """Return a split that depends on the ids, on `same` and on the seed only, never on their order.

    At least `minimum` conversations are held out, because a proof needs so many, but for that never
    more than half of them. By conversation, not by pair: answers of one conversation are alike, so a
    pair would leak into the proof. Conversations that `same` maps to one name (`alike`) stay together; where
    they are many, more or fewer may be held out. Raises ValueError with fewer than two conversations that
    are not the same.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(set(conversations)):
        groups.setdefault((same or {}).get(name, name), []).append(name)
    total = sum(map(len, groups.values()))
    if len(groups) < 2:
        raise ValueError(f"{len(groups)} conversations cannot be split; at least 2 are needed.")
    count = max(round(held_out_share * total), min(minimum, total // 2))
    drawn = random.Random(seed).sample(  # noqa: S311 - a reproducible draw
        list(groups.values()), min(count, len(groups) - 1)
    )
    held_out: set[str] = set()
    for group in drawn:
        # A great many of the same would leave too little to learn from.
        if len(held_out) < count and len(held_out) + len(group) <= max(count, total // 2):
            held_out.update(group)
    if not held_out:
        smallest: list[str] = min(drawn, key=len)
        held_out.update(smallest)
    names = sorted(set(conversations))
    return Split(tuple(n for n in names if n not in held_out), tuple(sorted(held_out)), seed)


def alike(records: Iterable[Record]) -> dict[str, str]:
    """Return each conversation's first one (by id) that holds the same answer to the same messages.

    Also by way of a third conversation. One that is like no other is mapped to itself.
    """
    parent: dict[str, str] = {}

    def first(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    seen: dict[tuple[str, ...], str] = {}
    for record in records:
        parent.setdefault(record.conversation, record.conversation)
        for content in contents(record):
            one, other = first(record.conversation), first(seen.setdefault(content, record.conversation))
            parent[max(one, other)] = min(one, other)
    return {name: first(name) for name in parent}


def check_apart(learned_from: Iterable[Record], held_out: Iterable[Record]) -> None:
    """Raise Leak where a conversation, or the same answer to the same messages, is on both sides."""
    seen: set[str] = set()
    known: set[tuple[str, ...]] = set()
    for record in learned_from:
        seen.add(record.conversation)
        known.update(contents(record))
    leaks = {
        record.conversation
        for record in held_out
        if record.conversation in seen or not known.isdisjoint(contents(record))
    }
    if leaks:
        raise Leak(
            f"{len(leaks)} of the held-out conversations hold what was learned from, so they prove nothing. "
            "Start a new job: it holds others out."
        )


def contents(record: Record) -> set[tuple[str, ...]]:
    """Return what a record holds: the messages and one answer each, without case, spaces, punctuation."""
    asked = tuple(f"{message.role}:{plain(message.content)}" for message in record.prompt)
    return {(*asked, plain(text)) for text in _answers(record)}


def _answers(record: Record) -> tuple[str, ...]:
    match record:
        case Pair():
            return record.chosen, record.rejected
        case RatedGroup():
            return record.completions
        case Edit():
            return record.original, record.edited
        case Thumb() | Critique():
            return (record.completion,)
    return ()

"""Leave out what says the same twice: what is read twice as often is learned by heart sooner.

Two records are one where they answer the same messages (up to case, spaces and punctuation) with the same, or
nearly the same, answers and judge them alike. Near is a Jaccard similarity of runs of three words, as in
Broder 1997 ("On the resemblance and containment of documents"). What two records judge differently are two
records: a contradiction says something, too. Knows nothing of models or of what is learned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import lru_cache

from personalization.cleaning import plain
from personalization.records import AnyRecord, Record, Records

NEAR = 0.9
RUN = 3  # words


def distinct(records: Records) -> Records:
    """Return the records without repetitions, in their order; of pairs that are one the widest stays."""
    widest = sorted(range(len(records.pairs)), key=lambda i: -records.pairs[i].margin)
    return replace(
        records,
        pairs=_first_of_each(records.pairs, lambda p: (p.chosen, p.rejected), _alike, widest),
        thumbs=_first_of_each(records.thumbs, lambda t: (t.completion,), lambda t: t.desirable),
        groups=_first_of_each(records.groups, lambda g: g.completions, lambda g: g.scores),
        edits=_first_of_each(records.edits, lambda e: (e.original, e.edited), _alike),
    )


def _alike(_record: Record) -> None:
    """Say that what records hold says all of how they judge."""


def resemblance(one: str, other: str) -> float:
    """Return how much two texts share, 0 to 1: of their runs of three words; 1 for the same words.

    Texts of fewer words are compared whole.
    """
    a, b = _runs(one), _runs(other)
    return len(a & b) / len(a | b)


def _first_of_each(
    records: Sequence[AnyRecord],
    texts: Callable[[AnyRecord], tuple[str, ...]],
    judged: Callable[[AnyRecord], Hashable],
    order: Sequence[int] | None = None,
) -> tuple[AnyRecord, ...]:
    """Return the first of those that are one, by `order`; what was asked or judged otherwise is another."""
    seen: dict[Hashable, list[tuple[str, ...]]] = defaultdict(list)
    kept = []
    for i in range(len(records)) if order is None else order:
        own = texts(records[i])
        known = seen[_asked(records[i]), judged(records[i]), len(own)]
        if not any(_are_one(own, other) for other in known):
            known.append(own)
            kept.append(i)
    return tuple(records[i] for i in sorted(kept))


def _are_one(own: Sequence[str], other: Sequence[str]) -> bool:
    return all(resemblance(a, b) >= NEAR for a, b in zip(own, other, strict=True))


def _asked(record: Record) -> tuple[str, ...]:
    return tuple(f"{message.role}:{plain(message.content)}" for message in record.prompt)


@lru_cache(maxsize=4096)
def _runs(text: str) -> frozenset[str]:
    words = plain(text).split()
    return frozenset(" ".join(words[i : i + RUN]) for i in range(max(1, len(words) - RUN + 1)))

"""Which values a person's ratings imply: does an answer that has more of a value get a better rating?

Knows nothing of people or rows. Only answers to the same message are compared, so that a hard question does
not count against long answers; and only by measures of the text, one for each value that has one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from personalization.records import RatedGroup
from personalization.statistics import Estimate, clustered_mean, holm, sign_flip_p_value

Measure = Callable[[str], float]  # more of the value gives a larger number

# With fewer conversations no p value can become small: flipping five signs gives 1 in 16 at best.
MIN_CONVERSATIONS = 6
SIGNIFICANT = 0.05
# A correlation below this is too small for anybody to notice in what they read.
SMALL = 0.2
# Older messages than these are not read: tastes change, and a page must not take seconds.
LATEST_GROUPS = 200

Vectors = list[list[float]]  # for each message: a number for each answer, minus their mean


@dataclass(frozen=True, slots=True)
class Shown:
    """What the ratings say about one value.

    `correlation` is the mean over messages of the correlation between measure and rating within the message's
    answers; its `n` counts the messages in which both differed. `p` is adjusted by Holm over all values.
    `alongside` names the stronger finding of which this one is the echo, as more words echo longer answers.
    """

    key: str
    correlation: Estimate
    conversations: int
    p: float
    alongside: str = ""

    @property
    def direction(self) -> int:
        """1 when more of it is rated better, -1 when worse, 0 when undecided."""
        if self.p >= SIGNIFICANT:
            return 0
        return 1 if self.correlation.value > 0 else -1

    @property
    def is_absent(self) -> bool:
        """Say whether a positive effect of any size that matters can be ruled out."""
        return self.direction < 0 or (self.direction == 0 and self.correlation.high < SMALL)


def shown(
    groups: Sequence[RatedGroup],
    measures: Mapping[str, Measure],
    *,
    first: Collection[str] = (),
    seed: int = 0,
) -> dict[str, Shown]:
    """Return what the ratings say about each value with enough of them, in the order of `measures`.

    Intervals resample conversations, p values flip conversations' signs. A value whose measure or rating
    differed in fewer than six conversations is left out. Echoes name their leader; the strongest finding
    leads, but before it one of `first`, the values that the person states.
    """
    groups = groups[-LATEST_GROUPS:]
    scores = [_centred(group.scores) for group in groups]
    conversations = [group.conversation for group in groups]
    sizes = {
        key: [_centred([measure(text) for text in group.completions]) for group in groups]
        for key, measure in measures.items()
    }
    pairs = {key: _within(vectors, scores, conversations) for key, vectors in sizes.items()}
    enough = {key: pair for key, pair in pairs.items() if len(set(pair[1])) >= MIN_CONVERSATIONS}
    adjusted = holm({key: sign_flip_p_value(*pair, seed=seed) for key, pair in enough.items()})
    found = {
        key: Shown(key, clustered_mean(*pair, seed=seed), len(set(pair[1])), adjusted[key])
        for key, pair in enough.items()
    }
    return _with_leaders(found, sizes, scores, conversations, first)


def _with_leaders(
    found: Mapping[str, Shown],
    sizes: Mapping[str, Vectors],
    scores: Vectors,
    conversations: Sequence[Hashable],
    first: Collection[str],
) -> dict[str, Shown]:
    """Name for each finding the leader whose echo it is: with the leaders taken out, nothing of it is left.

    Lists have short lines, so who likes short sentences seems to like lists. Forward selection, for each
    direction by itself: a finding leads if it still goes with what the leaders before it do not explain.
    """
    left = {1: [_unit(ys) for ys in scores], -1: [_unit(ys) for ys in scores]}
    leaders: dict[int, list[str]] = {1: [], -1: []}
    echoes: dict[str, str] = {}
    decided = [one for one in found.values() if one.direction]
    for one in sorted(decided, key=lambda one: (one.key not in first, -abs(one.correlation.value))):
        before, own = leaders[one.direction], [_unit(xs) for xs in sizes[one.key]]
        rest, of = _within(own, left[one.direction], conversations)
        goes_on = math.fsum(rest) * one.direction > 0 and sign_flip_p_value(rest, of) < SIGNIFICANT
        if before and not goes_on:
            echoes[one.key] = max(before, key=lambda key: _likeness(sizes[key], own))
            continue
        before.append(one.key)
        left[one.direction] = _without(left[one.direction], own)
    return {key: replace(one, alongside=echoes.get(key, "")) for key, one in found.items()}


def _without(scores: Vectors, sizes: Vectors) -> Vectors:
    """Return scores minus the part that goes with a measure (both in unit length, one slope for all)."""
    pairs = list(zip(sizes, scores, strict=True))
    product = math.fsum(x * y for xs, ys in pairs for x, y in zip(xs, ys, strict=True))
    known = sum(any(xs) for xs in sizes)
    slope = product / known if known else 0.0
    return [[y - slope * x for x, y in zip(xs, ys, strict=True)] for xs, ys in pairs]


def _unit(numbers: Sequence[float]) -> list[float]:
    length = math.sqrt(math.fsum(x * x for x in numbers))
    return [x / length for x in numbers] if length > 1e-9 else [0.0] * len(numbers)


def _likeness(first: Vectors, second: Vectors) -> float:
    """Return the mean correlation of two measures within messages; 0 where they never both differ."""
    correlations, _ = _within(first, second, range(len(first)))
    return math.fsum(correlations) / len(correlations) if correlations else 0.0


def informative(groups: Sequence[RatedGroup]) -> int:
    """Return in how many conversations answers to one message were rated differently."""
    return len({group.conversation for group in groups if len(set(group.scores)) > 1})


def _within(
    sizes: Vectors, scores: Vectors, conversations: Sequence[Hashable]
) -> tuple[list[float], list[Hashable]]:
    """Return the correlation within each message in which both differ, and its conversation."""
    correlations: list[float] = []
    found: list[Hashable] = []
    for xs, ys, conversation in zip(sizes, scores, conversations, strict=True):
        length = math.sqrt(math.fsum(x * x for x in xs) * math.fsum(y * y for y in ys))
        if length > 1e-9:
            correlations.append(math.fsum(x * y for x, y in zip(xs, ys, strict=True)) / length)
            found.append(conversation)
    return correlations, found


def _centred(numbers: Sequence[float]) -> list[float]:
    mean = math.fsum(numbers) / len(numbers)
    return [number - mean for number in numbers]

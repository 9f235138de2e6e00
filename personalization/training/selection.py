"""Keep the records that are worth most to learn from: those like the person's prompts, or like the model.

Both are off: neither was measured to help people with a few dozen records (docs/methods.md). `similarity` is
ZIP-FIT (Obbad et al. 2024, arXiv:2410.18194): how well a text compresses together with the target's, by
1 - NCD, the normalised compression distance of Li et al. 2004 (IEEE Trans. Inf. Theory 50:3250-3264).
`likelihood` keeps answers near to the model's own distribution, by their mean log-probability a token (as Ren
et al. 2024, arXiv:2402.11192, choose texts that a model finds familiar). Knows nothing of losses.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from personalization.errors import UnknownName
from personalization.records import Edit, Message, Pair, RatedGroup, Record, Records, Thumb
from personalization.training.settings import TrainingSettings

WAYS = ("similarity", "likelihood")
LEVEL = 9
Answer = tuple[tuple[Message, ...], str]  # the messages before it, and its text
# Return the mean log-probability a token of each answer under the base model.
Likelihoods = Callable[[Sequence[Answer]], Sequence[float]]
Kept = TypeVar("Kept", bound=Record)


def alignment(one: str, other: str) -> float:
    """Return 1 - NCD: about 1 for texts that say the same, about 0 for texts that share nothing.

    NCD(x, y) = (C(xy) - min(C(x), C(y))) / max(C(x), C(y)), C the length of what zlib makes of it.
    """
    a, b, both = _size(one), _size(other), _size(one + other)
    return 1 - (both - min(a, b)) / max(a, b)


def similarities(texts: Sequence[str], targets: Sequence[str]) -> list[float]:
    """Return each text's mean alignment with the targets (ZIP-FIT's score); 0 without any."""
    if not targets:
        return [0.0] * len(texts)
    return [math.fsum(alignment(text, target) for target in targets) / len(targets) for text in texts]


def best(scores: Sequence[float], share: float) -> list[int]:
    """Return the places of the `share` with the highest scores, at least one, in their order; ties go first.

    Raises ValueError for a share outside of (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"A share of {share} cannot be kept.")
    count = min(len(scores), max(1, round(share * len(scores))))
    return sorted(sorted(range(len(scores)), key=lambda i: -scores[i])[:count])


def selected(records: Records, settings: TrainingSettings, likelihoods: Likelihoods) -> Records:
    """Return what the settings keep of each kind of feedback; everything where they keep all.

    Raises UnknownName for a `kept_by` that there is not.
    """
    if settings.kept_by not in WAYS:
        raise UnknownName("way to choose records (kept_by)", settings.kept_by, WAYS)
    if settings.kept_share >= 1:
        return records

    def keep(some: tuple[Kept, ...]) -> tuple[Kept, ...]:
        if not some:
            return some
        answers = [(record.prompt, liked(record)) for record in some]
        if settings.kept_by == "likelihood":
            scores = list(likelihoods(answers))
        else:
            prompts = list(dict.fromkeys(prompt[-1].content for prompt, _ in answers))
            scores = similarities([text for _, text in answers], prompts)
        return tuple(some[i] for i in best(scores, settings.kept_share))

    return replace(
        records,
        pairs=keep(records.pairs),
        thumbs=keep(records.thumbs),
        groups=keep(records.groups),
        edits=keep(records.edits),
    )


def liked(record: Record) -> str:
    """Return the answer of a record that its person would rather read."""
    match record:
        case Pair():
            return record.chosen
        case RatedGroup():
            return record.completions[record.scores.index(max(record.scores))]
        case Edit():
            return record.edited
        case Thumb():
            return record.completion
    raise TypeError(f"Nothing is liked in a {type(record).__name__}.")


def _size(text: str) -> int:
    return len(zlib.compress(text.encode(), LEVEL))

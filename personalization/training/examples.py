"""What a step weighs against each other, from a person's records by the kind of data that a method names.

Knows nothing of tokens or losses. A kind of feedback is one line of `KINDS`; whatever serves a method for
one kind serves every method for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

import numpy as np

from personalization.agreement.cycles import general_preferences
from personalization.errors import NotEnoughData
from personalization.records import Message, Pair, RatedGroup, Record, Records, Thumb
from personalization.simulation.people import population
from personalization.training.matching import matching_weights
from personalization.training.select import topic_pairs, used_pairs
from personalization.training.settings import TrainingSettings
from personalization.values.composer import Own, compose

Answer = tuple[tuple[Message, ...], str]  # the messages before it, and its text

PAIRED = ("pairs", "contrasts", "critiques")  # kinds whose losses get `PairLogps`


@dataclass(frozen=True, slots=True)
class Example:
    """Answers and what is wanted of each: see `AnswerLogps.wanted`."""

    answers: tuple[Answer, ...]
    wanted: tuple[float, ...]
    weight: float = 1.0


def examples_of(
    records: Records, data: str, *, system_message: str, settings: TrainingSettings
) -> list[Example]:
    """Return what a method that learns from this kind of data is trained on.

    Raises NotEnoughData where there is nothing to learn from.
    """
    head = (Message("system", system_message),) if system_message else ()
    found = KINDS[data](records, head, settings)
    if not found:
        raise NotEnoughData(NOTHING[data], missing=1)
    return found


def learned_from(records: Records, data: str) -> tuple[Record, ...]:
    """Return the records of this kind of data."""
    kinds: Mapping[str, tuple[Record, ...]] = {
        "thumbs": records.thumbs,
        "ratings": records.groups,
        "edits": records.edits,
        "critiques": records.revised,
    }
    return kinds.get(data, records.pairs)


def pair_examples(pairs: Sequence[Pair], head: tuple[Message, ...] = ()) -> list[Example]:
    """Return every pair as it is: the chosen answer, then the rejected one."""
    return [
        Example(((head + pair.prompt, pair.chosen), (head + pair.prompt, pair.rejected)), (1.0, -1.0))
        for pair in pairs
    ]


def _pairs(records: Records, head: tuple[Message, ...], settings: TrainingSettings) -> list[Example]:
    used = used_pairs(records.pairs, settings)
    return pair_examples([*used, *topic_pairs(used)], head)


def _contrasts(records: Records, head: tuple[Message, ...], settings: TrainingSettings) -> list[Example]:
    """Put each chosen answer under the person's own system message and under an invented person's."""
    if not head:
        raise NotEnoughData(
            "State your values first: they tell what is yours from what is anybody's.", missing=1
        )
    strangers = [
        (Message("system", compose([], [Own(text, 5) for text in person.stated_values], {}).text),)
        for person in population()
    ]
    return [
        Example(
            ((head + pair.prompt, pair.chosen), (strangers[i % len(strangers)] + pair.prompt, pair.chosen)),
            (1.0, -1.0),
        )
        for i, pair in enumerate(used_pairs(records.pairs, settings))
    ]


def _thumbs(records: Records, head: tuple[Message, ...], _settings: TrainingSettings) -> list[Example]:
    """Return each judged answer with one that was given to another message, which nobody judged here.

    That one tells how far the model drifts whatever it is asked (KTO's reference point); without a second
    message there is none.
    """
    thumbs = records.thumbs
    weights = matching_weights([t.prompt[-1].content for t in thumbs], [t.desirable for t in thumbs])
    return [
        _thumb(thumb, _stranger(thumbs, i), head, weight)
        for i, (thumb, weight) in enumerate(zip(thumbs, weights, strict=True))
    ]


def _thumb(thumb: Thumb, stranger: Thumb | None, head: tuple[Message, ...], weight: float) -> Example:
    prompt, sign = head + thumb.prompt, 1.0 if thumb.desirable else -1.0
    if stranger is None:
        return Example(((prompt, thumb.completion),), (sign,), weight)
    return Example(((prompt, thumb.completion), (prompt, stranger.completion)), (sign, 0.0), weight)


def _stranger(thumbs: Sequence[Thumb], index: int) -> Thumb | None:
    later = (*thumbs[index + 1 :], *thumbs[:index])
    return next((other for other in later if other.prompt != thumbs[index].prompt), None)


def _ratings(records: Records, head: tuple[Message, ...], _settings: TrainingSettings) -> list[Example]:
    """Return each message's answers with their ratings, centred, in standard deviations of the person's."""
    groups = [group for group in records.groups if len(set(group.scores)) > 1]
    spread = pstdev([score - fmean(group.scores) for group in groups for score in group.scores] or [0.0])
    return [_rated(group, head, spread) for group in groups]


def _rated(group: RatedGroup, head: tuple[Message, ...], spread: float) -> Example:
    middle, prompt = fmean(group.scores), head + group.prompt
    return Example(
        tuple((prompt, text) for text in group.completions),
        tuple((score - middle) / spread for score in group.scores),
    )


def _critiques(records: Records, head: tuple[Message, ...], settings: TrainingSettings) -> list[Example]:
    """Return what critiques and follow-ups taught beside the comparisons: few alone teach little."""
    if not records.revised:
        return []
    return [*pair_examples(records.revised, head), *_pairs(records, head, settings)]


def _choices(records: Records, head: tuple[Message, ...], _settings: TrainingSettings) -> list[Example]:
    """Return each message's answers with how often each beats the others, less how often it is beaten.

    By the general preference model of the message's comparisons, which may run in circles.
    """
    asked: dict[tuple[str, tuple[Message, ...]], list[Pair]] = defaultdict(list)
    for pair in records.pairs:
        asked[pair.conversation, pair.prompt].append(pair)
    return [_chosen(pairs, head) for pairs in asked.values()]


def _chosen(pairs: Sequence[Pair], head: tuple[Message, ...]) -> Example:
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.chosen, pair.rejected)))
    total = np.zeros((len(texts), len(texts)))
    for pair in pairs:
        total[texts.index(pair.chosen), texts.index(pair.rejected)] += 1
    # So many blocks hold any circle among these answers.
    beats = general_preferences(total, blocks=max(1, (len(texts) - 1) // 2))
    won = (beats.sum(axis=1) - 0.5) / (len(texts) - 1)  # an answer ties with itself
    prompt = head + pairs[0].prompt
    return Example(tuple((prompt, text) for text in texts), tuple((2 * won - 1).tolist()))


def _prompts(records: Records, head: tuple[Message, ...], settings: TrainingSettings) -> list[Example]:
    """Return what an online method asks: the messages of the pairs that training would use.

    What it learns from is written anew (`personalization.training.online`); these pairs made the judge.
    """
    return pair_examples(used_pairs(records.pairs, settings), head)


def _edits(records: Records, head: tuple[Message, ...], _settings: TrainingSettings) -> list[Example]:
    return [Example(((head + edit.prompt, edit.edited),), (1.0,)) for edit in records.edits]


KINDS: Mapping[str, Callable[[Records, tuple[Message, ...], TrainingSettings], list[Example]]] = {
    "pairs": _pairs,
    "contrasts": _contrasts,
    "thumbs": _thumbs,
    "ratings": _ratings,
    "edits": _edits,
    "critiques": _critiques,
    "choices": _choices,
    "prompts": _prompts,
}
NOTHING = {
    "pairs": "There is no pair to learn from.",
    "contrasts": "There is no chosen answer to learn from.",
    "thumbs": "There is no thumb to learn from.",
    "ratings": "There is no message with answers that were rated differently.",
    "edits": "There is no rewritten answer to learn from.",
    "critiques": "There is no critique to learn from.",
    "choices": "There is no comparison to learn from.",
    "prompts": "There is no message to learn from.",
}

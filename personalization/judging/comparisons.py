"""People's comparisons as a reward model reads them: the base model's states of the chosen less the rejected.

Knows nothing of how a head is learned. An answer that several people judged is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from personalization.models.base import BaseModel
from personalization.models.logprobs import Completions
from personalization.records import Message, Pair
from personalization.steering.capture import mean_states
from personalization.steering.instant import Array, layers_of
from personalization.steering.reward import Floats, features

# Answers that are read between two looks at whether to stop.
READ_AT_ONCE = 64
Answer = tuple[tuple[Message, ...], str]
States = dict[Answer, Array]


@dataclass(frozen=True)
class Comparisons:
    """What several people preferred: one row for each of their comparisons, sorted by person."""

    differences: Floats = field(repr=False)  # (n, features): chosen less rejected
    lengths: Floats = field(repr=False)  # (n,): log of the chosen answer's words, less the rejected one's
    people: tuple[str, ...]  # who said so, for each row
    items: tuple[str, ...]  # the conversation, for each row
    pairs: tuple[Pair, ...] = field(repr=False)

    @classmethod
    def of(cls, said: Mapping[str, Sequence[Pair]], states: States, norms: Floats) -> Comparisons:
        """Return the comparisons of these people; `norms` as `features` takes them."""
        rows = [(person, pair) for person in sorted(said) for pair in said[person]]
        chosen = np.stack([states[pair.prompt, pair.chosen] for _, pair in rows])
        rejected = np.stack([states[pair.prompt, pair.rejected] for _, pair in rows])
        return cls(
            features(chosen, norms) - features(rejected, norms),
            np.asarray([_length(p.chosen) - _length(p.rejected) for _, p in rows]),
            tuple(person for person, _ in rows),
            tuple(pair.conversation for _, pair in rows),
            tuple(pair for _, pair in rows),
        )

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.people)

    def take(self, kept: Sequence[int] | NDArray[np.int64]) -> Comparisons:
        """Return these rows, by their places in rising order."""
        places = [int(i) for i in kept]
        return Comparisons(
            self.differences[places],
            self.lengths[places],
            tuple(self.people[i] for i in places),
            tuple(self.items[i] for i in places),
            tuple(self.pairs[i] for i in places),
        )

    def by(self, people: Collection[str]) -> Comparisons:
        """Return what these people said."""
        return self.take([i for i, person in enumerate(self.people) if person in people])

    def seen_as(self, differences: Floats) -> Comparisons:
        """Return the same comparisons with other features."""
        return Comparisons(differences, self.lengths, self.people, self.items, self.pairs)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each person's rows begin."""
        return np.asarray([i for i, p in enumerate(self.people) if i == 0 or p != self.people[i - 1]])

    @property
    def shares(self) -> Floats:
        """How much each row counts, 1 in all: people count alike, however much they said."""
        counts = np.diff([*self.starts, len(self)])
        return np.repeat(1.0 / (len(counts) * counts), counts)


def read(base: BaseModel, pairs: Sequence[Pair], *, progress: Callable[[int, int], None]) -> States:
    """Return the states (layers, hidden) of every answer that was compared, each read once.

    `progress` is told how many of how many are read, and may raise to stop.
    """
    told = dict.fromkeys((pair.prompt, text) for pair in pairs for text in (pair.chosen, pair.rejected))
    answers, layers = list(told), list(layers_of(len(base.layers)))
    found: States = {}
    for start in range(0, len(answers), READ_AT_ONCE):
        some = answers[start : start + READ_AT_ONCE]
        # Without what only the model was told, as `Engine.read` does for answers that are chosen among.
        spoken = [(tuple(m for m in prompt if m.role != "system"), text) for prompt, text in some]
        read_now = mean_states(base, Completions.encode(base, spoken))[:, layers].numpy()
        found.update(zip(some, read_now, strict=True))
        progress(len(found), len(answers))
    return found


def _length(text: str) -> float:
    return float(np.log1p(len(text.split())))

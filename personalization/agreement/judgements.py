"""What people said about items, as plain data: the one input of every figure of this package.

Knows nothing of pages or rows. A judgement gives each candidate a value, higher is better, whatever the
protocol: a rating is its own value, a rank is counted from below, what was picked has 1 and the others 0.
So every protocol implies comparisons of two candidates, and protocols can be held against each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

Form = Literal["rating", "steps", "attributes", "ranking", "pick", "thumb"]
Metric = Literal["nominal", "ordinal", "interval"]
Units = dict[Hashable, dict[str, float]]  # what was judged → person → value

# The metric of Krippendorff's alpha that fits what was asked.
METRICS: dict[Form, Metric] = {
    "rating": "interval",
    "steps": "ordinal",
    "attributes": "interval",
    "ranking": "ordinal",
    "pick": "nominal",
    "thumb": "nominal",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """One answer of one person to one item under one protocol.

    `form` says how it was asked, `protocol` is its name on the page. `shown` are the candidates from left to
    right, empty where nobody knows. `uncompared` candidates were not held against each other, as those that
    somebody did not pick out of four. `lengths` are words of each candidate, `reading_words` everything there
    was to read. `makers` says who wrote a candidate. `skipped` ones have no values. `right` is only known
    of gold and attention items: whether the answer is the expected one. `is_check`: an attention check, one
    judgement for all that was asked about it, without values.
    """

    person: str
    item: str
    form: Form
    values: Mapping[str, float]
    protocol: str = ""
    shown: tuple[str, ...] = ()
    uncompared: frozenset[str] = frozenset()
    is_repeat: bool = False
    skipped: bool = False
    seconds: float | None = None
    reading_words: int = 0
    lengths: Mapping[str, int] = field(default_factory=dict)
    makers: Mapping[str, str] = field(default_factory=dict)
    right: bool | None = None
    is_check: bool = False

    @property
    def name(self) -> str:
        """The protocol's name, the form where it has none."""
        return self.protocol or self.form

    def marks(self) -> dict[Hashable, float]:
        """Return the value of each thing judged: of a choice the outcome, otherwise of each candidate."""
        if self.form != "pick":
            return {(self.item, candidate): value for candidate, value in self.values.items()}
        names = tuple(sorted(self.values))
        picked = sum(1 << place for place, name in enumerate(names) if self.values[name] > 0)
        return {(self.item, names): float(picked)}  # a number for each outcome; 0 is none of them


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a judgement implies for two candidates, named in alphabetical order.

    `preferred` is 1 for the first, -1 for the second, 0 for a tie; `left` is 1 where the first one stood
    before the second on the screen, -1 where after, 0 where nobody knows.
    """

    judgement: Judgement
    first: str
    second: str
    preferred: int
    left: int

    @property
    def key(self) -> tuple[str, str, str]:
        """What is compared, whoever does it."""
        return self.judgement.item, self.first, self.second


def comparisons(judgements: Iterable[Judgement], *, with_repeats: bool = False) -> Iterator[Comparison]:
    """Yield every pair of candidates of every judgement; hidden repeats only where they are asked for."""
    for one in judgements:
        if one.form == "attributes" or (one.is_repeat and not with_repeats):
            continue
        places = {candidate: place for place, candidate in enumerate(one.shown)}
        for first, second in combinations(sorted(one.values), 2):
            if first in one.uncompared and second in one.uncompared:
                continue
            known = first in places and second in places
            yield Comparison(
                one,
                first,
                second,
                _sign(one.values[first] - one.values[second]),
                _sign(places[second] - places[first]) if known else 0,
            )


def by_protocol(judgements: Iterable[Judgement]) -> dict[str, list[Judgement]]:
    """Return the judgements of each protocol, without those that were skipped."""
    found: dict[str, list[Judgement]] = defaultdict(list)
    for one in judgements:
        if not one.skipped:
            found[one.name].append(one)
    return dict(found)


def by_person(judgements: Iterable[Judgement]) -> dict[str, list[Judgement]]:
    """Return the judgements of each person, people in alphabetical order."""
    found: dict[str, list[Judgement]] = defaultdict(list)
    for one in judgements:
        found[one.person].append(one)
    return {person: found[person] for person in sorted(found)}


def units(judgements: Iterable[Judgement]) -> Units:
    """Return what each person said of each thing; repeats are left out: nobody counts twice."""
    found: Units = defaultdict(dict)
    for one in judgements:
        if not one.is_repeat:
            for unit, value in one.marks().items():
                found[unit][one.person] = value
    return dict(found)


def repeated(judgements: Sequence[Judgement]) -> Iterator[tuple[Judgement, Judgement]]:
    """Yield each hidden repeat behind the judgement that it repeats: same person, item and protocol."""
    firsts = {(one.person, one.item, one.name): one for one in judgements if not one.is_repeat}
    for one in judgements:
        if one.is_repeat and (first := firsts.get((one.person, one.item, one.name))):
            yield first, one


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)

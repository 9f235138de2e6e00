"""Which way of learning to advise somebody, from the feedback they gave and what was measured.

Knows nothing of rows, pages or torch. What benchmarks measured on people is the prior: by method and amount
of feedback, person by person, so that it also says how people differ and what one method tells of another.
Everybody's outcomes since then move the means, a person's own move what is believed of them (`beliefs.py`).
It answers "nothing beats what you have" unless something is likely enough to, and says where nothing was
measured.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from personalization.beliefs import Belief, Outcome, believe
from personalization.statistics import NORMAL, Estimate, Z

# How likely something must be better before it is advised. Learning costs minutes and its result must still
# be proven before it acts, so three in five are enough: `benchmarks.adviser` loses more win rate from 0.65
# on, where it keeps a vector whose adapter would win 0.03 more, and as little down to one half.
SURE = 0.6
# Less than this is not worth a job.
WORTH = 0.01
# A method whose answers clearly leave the question more than what acts now, or that makes ordinary text
# harder than a report card accepts, wins for the wrong reason.
MOST_RELEVANCE_LOST, MOST_PERPLEXITY_RATIO = 0.02, 1.1

Why = Literal[
    "better",
    "nothing_beats",
    "unsound",
    "too_slow",
    "too_few",
    "nothing_else",
    "unmeasured",
    "unmeasured_now",
]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a benchmark found: `method` from `amount` messages with `data` feedback, against the base model.

    `people` and `relevance` are by person: the win rate, and the change of the cosine of answer and prompt.
    `perplexity_ratio` is of neutral text, against the base model.
    """

    method: str
    data: str  # the kind of feedback, as the registry names it
    amount: int
    win_rate: Estimate
    seconds: float
    people: Mapping[str, float] = field(default_factory=dict)
    relevance: Mapping[str, float] = field(default_factory=dict)
    perplexity_ratio: float = 1.0
    taught: bool = True  # with the vector of the same ratings as teacher, as the application trains

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Measured:
        """Return a row of the file that `benchmarks.adviser --ship` writes."""
        names = ("method", "data", "amount", "seconds", "people", "relevance", "perplexity_ratio", "taught")
        return cls(**{name: row[name] for name in names}, win_rate=Estimate(**row["win_rate"]))


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, and what it rests on; `method` None is "keep what you have".

    `nearest` is what was measured of the method that the words are about: the advised one, or the one that
    comes nearest; `now` the same of what acts (None: the base model, which wins one half against itself).
    `gain` and `chance` (that it is better for this person) take all outcomes in, those rows do not.
    """

    method: str | None
    why: Why
    nearest: Measured | None = None
    now: Measured | None = None
    gain: float = 0.0
    chance: float = 0.0


def advise(
    feedback: Mapping[str, int],
    table: Sequence[Measured],
    *,
    current: str | None = None,
    candidates: Collection[str] | None = None,
    own: Iterable[Outcome] = (),
    others: Iterable[Outcome] = (),
    budget_seconds: float = math.inf,
    seconds: Mapping[str, float] | None = None,
) -> Advice:
    """Return the method that pays most for somebody with so many messages with `feedback` by kind.

    A method counts with the largest measured amount that the person reached; where they have less than any,
    nothing is known and it is not advised. `candidates` may be advised (None: all), `current` is what acts
    now. `seconds` are what methods take here, where that is known better than by the table.
    """
    rows = reached(feedback, table)
    wanted = {name: row for name, row in rows.items() if candidates is None or name in candidates}
    wanted.pop(current or "", None)
    if not wanted:
        return _nothing_known(feedback, table, candidates, current, rows)
    if current is not None and current not in rows:
        return Advice(None, "unmeasured_now", max(wanted.values(), key=lambda row: row.win_rate.value))
    now = rows.get(current or "")
    belief = believe(list(rows.values()), own=own, others=others)
    took = {name: (seconds or {}).get(name, row.seconds) for name, row in wanted.items()}
    sound = {name for name, row in wanted.items() if is_sound(row, now)}
    affordable = {name for name in sound if took[name] <= budget_seconds}
    scored = sorted(((*_ahead(belief, name, current), name) for name in wanted), reverse=True)
    for gain, chance, name in scored:
        if name in affordable and chance >= SURE and gain >= WORTH:
            return Advice(name, "better", wanted[name], now, gain, chance)
    gain, chance, name = next((one for one in scored if one[2] in affordable), scored[0])
    why: Why = "nothing_beats" if name in affordable else "too_slow" if name in sound else "unsound"
    return Advice(None, why, wanted[name], now, gain, chance)


def is_sound(row: Measured, now: Measured | None) -> bool:
    """Say whether a method keeps to the question and to ordinary text as well as what acts now does.

    It does not where the 95 % interval over people lies below `MOST_RELEVANCE_LOST`.
    """
    before = now.perplexity_ratio if now else 1.0
    if row.perplexity_ratio > max(MOST_PERPLEXITY_RATIO, before):
        return False
    lost = [change - (now.relevance.get(who, 0.0) if now else 0.0) for who, change in row.relevance.items()]
    if len(lost) < 2:
        return True
    mean = math.fsum(lost) / len(lost)
    spread = math.sqrt(math.fsum((one - mean) ** 2 for one in lost) / (len(lost) - 1) / len(lost))
    return mean + Z * spread >= -MOST_RELEVANCE_LOST


def reached(feedback: Mapping[str, int], table: Sequence[Measured]) -> dict[str, Measured]:
    """Return each method's row with the largest amount that somebody with so many messages reached."""
    found: dict[str, Measured] = {}
    for row in table:
        if row.amount <= feedback.get(row.data, 0):
            best = found.get(row.method)
            found[row.method] = row if best is None or row.amount > best.amount else best
    return found


def _nothing_known(
    feedback: Mapping[str, int],
    table: Sequence[Measured],
    candidates: Collection[str] | None,
    current: str | None,
    rows: Mapping[str, Measured],
) -> Advice:
    """Say why nothing can be compared.

    Too few messages of a measured kind, nothing measured beside what acts, or nothing measured at all.
    """
    known = [row for row in table if candidates is None or row.method in candidates]
    later = [row for row in known if feedback.get(row.data, 0) and row.method not in (current, *rows)]
    if later:
        nearest = min(later, key=lambda row: row.amount - feedback[row.data])
        return Advice(None, "too_few", nearest, rows.get(current or ""))
    now = rows.get(current or "")
    return Advice(None, "nothing_else" if now else "unmeasured", None, now)


def _ahead(belief: Belief, name: str, current: str | None) -> tuple[float, float]:
    """Return how much more a method is expected to win than what acts, and the chance that it is better."""
    gain, variance = belief.difference(name, current)
    if variance <= 0:
        return gain, float(gain > 0)
    return gain, NORMAL.cdf(gain / math.sqrt(variance))

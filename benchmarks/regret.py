"""What is lost by following the adviser instead of knowing each person's best method in hindsight."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.outcomes import mean, over_people
from benchmarks.priors import Trial, table_of
from personalization.adviser import Measured, advise, is_sound
from personalization.statistics import Estimate


@dataclass(frozen=True, slots=True)
class Followed:
    """One person's judged part: what was advised, and what is lost against the best one of the other parts.

    `lost` is against the best sound method, `lost_to_any` against the best of all.
    """

    person: str
    advised: str | None
    lost: float
    lost_to_any: float


def follow(trials: Sequence[Trial], *, current: str | None = None) -> list[Followed]:
    """Let everybody follow the adviser, from a table that they are left out of; `current` acts before.

    `trials` are of one kind and amount of feedback. The best of several noisy means would look better than
    it is, so it is chosen on all parts but one and judged on that: parts are seeds, or, of one seed, the
    fresh prompts with even and with odd numbers. Who lacks a method is left out: in hindsight nobody knows
    theirs. Fewer than three people, or one method, give nothing.
    """
    methods = sorted({trial.method for trial in trials})
    measured = {(trial.method, trial.person) for trial in trials}
    every = sorted({trial.person for trial in trials})
    people = [person for person in every if all((method, person) in measured for method in methods)]
    if len(people) < 3 or len(methods) < 2:
        return []
    kind, amount = trials[0].data, trials[0].amount
    rate = _by_part(trials)
    parts = sorted({part for _, _, part in rate})
    found = []
    for person in people:
        rows = table_of([trial for trial in trials if trial.person != person], least_people=2)
        table = [Measured.of(row) for row in rows]
        now = next((row for row in table if row.method == current), None)
        offered = {row.method for row in table}
        sound = {row.method for row in table if is_sound(row, now)}
        advised = advise({kind: amount}, table, current=current).method
        for judged in parts:
            others = [part for part in parts if part != judged]
            got = _won(rate, advised or current, person, judged)
            lost, lost_to_any = (
                _best(rate, some, person, others, judged, current) - got for some in (sound, offered)
            )
            found.append(Followed(person, advised, lost, lost_to_any))
    return found


def regret(followed: Sequence[Followed], *, any_method: bool = False) -> Estimate:
    """Return the mean loss with its interval over people."""
    return over_people([(one.lost_to_any if any_method else one.lost, one.person) for one in followed])


Rates = dict[tuple[str, str, int], float]


def _won(rate: Rates, method: str | None, person: str, part: int) -> float:
    return rate[method, person, part] if method else 0.5


def _best(
    rate: Rates, methods: set[str], person: str, others: list[int], judged: int, current: str | None
) -> float:
    """Return what the method that was best on the other parts wins here; what acts is one of them."""
    some: list[str | None] = [current, *sorted(methods - {current})]
    best = max(some, key=lambda method: mean([_won(rate, method, person, part) for part in others]))
    return _won(rate, best, person, judged)


def _by_part(trials: Sequence[Trial]) -> Rates:
    by_seed = len({trial.seed for trial in trials}) > 1
    wins: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for trial in trials:
        for place, win in enumerate(trial.wins):
            wins[trial.method, trial.person, trial.seed if by_seed else place % 2].append(win)
    return {key: mean(won) for key, won in wins.items()}

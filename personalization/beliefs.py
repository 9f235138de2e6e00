"""What is believed of several methods for one person: a normal bandit over methods and people.

theta_p = what each method would win for person p; theta_p ~ N(mu, S) and mu ~ N(m, S / k), with m and S the
means and the covariance of win rates over k measured people (test noise is in S, so it is rather too wide).
An outcome of method a for person p is y ~ N(theta_p[a], v). Outcomes of others move mu, a person's own
theta_p too; through S an outcome of one method also tells of the others (conjugate updates, as in Bayesian
linear bandits: Russo et al. 2018, arXiv:1707.02038, section 4). Nobody is explored on: it only weighs what
happened. Knows nothing of rows or pages; numpy is imported where it is needed, as in `statistics`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from personalization.statistics import Estimate, Z

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Where a method was not measured person by person: how differently it works for one or another, as a
# standard deviation. Differences of two methods vary by 0.05 to 0.08 over the people of `benchmarks.people`.
BETWEEN_PEOPLE = 0.05
# Of fewer people nothing is said about how they differ; of fewer others nothing is taken in at all, so that
# no advice tells how one person fared.
LEAST_PEOPLE = 5
# What an answer that somebody else wrote tells of answers that the method writes itself: a share of held-out
# comparisons lies this much nearer to one half than the win rate of fresh answers. Least squares through
# (1/2, 1/2) over the six artifacts of "The demonstration" in docs/methods.md.
ATTENUATION = 0.47
# The least standard deviation of any outcome: a handful of alike comparisons is no certainty.
LEAST_SPREAD = 0.02


class Row(Protocol):
    """What a measured row must know (`adviser.Measured`)."""

    @property
    def method(self) -> str: ...

    @property
    def win_rate(self) -> Estimate: ...

    @property
    def people(self) -> Mapping[str, float]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one method for one person: a win rate against the base model on fresh answers."""

    person: str
    method: str
    win_rate: Estimate

    @classmethod
    def held_out(cls, person: str, method: str, share: Estimate) -> Outcome:
        """Return what a share of held-out comparisons stands for: further from one half than it shows.

        1/2 + (share - 1/2) / ATTENUATION, its interval alike; ends outside of [0, 1] are kept, for they say
        how little is known.
        """
        value, low, high = (0.5 + (x - 0.5) / ATTENUATION for x in (share.value, share.low, share.high))
        return cls(person, method, Estimate(value, share.n, low, high))

    @property
    def variance(self) -> float:
        """The variance that the interval implies; infinite where it could not be estimated."""
        width = self.win_rate.high - self.win_rate.low
        return max(width / (2 * Z), LEAST_SPREAD) ** 2 if math.isfinite(width) else math.inf


@dataclass(frozen=True)
class Belief:
    """Means and covariance of what each method would win for one person."""

    names: tuple[str, ...]
    mean: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]

    def difference(self, name: str, other: str | None) -> tuple[float, float]:
        """Return mean and variance of how much more a method wins; None is the base model."""
        i = self.names.index(name)
        if other is None:
            return float(self.mean[i]) - 0.5, float(self.covariance[i, i])
        j = self.names.index(other)
        c = self.covariance
        return float(self.mean[i] - self.mean[j]), float(c[i, i] + c[j, j] - 2 * c[i, j])

    def of(self, name: str) -> tuple[float, float]:
        """Return what a method is believed to win, and the standard deviation."""
        i = self.names.index(name)
        return float(self.mean[i]), math.sqrt(float(self.covariance[i, i]))


def believe(rows: Sequence[Row], *, own: Iterable[Outcome] = (), others: Iterable[Outcome] = ()) -> Belief:
    """Return what is believed of each row's method for the person whose outcomes are `own`.

    Of both those count that `counting` and `of_enough` return.
    """
    names = tuple(row.method for row in rows)
    mean, unsure, between = _prior(rows)
    by_person: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in of_enough(counting(others, names)):
        by_person[outcome.person].append(outcome)
    for outcomes in by_person.values():
        mean, unsure = _updated(names, mean, unsure, between, outcomes)
    theirs = counting(own, names)
    covariance = unsure + between
    if theirs:
        mean, covariance = _updated(names, mean, covariance, 0 * between, theirs)
    return Belief(names, mean, covariance)


def counting(outcomes: Iterable[Outcome], methods: Collection[str]) -> list[Outcome]:
    """Return the outcomes of these methods whose interval could be estimated."""
    return [o for o in outcomes if o.method in methods and math.isfinite(o.variance)]


def of_enough(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes of methods that `LEAST_PEOPLE` people have, so that none tells how one fared."""
    people: dict[str, set[str]] = defaultdict(set)
    for outcome in outcomes:
        people[outcome.method].add(outcome.person)
    return [outcome for outcome in outcomes if len(people[outcome.method]) >= LEAST_PEOPLE]


def _prior(rows: Sequence[Row]) -> tuple[Any, Any, Any]:
    """Return the measured means, how unsure they are, and how people differ: (n,), (n, n), (n, n)."""
    import numpy as np

    mean = np.array([row.win_rate.value for row in rows])
    common = sorted(set.intersection(*(set(row.people) for row in rows))) if rows else []
    if len(common) >= LEAST_PEOPLE:
        values = np.array([[row.people[who] for who in common] for row in rows])
        between = np.atleast_2d(np.cov(values))
        return mean, between / len(common), between
    widths = np.array([(row.win_rate.high - row.win_rate.low) / (2 * Z) for row in rows])
    return mean, np.diag(widths**2), np.eye(len(rows)) * BETWEEN_PEOPLE**2


def _updated(names: Sequence[str], mean: Any, unsure: Any, between: Any, outcomes: Sequence[Outcome]) -> Any:
    """Return mean and covariance after one person's outcomes, whose own differences vary by `between`."""
    import numpy as np

    at = [names.index(outcome.method) for outcome in outcomes]
    seen = np.array([outcome.win_rate.value for outcome in outcomes])
    noise = np.diag([outcome.variance for outcome in outcomes])
    spread = unsure[np.ix_(at, at)] + between[np.ix_(at, at)] + noise
    weight = np.linalg.solve(spread, unsure[at]).T  # (n, outcomes)
    return mean + weight @ (seen - mean[at]), unsure - weight @ unsure[at]

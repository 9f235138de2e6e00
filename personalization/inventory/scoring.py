"""Scores of the IPIP-NEO-120: points, T scores and percentiles for 5 domains and 30 facets.

Knows nothing of pages. Answers are agreement with each statement as worded; minus items are turned
round here and nowhere else. Norms by sex and age are those of `five-factor-e` (Johnson's, by way of
Kholia's and Corbari's programs); scores agree with that package, see the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from statistics import mean
from typing import Any, Literal

from ipipneo.model import NormCubic, NormScale
from ipipneo.norm import Norm

from personalization.inventory.items import DOMAINS, facets, items

Sex = Literal["M", "F", "N"]
Level = Literal["low", "average", "high"]

ENOUGH = 0.75  # of a scale's items: 3 of a facet's 4, 18 of a domain's 24
AVERAGE_FROM, AVERAGE_TO = 45, 55  # T scores, half a standard deviation around the mean
AGE_MIN, AGE_MAX = 10, 110
AGE_BANDS = (18, 30, 50, 70)  # one age of each of the norms' bands: to 20, to 40, to 60, above
_PLACES = {domain: 11 + 12 * index for index, domain in enumerate(DOMAINS)}  # of facet means in the norms


@dataclass(frozen=True, slots=True)
class Score:
    """One scale. `raw` is in points, prorated when items are missing; without enough answers it is None.

    `t` has mean 50 and standard deviation 10 in the norm group, `percentile` lies in 1 to 99.
    """

    answered: int
    asked: int
    raw: float | None = None
    t: float | None = None
    percentile: float | None = None
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """All scales of one person and the group that they are compared with."""

    domains: Mapping[str, Score]
    facets: Mapping[str, Score]
    sex: Sex
    age: int | None

    @property
    def scored_domains(self) -> tuple[str, ...]:
        """The domains with enough answers."""
        return tuple(key for key, score in self.domains.items() if score.t is not None)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for storage."""
        return {
            "domains": {key: asdict(value) for key, value in self.domains.items()},
            "facets": {key: asdict(value) for key, value in self.facets.items()},
        }


def score(answers: Mapping[int, int], *, sex: Sex = "N", age: int | None = None) -> Scores:
    """Score answers (item number to agreement, 1 to 5); missing items are simply not there.

    Sex N compares with men and women together, age None with all ages alike.
    Raises ValueError for an unknown item, a value outside of 1 to 5, or an impossible age.
    """
    _check(answers, sex, age)
    norms = _norms(sex, age)
    points: dict[str, list[int]] = {key: [] for key in facets()}
    for item in items():
        if item.number in answers:
            points[item.facet].append(item.keyed(answers[item.number]))
    by_facet = {key: _score(given, 4, *_facet_norm(norms, key)) for key, given in points.items()}
    by_domain = {}
    for index, domain in enumerate(DOMAINS, start=1):
        given = [value for key, values in points.items() if key[0] == domain for value in values]
        by_domain[domain] = _score(given, 24, norms[index], norms[index + 5])
    return Scores(by_domain, by_facet, sex, age)


def _check(answers: Mapping[int, int], sex: str, age: int | None) -> None:
    for number, value in answers.items():
        if not 1 <= number <= len(items()):
            raise ValueError(f"There is no item {number}; items go from 1 to {len(items())}.")
        if value not in (1, 2, 3, 4, 5):
            raise ValueError(f"Item {number} has the answer {value}; answers go from 1 to 5.")
    if sex not in ("M", "F", "N"):
        raise ValueError(f"The norm group is M, F or N (all), not {sex!r}.")
    if age is not None and not AGE_MIN <= age <= AGE_MAX:
        raise ValueError(f"Norms go from {AGE_MIN} to {AGE_MAX} years, not {age}.")


@cache
def _norms(sex: Sex, age: int | None) -> Sequence[float]:
    """Return means and deviations as `five-factor-e` lays them out; over all age bands without an age."""
    if age is not None:
        return tuple(Norm(sex=sex, age=age, nquestion=120)["ns"])
    return tuple(mean(band) for band in zip(*(_norms(sex, age) for age in AGE_BANDS), strict=True))


def _facet_norm(norms: Sequence[float], key: str) -> tuple[float, float]:
    place = _PLACES[key[0]] + int(key[1]) - 1
    return norms[place], norms[place + 6]


def _score(points: Sequence[int], asked: int, norm_mean: float, norm_deviation: float) -> Score:
    if len(points) < ENOUGH * asked:
        return Score(len(points), asked)
    raw = sum(points) * asked / len(points)
    t = 50 + 10 * (raw - norm_mean) / norm_deviation
    return Score(len(points), asked, round(raw, 2), round(t, 2), round(_percentile(t), 1), _level(t))


def _percentile(t: float) -> float:
    """Johnson's cubic approximation of the percentile, kept within 1 to 99.

    Departs from the package where its cubic leaves that range: between T 69 and 73 it returns up to 99.5.
    """
    if t < NormScale.CONST_MIN:
        return 1.0
    if t > NormScale.CONST_MAX:
        return 99.0
    cubic = NormCubic.CONST1 - NormCubic.CONST2 * t + NormCubic.CONST3 * t**2 - NormCubic.CONST4 * t**3
    return min(max(float(cubic), 1.0), 99.0)


def _level(t: float) -> Level:
    if t < AVERAGE_FROM:
        return "low"
    return "high" if t > AVERAGE_TO else "average"

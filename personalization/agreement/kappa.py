"""Cohen's kappa of each two people: who agrees with whom beyond chance.

Knows nothing of more than two people at a time; `alpha` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from personalization.agreement.figures import Figure, Row, listed
from personalization.agreement.judgements import METRICS, Judgement, by_protocol, units
from personalization.statistics import Estimate

Array = npt.NDArray[np.float64]

RESAMPLES = 1_000
APART = 0.2  # a whole interval below this is flagged
MOST_PAIRS = 20  # of twenty people there are 190


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa of two people; None where both gave one and the same answer to everything."""

    people: tuple[str, str]
    n: int
    estimate: Estimate | None


def kappas(units_of: Mapping[object, Mapping[str, float]], *, seed: int = 0) -> list[Kappa]:
    """Return Cohen's kappa (1960) of each two people over the things that both judged, values as names.

    kappa = (p_o - p_e) / (1 - p_e). The interval resamples things; fewer than two cannot give one.
    """
    people = sorted({person for values in units_of.values() for person in values})
    found = []
    for first, second in combinations(people, 2):
        both = [(v[first], v[second]) for v in units_of.values() if first in v and second in v]
        if both:
            found.append(Kappa((first, second), len(both), _kappa_estimate(both, seed)))
    return found


NOBODY_BOTH = "No two people have chosen between the same candidates yet; give items to more than one person."


def kappa_figure(judgements: Sequence[Judgement], *, seed: int = 0) -> Figure:
    """Return kappa of each two people, for what was asked as a choice between names."""
    rows = []
    for name, of_protocol in by_protocol(judgements).items():
        if METRICS[of_protocol[0].form] == "nominal":
            for one in kappas(units(of_protocol), seed=seed):
                if one.estimate:
                    low = one.estimate.high < APART
                    rows.append(Row(f"{one.people[0]} and {one.people[1]} ({name})", one.estimate, low))
    title = "Who agrees with whom (Cohen's kappa)"
    if not rows:
        return Figure("kappa", title, NOBODY_BOTH)
    apart = [row.label for row in rows if row.flagged]
    advice = (
        f"look at what these two say differently before anything else: {listed(apart)}."
        if apart
        else f"nobody stands apart so far that it would be flagged (a whole interval below {APART})."
    )
    rows.sort(key=lambda row: row.estimate.value)
    which = f" (the {MOST_PAIRS} lowest of {len(rows)})" if len(rows) > MOST_PAIRS else ""
    words = f"Each row is two people on what both judged{which}; {advice}"
    return Figure("kappa", title, words, tuple(rows[:MOST_PAIRS]), "agreement", 0.0)


def _kappa_estimate(both: Sequence[tuple[float, float]], seed: int) -> Estimate | None:
    names = {value: place for place, value in enumerate(sorted({value for pair in both for value in pair}))}
    cells = Counter((names[a], names[b]) for a, b in both)
    table = np.zeros((len(names), len(names)))
    for place, count in cells.items():
        table[place] = count
    if len(names) < 2:
        return None
    n = len(both)
    value = float(_kappa(table[None])[0])
    draws = np.random.default_rng(seed).multinomial(n, table.ravel() / n, size=RESAMPLES)
    every = _kappa(draws.reshape(-1, *table.shape).astype(np.float64))
    every = every[np.isfinite(every)]
    if n < 2 or not len(every):
        return Estimate(value, n, -np.inf, np.inf)
    low, high = np.quantile(every, [0.025, 0.975])
    return Estimate(value, n, float(low), float(high))


def _kappa(tables: Array) -> Array:
    """Return kappa for each table of (tables, values, values); NaN where chance alone agrees always."""
    n = tables.sum(axis=(1, 2))
    observed = np.trace(tables, axis1=1, axis2=2) / n
    expected = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / n**2
    varies = expected < 1 - 1e-12
    return np.where(varies, (observed - expected) / np.where(varies, 1 - expected, 1.0), np.nan)

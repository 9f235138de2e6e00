"""A win rate that is looked at after every comparison: tests and intervals that stay honest at any time.

Knows nothing of people or models. An ordinary interval promises its error for one look; whoever looks after
each comparison and stops at the first bad one is wrong far more often. Here a bettor bets against "it wins at
least this often", and what they have made of one unit is the evidence (Waudby-Smith and Ramdas 2023, JRSS-B
86:1-27, arXiv:2010.09686, the capital process of section 4):

    K_t(m) = prod_i (1 + lambda (m - x_i)),  x_i in [0, 1], 0 <= lambda < 1 / (1 - m)

If no comparison is expected, whatever came before, to be won less than m, K_t is a supermartingale from 1,
and so is its average over several lambda; by Ville's inequality it ever reaches 1 / level with a chance of at
most `level`, however often it is looked at. Comparisons need neither be independent nor alike for that. The
order of the comparisons does not matter, since the bets are fixed in advance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from personalization.statistics import Estimate

# Shares of the largest bet, over which the capital is averaged: one fixed share grows fast only for the win
# rate that it suits.
_SHARES = tuple((i + 0.5) / 32 for i in range(32))
_MOST = 700.0  # the natural logarithm of the largest number that is written
_HALVINGS = 30


def capital_below(outcomes: Iterable[float], share: float) -> float:
    """Return the evidence against "it wins at least `share` of the time": 1 without any, 20 at 5 %.

    Each outcome is 1 (won), 0 (lost) or in between (a tie, a mean of several). Raises ValueError for an
    outcome outside of [0, 1] and for a share outside of (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"A share of {share} cannot be tested.")
    return math.exp(min(_log_capital(_counted(outcomes), share), _MOST))


def win_rate_anytime(outcomes: Sequence[float], *, level: float = 0.05) -> Estimate:
    """Return the mean outcome with an interval that covers the truth at every time at once, at 1 - `level`.

    Those win rates that neither the bet against more nor the bet against less refutes at half the level each.
    Without outcomes it is one half and the whole range. Raises ValueError for an outcome outside of [0, 1]
    and a level outside of (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"A level of {level} is impossible.")
    counts = _counted(outcomes)
    if not counts:
        return Estimate(0.5, 0, 0.0, 1.0)
    mirrored = Counter({1.0 - value: count for value, count in counts.items()})
    mean = sum(value * count for value, count in counts.items()) / counts.total()
    high, low = _highest(counts, level / 2), 1.0 - _highest(mirrored, level / 2)
    return Estimate(mean, counts.total(), min(low, mean), max(high, mean))


def _counted(outcomes: Iterable[float]) -> Counter[float]:
    counts = Counter(outcomes)
    if wrong := [value for value in counts if not 0 <= value <= 1]:
        raise ValueError(f"Not an outcome: {wrong[0]}.")
    return counts


def _log_capital(counts: Counter[float], share: float) -> float:
    """Return log of the mean over bets c of prod (1 + c (m - x) / (1 - m)); it rises with m."""
    logs = [
        sum(count * math.log1p(bet * (share - value) / (1.0 - share)) for value, count in counts.items())
        for bet in _SHARES
    ]
    most = max(logs)
    return most + math.log(sum(math.exp(each - most) for each in logs) / len(logs))


def _highest(counts: Counter[float], level: float) -> float:
    """Return the largest share that is not refuted at this level; the capital rises with the share."""
    bound, low, high = -math.log(level), 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _log_capital(counts, middle) < bound:
            low = middle
        else:
            high = middle
    return high

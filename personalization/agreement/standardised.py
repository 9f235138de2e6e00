"""Ratings on each person's own scale: one person's 60 is another's 80.

Knows nothing of agreement. Within a person and a protocol the mean becomes 0 and the standard deviation 1.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from personalization.agreement.judgements import Judgement


def standardised(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Return the judgements with values in standard deviations from the person's own mean.

    The deviation is that of the person's values as a population. Who gave one value to everything gets 0.
    Repeats are put on the scale of the first judgements, so that a difference between both stays one.
    """
    given: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in judgements:
        if not one.is_repeat:
            given[one.person, one.name].extend(one.values.values())
    scales = {
        key: (statistics.fmean(values), statistics.pstdev(values)) for key, values in given.items() if values
    }
    found = []
    for one in judgements:
        mean, deviation = scales.get((one.person, one.name), (0.0, 0.0))
        values = {
            name: (value - mean) / deviation if deviation else 0.0 for name, value in one.values.items()
        }
        found.append(replace(one, values=values))
    return found

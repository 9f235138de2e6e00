"""How far people agree with themselves, and whether their disagreement with others is taste or noise.

Knows nothing of how a repeat was hidden. A person who contradicts themselves as often as others do shows
noise; one who is steady and still differs from others shows taste, and nothing is adjudicated away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from personalization.agreement.figures import Figure, Row, listed, percent, share
from personalization.agreement.judgements import Comparison, Judgement, by_person, comparisons, repeated
from personalization.statistics import Estimate

Key = tuple[str, str, str, str]  # item, first and second candidate, protocol

RESAMPLES = 2_000
# Less of a gap than this between agreeing with oneself and with others is nothing to speak of.
SMALL_GAP = 0.1
ENOUGH_REPEATS = 10  # items; with fewer even a steady person cannot be told from a coin
MIN_ITEMS = 5


@dataclass(frozen=True, slots=True)
class TasteOrNoise:
    """Agreement with oneself and with others on the same comparisons, and the difference of both.

    `taste` is the part of the disagreement with others that people's own slips do not explain:
    (within - between) / (1 - between), 0 to 1; None where nobody disagrees.
    """

    within: Estimate
    between: Estimate
    gap: Estimate
    taste: float | None

    @property
    def verdict(self) -> str:
        """Return "taste", "noise", "both" or "open"."""
        if self.gap.low > 0:
            return "taste" if self.taste is not None and self.taste >= 0.5 else "both"
        return "noise" if self.gap.high < SMALL_GAP else "open"


def consistency(judgements: Sequence[Judgement]) -> Estimate | None:
    """Return how often hidden repeats say the same of two candidates; None without any.

    The same is 1, the opposite 0, a tie against a preference one half. Comparisons of one item hang together.
    """
    found = _own(judgements)
    return share([score for score, _key in found], [item for _score, (item, *_) in found]) if found else None


def consistency_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return each person's agreement with themselves."""
    rows = []
    for person, said in by_person(judgements).items():
        if found := consistency(said):
            items = len({item for _score, (item, *_) in _own(said)})
            rows.append(Row(person, found, items >= ENOUGH_REPEATS and found.low <= 0.5))
    title = "Agreement with oneself on hidden repeats"
    if not rows:
        words = (
            "No hidden repeat has been judged yet; set a share of repeats, or wait: nothing tells "
            "taste from noise before."
        )
        return Figure("consistency", title, words, chance=0.5)
    together = consistency(judgements)
    assert together is not None  # there are rows
    unsteady = [row.label for row in rows if row.flagged]
    advice = (
        f"talk to {listed(unsteady)}, whose second answers cannot be told from a coin's."
        if unsteady
        else "of nobody with enough repeats could a coin have given the second answers."
    )
    words = (
        f"People say the same again in {percent(together)}, which no model can be expected to beat; {advice}"
    )
    return Figure("consistency", title, words, tuple(rows), chance=0.5)


def taste_or_noise(judgements: Sequence[Judgement], *, seed: int = 0) -> TasteOrNoise | None:
    """Compare agreement with oneself and with others on what was repeated; None with fewer than five items.

    Both are counted on the same comparisons, and the interval of the gap resamples whole items.
    """
    within: dict[str, list[float]] = defaultdict(list)
    between: dict[str, list[float]] = defaultdict(list)
    said: dict[Key, dict[str, Comparison]] = defaultdict(dict)
    for score, key in _own(judgements):
        within[key[0]].append(score)
        said[key] = {}
    for one in comparisons(judgements):
        if (key := (*one.key, one.judgement.name)) in said:
            said[key][one.judgement.person] = one
    for (item, *_), people in said.items():
        between[item] += [same(a, b) for a, b in combinations(people.values(), 2)]
    items = [item for item in within if between[item]]
    if len(items) < MIN_ITEMS:
        return None
    return _compared([within[item] for item in items], [between[item] for item in items], seed)


def taste_figure(judgements: Sequence[Judgement], *, seed: int = 0) -> Figure:
    """Return whether people differ by taste or by noise."""
    title = "Is disagreement taste or noise?"
    found = taste_or_noise(judgements, seed=seed)
    if found is None:
        words = (
            f"Fewer than {MIN_ITEMS} items were judged by several people and repeated by one of them, so "
            "taste cannot be told from noise yet; raise the share of hidden repeats or the overlap."
        )
        return Figure("taste", title, words)
    rows = (
        Row("with oneself", found.within),
        Row("with others", found.between),
        Row("difference", found.gap),
    )
    return Figure("taste", title, _taste_words(found), rows)


def same(one: Comparison, other: Comparison) -> float:
    """Return 1 where both prefer the same, 0 where they prefer opposites, one half where one of them ties."""
    return 1.0 - abs(one.preferred - other.preferred) / 2


def _taste_words(found: TasteOrNoise) -> str:
    both = (
        f"People agree with themselves in {percent(found.within)} and with others in {percent(found.between)}"
    )
    taste = 0.0 if found.taste is None else found.taste
    return {
        "taste": (
            f"{both}: about {100 * taste:.0f} % of the disagreement is lasting taste, so learn one "
            "model for each person and settle nothing by majority."
        ),
        "both": (
            f"{both}: about {100 * taste:.0f} % of the disagreement is lasting taste and the rest "
            "slips, so keep each person's answers apart and ask more than once."
        ),
        "noise": (
            f"{both}: they differ from others hardly more than from themselves, so this is noise; make "
            "guidelines and candidates clearer before learning tastes."
        ),
        "open": (
            f"{both}: the difference can still be chance, so collect more hidden repeats before "
            "deciding anything."
        ),
    }[found.verdict]


def _own(judgements: Sequence[Judgement]) -> list[tuple[float, Key]]:
    """Return how alike each repeated comparison is, with what was compared."""
    found = []
    for before, after in repeated(judgements):
        earlier = {one.key: one for one in comparisons([before])}
        for later in comparisons([after], with_repeats=True):
            if later.key in earlier:
                found.append((same(earlier[later.key], later), (*later.key, after.name)))
    return found


def _compared(within: list[list[float]], between: list[list[float]], seed: int) -> TasteOrNoise:
    sums = np.array([[sum(w), len(w), sum(b), len(b)] for w, b in zip(within, between, strict=True)])
    draws = np.random.default_rng(seed).integers(0, len(sums), size=(RESAMPLES, len(sums)))
    drawn = sums[draws].sum(axis=1)
    gaps = drawn[:, 0] / drawn[:, 1] - drawn[:, 2] / drawn[:, 3]
    own, n_own, others, n_others = sums.sum(axis=0)
    low, high = np.quantile(gaps, [0.025, 0.975])
    gap = float(own / n_own - others / n_others)
    items = range(len(sums))
    return TasteOrNoise(
        within=share([v for one in within for v in one], [i for i in items for _ in within[i]]),
        between=share([v for one in between for v in one], [i for i in items for _ in between[i]]),
        gap=Estimate(gap, len(sums), float(low), float(high)),
        taste=min(max(gap / (1 - others / n_others), 0.0), 1.0) if others < n_others else None,
    )

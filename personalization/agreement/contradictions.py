"""Does somebody prefer by rating what they prefer by ranking? The same candidates under two protocols.

Knows nothing of who is right. Bansal, Dang and Grover 2023, "Peering Through Preferences", arXiv:2308.15812,
found about 60 % between ratings and pairwise choices; as there, equal is an outcome of its own: a tie against
a preference is no agreement. `opposite` counts only those that are decided under both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from personalization.agreement.figures import Figure, Row, listed, percent, share
from personalization.agreement.judgements import Judgement, by_person, comparisons
from personalization.statistics import Estimate

PUBLISHED = 0.6  # arXiv:2308.15812
FEW = 0.2  # a whole interval below this is nothing to keep protocols apart for


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two protocols on the same candidates of the same people."""

    protocols: tuple[str, str]
    disagree: Estimate  # any other outcome of the three
    opposite: Estimate | None  # of those decided under both; None without any


def contradictions(judgements: Sequence[Judgement]) -> list[Contradiction]:
    """Return each two protocols that the same people used on the same candidates. Repeats are left out.

    Comparisons of one item hang together: the intervals are over items.
    """
    said: dict[tuple[str, tuple[str, str, str]], dict[str, int]] = defaultdict(dict)
    for one in comparisons(judgements):
        said[one.judgement.person, one.key][one.judgement.name] = one.preferred
    found: dict[tuple[str, str], list[tuple[str, int, int]]] = defaultdict(list)
    for (_person, (item, *_)), by_name in said.items():
        for first, second in combinations(sorted(by_name), 2):
            found[first, second].append((item, by_name[first], by_name[second]))
    return [_contradiction(names, found[names]) for names in sorted(found)]


def contradictions_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return how often two protocols disagree: everybody together, then each person."""
    rows, overall = [], contradictions(judgements)
    for one in overall:
        rows.append(Row(f"{_between(one)}: everybody", one.disagree))
        if one.opposite:
            rows.append(Row(f"{_between(one)}: everybody, opposite", one.opposite))
    for person, said in by_person(judgements).items():
        rows += [
            Row(f"{_between(one)}: {person}", one.disagree, one.disagree.low > 0.5)
            for one in contradictions(said)
        ]
    title = "Ratings against rankings of the same candidates"
    if not overall:
        words = (
            "Nobody has judged the same candidates under two protocols; put a rating and a pick on one "
            "page to see whether they agree."
        )
        return Figure("contradictions", title, words)
    most = max(overall, key=lambda one: one.disagree.value)
    flagged = [row.label.split(": ")[-1] for row in rows if row.flagged]
    who = f" and ask {listed(flagged)} how they rate" if flagged else ""
    both = " and ".join(f"“{name}”" for name in most.protocols)
    advice = (
        "keep the protocols apart in training" if most.disagree.high > FEW else "either may be learned from"
    )
    words = (
        f"{both} disagree in {percent(most.disagree)} (a published study found about "
        f"{100 * PUBLISHED:.0f} %), so {advice}{who}."
    )
    return Figure("contradictions", title, words, tuple(rows))


def _contradiction(names: tuple[str, str], outcomes: Sequence[tuple[str, int, int]]) -> Contradiction:
    unlike = share([float(a != b) for _, a, b in outcomes], [item for item, _, _ in outcomes])
    decided = [(item, a, b) for item, a, b in outcomes if a and b]
    opposite = None
    if decided:
        opposite = share([float(a != b) for _, a, b in decided], [item for item, _, _ in decided])
    return Contradiction(names, unlike, opposite)


def _between(one: Contradiction) -> str:
    return f"{one.protocols[0]} and {one.protocols[1]}"

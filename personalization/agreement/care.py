"""How carefully people answer: gold items, attention checks, the same answer to everything, ties.

Knows nothing of why. A flag asks a person to look; it excludes nobody.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

from personalization.agreement.figures import Figure, Row, listed, percent, share
from personalization.agreement.judgements import Judgement, by_person, by_protocol, comparisons
from personalization.statistics import Estimate, wilson

LEAST_RIGHT = 0.9  # a whole interval below this is flagged
MISSED = 2  # attention checks that somebody missed, from which on they are flagged
STRAIGHT_SHARE = 0.5  # a whole interval above this is flagged
RARE_RUN = 0.001  # a run of one side that one of a thousand people would show who toss a coin
# Forms in which all candidates alike means that nothing was told apart.
KEEPING = ("rating", "steps", "attributes", "ranking")


def gold_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return how often each person gives the expected answer to gold items."""
    known = [one for one in judgements if one.right is not None and not one.skipped and not one.is_check]
    rows = []
    for person, said in by_person(known).items():
        found = _right(said)
        rows.append(Row(person, found, found.high < LEAST_RIGHT))
    title = "Right answers to gold items"
    if not rows:
        words = "No gold item has been answered yet; add some, and nobody will see which they are."
        return Figure("gold", title, words)
    wrong = [row.label for row in rows if row.flagged]
    advice = (
        f"{listed(wrong)} miss what everybody should see: talk to them, or check whether the gold is wrong."
        if wrong
        else "nobody misses so much of it that something must be wrong."
    )
    return Figure(
        "gold", title, f"Known answers are given in {percent(_right(known))}; {advice}", tuple(rows)
    )


def attention_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return how often each person does what attention checks say.

    Whoever reads can do it, so that one miss may be a slip and two are not: they are flagged.
    """
    checks = [one for one in judgements if one.is_check and not one.is_repeat]
    rows = []
    for person, said in by_person(checks).items():
        missed = sum(not one.right for one in said)
        rows.append(Row(person, wilson(len(said) - missed, len(said)), missed >= MISSED))
    title = "Attention checks followed"
    if not rows:
        words = "No attention check has been answered yet; add one or two to see who reads to the end."
        return Figure("attention", title, words)
    careless = [row.label for row in rows if row.flagged]
    followed = sum(bool(one.right) for one in checks)
    advice = (
        f"{listed(careless)} missed {MISSED} or more: look at their answers before they are used."
        if careless
        else f"nobody missed {MISSED} or more."
    )
    words = f"What stands on the page was done in {followed} of {len(checks)} attention checks; {advice}"
    return Figure("attention", title, words, tuple(rows))


def straight_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return how often each person says the same of all candidates, leaves their order or keeps a side.

    Of pairs it is the share of choices on the same side as the one before, one half by chance.
    """
    title, rows = "The same answer again and again", []
    once = [one for one in judgements if not one.is_repeat and not one.skipped]
    for person, said in by_person(once).items():
        for name, of_protocol in by_protocol(said).items():
            sides = _sides(of_protocol)
            flat = [a == b for a, b in pairwise(sides)] or [
                _is_flat(one) for one in of_protocol if len(one.values) > 1 and one.form in KEEPING
            ]
            if flat:
                found = wilson(sum(flat), len(flat))
                most = STRAIGHT_SHARE if not sides else 1.0
                rows.append(Row(f"{person} ({name})", found, _is_rare_run(sides) or found.low > most))
    if not rows:
        words = "Nothing with two or more candidates has been judged yet; show two to see who clicks through."
        return Figure("straight", title, words)
    flagged = [row.label for row in rows if row.flagged]
    advice = (
        f"look at {listed(flagged)}, who may be clicking through."
        if flagged
        else "nobody does so in most of their answers, or keeps to one side longer than chance would."
    )
    words = f"All candidates alike, or their order left as it was shown, says little about taste; {advice}"
    return Figure("straight", title, words, tuple(rows))


def ties_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return the share of comparisons that end in a tie, by protocol and by person."""
    rows = []
    for label, said in {**by_protocol(judgements), **by_person(judgements)}.items():
        found = list(comparisons(said))
        if found:
            ties = [float(one.preferred == 0) for one in found]
            rows.append(Row(label, share(ties, [one.judgement.item for one in found])))
    title = "Ties"
    if not rows:
        words = "Nothing has been compared yet; ask for a pick, a ranking, or ratings of two answers or more."
        return Figure("ties", title, words)
    words = "Ties teach nothing about preference; where they are many, choose candidates that differ more."
    return Figure("ties", title, words, tuple(rows))


def _right(judgements: Sequence[Judgement]) -> Estimate:
    return share([float(bool(one.right)) for one in judgements], [one.item for one in judgements])


def _is_flat(one: Judgement) -> bool:
    """Say whether all values are the same, or rank three or more candidates in the order shown."""
    values = [one.values[name] for name in one.shown if name in one.values] or list(one.values.values())
    if len(set(values)) == 1:
        return True
    return (
        one.form == "ranking"
        and len(values) > 2
        and values == sorted(values, reverse=True)
        and bool(one.shown)
    )


def _sides(judgements: Sequence[Judgement]) -> list[int]:
    """Return on which side the preferred answer of each pair stood, in the order given; ties are left out."""
    pairs = [one for one in judgements if one.form == "pick" and len(one.values) == 2]
    sides = [one.preferred * one.left for one in comparisons(pairs)]
    return [side for side in sides if side]


def _is_rare_run(sides: Sequence[int]) -> bool:
    """Say whether one side was preferred so often in a row that tossing a coin would hardly do it.

    A run of at least k among n tosses has a chance of at most n / 2^(k - 1).
    """
    longest = max((len(list(run)) for _side, run in groupby(sides)), default=0)
    return longest > 1 and math.log2(len(sides)) - (longest - 1) < math.log2(RARE_RUN)

"""How people work: time against reading time, gold items, the same answer to everything, skips and ties.

Knows nothing of why. A flag asks a person to look; it excludes nobody.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np

from personalization.agreement.figures import Figure, Row, listed, percent, share
from personalization.agreement.judgements import Judgement, by_person, by_protocol, comparisons
from personalization.statistics import Estimate, wilson

# Adults read 238 words of English a minute in silence (Brysbaert 2019, J. Memory and Language 109:104047).
WORDS_PER_SECOND = 238 / 60
# Who takes less than a third of that time cannot have read what they judge.
LEAST_SHARE_OF_READING = 1 / 3
TOO_FAST_SHARE, STRAIGHT_SHARE, SKIP_SHARE = 0.1, 0.5, 0.25
LEAST_RIGHT = 0.9  # a whole interval below this is flagged
# A run of one side that one of a thousand people would show who toss a coin.
RARE_RUN = 0.001

# Forms in which all candidates alike means that nothing was told apart.
KEEPING = ("rating", "steps", "attributes", "ranking")


def is_too_fast(one: Judgement) -> bool:
    """Say whether somebody answered in less than a third of the time that reading takes."""
    if one.seconds is None or not one.reading_words:
        return False
    return one.seconds < LEAST_SHARE_OF_READING * one.reading_words / WORDS_PER_SECOND


def progress_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return how many answers there are, by protocol and by person; hidden repeats count too."""
    done = [one for one in judgements if not one.skipped]
    groups = {**by_protocol(done), **by_person(done)}
    rows = [Row(label, Estimate(len(said), len(said), -math.inf, math.inf)) for label, said in groups.items()]
    items = len({one.item for one in done})
    words = (
        f"{len(done)} answers to {items} items are in; give who has few of them time or help before you "
        "read the "
        "figures below as those of everybody."
        if done
        else "Nothing has been judged yet; the figures come by themselves with the first answers."
    )
    return Figure("progress", "Answers so far", words, tuple(rows), "count")


def time_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return the median seconds of each person with the quartiles as bounds; too fast ones are flagged."""
    title, rows = "Seconds for each item, median and quartiles", []
    for person, said in by_person(_sittings(judgements)).items():
        seconds = [one.seconds for one in said if one.seconds is not None]
        if seconds:
            low, middle, high = (float(q) for q in np.quantile(seconds, [0.25, 0.5, 0.75]))
            fast = sum(is_too_fast(one) for one in said) / len(seconds)
            rows.append(Row(person, Estimate(middle, len(seconds), low, high), fast > TOO_FAST_SHARE))
    if not rows:
        return Figure("time", title, "No time has been taken yet.", unit="seconds")
    fast_people = [row.label for row in rows if row.flagged]
    advice = (
        f"{listed(fast_people)} took less than a third of the usual reading time for more than "
        f"{100 * TOO_FAST_SHARE:.0f} % of their items: look at those answers before they are used."
        if fast_people
        else "nobody is faster than reading allows on more than a tenth of their items."
    )
    middle = float(np.median([row.estimate.value for row in rows]))
    return Figure(
        "time",
        title,
        f"An item takes {middle:.0f} seconds for the median person; {advice}",
        tuple(rows),
        "seconds",
    )


def fast_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return the share of each person's answers that were given faster than anybody reads."""
    timed = [one for one in _sittings(judgements) if one.seconds is not None and one.reading_words]
    rows = [
        Row(person, found := wilson(sum(map(is_too_fast, said)), len(said)), found.value > TOO_FAST_SHARE)
        for person, said in by_person(timed).items()
    ]
    title = "Answers faster than reading"
    if not rows:
        return Figure("fast", title, "No time has been taken yet.")
    together = wilson(sum(map(is_too_fast, timed)), len(timed))
    words = (
        f"{percent(together)} of the answers came in less than a third of the time that reading takes at "
        "238 words a minute; leave them out when you check a result, and see whether it stays."
    )
    return Figure("fast", title, words, tuple(rows))


def gold_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return how often each person gives the expected answer to gold items and attention checks."""
    known = [one for one in judgements if one.right is not None and not one.skipped]
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


def straight_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return how often each person says the same of all candidates, leaves their order or keeps a side.

    Of pairs it is the share of choices on the same side as the one before, one half by chance.
    """
    title, rows = "The same answer again and again", []
    for person, said in by_person(_once(judgements)).items():
        for name, of_protocol in by_protocol(said).items():
            sides = _sides(of_protocol)
            flat = [a == b for a, b in pairwise(sides)] or [
                _is_flat(one) for one in of_protocol if len(one.values) > 1 and one.form in KEEPING
            ]
            if flat:
                found = wilson(sum(flat), len(flat))
                most = STRAIGHT_SHARE if not sides else 1.0
                rows.append(Row(f"{person}, {name}", found, _is_rare_run(sides) or found.low > most))
    if not rows:
        return Figure("straight", title, "Nothing with two or more candidates has been judged yet.")
    flagged = [row.label for row in rows if row.flagged]
    advice = (
        f"look at {listed(flagged)}, who may be clicking through."
        if flagged
        else "nobody does so in most of their answers, or keeps to one side longer than chance would."
    )
    words = f"All candidates alike, or their order left as it was shown, says little about taste; {advice}"
    return Figure("straight", title, words, tuple(rows))


def skips_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return the share of items that each person put aside."""
    rows = [
        Row(person, found := wilson(sum(one.skipped for one in said), len(said)), found.low > SKIP_SHARE)
        for person, said in by_person(_sittings(judgements)).items()
    ]
    title = "Items skipped, or left until their time ran out"
    if not rows:
        return Figure("skips", title, "Nothing has been judged yet.")
    words = (
        "Many skips of one person mean a language or a topic that does not suit them, many of all mean "
        "bad items; read their reasons."
    )
    return Figure("skips", title, words, tuple(rows))


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
        return Figure("ties", title, "Nothing has been compared yet.")
    words = "Ties teach nothing about preference; where they are many, choose candidates that differ more."
    return Figure("ties", title, words, tuple(rows))


def _once(judgements: Sequence[Judgement]) -> list[Judgement]:
    return [one for one in judgements if not one.is_repeat and not one.skipped]


def _sittings(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Return one judgement of each item of each person: several protocols on one page share its time."""
    return list({(one.person, one.item): one for one in judgements if not one.is_repeat}.values())


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

"""How fast people work: answers so far, time against reading time, and what was put aside.

Knows nothing of why. A flag asks a person to look; it excludes nobody.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from personalization.agreement.figures import Figure, Row, listed, percent
from personalization.agreement.judgements import Judgement, by_person, by_protocol
from personalization.statistics import Estimate, wilson

# Adults read 238 words of English a minute in silence (Brysbaert 2019, J. Memory and Language 109:104047).
WORDS_PER_SECOND = 238 / 60
# Who takes less than a third of that time cannot have read what they judge.
LEAST_SHARE_OF_READING = 1 / 3
UNTIMED = "No time has been taken yet: it comes with answers given here, and imported ones seldom have it."
TOO_FAST_SHARE, SKIP_SHARE = 0.1, 0.25  # above these somebody is flagged


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
        return Figure("time", title, UNTIMED, unit="seconds")
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
        return Figure("fast", title, UNTIMED)
    together = wilson(sum(map(is_too_fast, timed)), len(timed))
    words = (
        f"{percent(together)} of the answers came in less than a third of the time that reading takes at "
        "238 words a minute; leave them out when you check a result, and see whether it stays."
    )
    return Figure("fast", title, words, tuple(rows))


def skips_figure(judgements: Sequence[Judgement]) -> Figure:
    """Return the share of items that each person put aside."""
    rows = [
        Row(person, found := wilson(sum(one.skipped for one in said), len(said)), found.low > SKIP_SHARE)
        for person, said in by_person(_sittings(judgements)).items()
    ]
    title = "Items skipped, or left until their time ran out"
    if not rows:
        words = "Nothing has been judged yet; skips and their reasons are counted from the first item on."
        return Figure("skips", title, words)
    words = (
        "Many skips of one person mean a language or a topic that does not suit them, many of all mean "
        "bad items; read their reasons."
    )
    return Figure("skips", title, words, tuple(rows))


def _sittings(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Return one judgement of each item of each person: several protocols on one page share its time."""
    return list({(one.person, one.item): one for one in judgements if not one.is_repeat}.values())

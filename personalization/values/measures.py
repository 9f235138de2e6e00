"""How far a text shows a value: one number for each value of the taxonomy that can be seen in text.

Plain functions of the text, higher is more of it: counts of words, marks and lines, mostly for each
100 words. Rough by design: they compare answers of one model to one question, they do not grade texts.
Knows nothing of models. A value without a measure stays with the system message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from personalization.errors import UnknownName
from personalization.text import (
    list_share,
    questions,
    sentence_length,
    sentences,
    warmth,
    word_count,
    word_length,
    words,
)
from personalization.values import lexicon

Function = Callable[[str], float]

_HEADING = re.compile(r"^\s*(?:#{1,6}\s+\S|\*\*[^*]+\*\*:?\s*$|[A-Z][^.!?\n]{0,60}:\s*$)", re.MULTILINE)
_LINE = re.compile(r"\n\s*(?=\S)")
_NUMBERED = re.compile(r"^\s*\d+[.)]\s", re.MULTILINE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]+")
_YEAR = re.compile(r"\b(?:1\d\d\d|20\d\d)s?\b")
_CONTRACTION = re.compile(r"\b[A-Za-z]+['\u2019](?:s|t|re|ve|ll|d|m)\b")
_PASSIVE = re.compile(r"\b(?:is|are|was|were|be|been|being)\s+(?:\w+ly\s+)?\w+(?:ed|en|wn|ught)\b", re.I)


@dataclass(frozen=True, slots=True)
class Measure:
    """A value's measure. `says` tells in words what is counted; `is_length` that length is the value."""

    key: str
    says: str
    function: Function
    is_length: bool = False

    def __call__(self, text: str) -> float:
        """Return how much of the value a text shows; more is higher, any finite number."""
        return self.function(text)


@cache
def measures() -> Mapping[str, Measure]:
    """Return every measure by its value's key."""
    return MappingProxyType({measure.key: measure for measure in _MEASURES})


def measure_of(key: str) -> Measure:
    """Return a value's measure. Raises UnknownName with the nearest keys that have one."""
    try:
        return measures()[key]
    except KeyError:
        raise UnknownName("measured value", key, measures()) from None


def rate(count: float, text: str) -> float:
    """Return a count for each 100 words; a text of fewer than ten words counts as ten."""
    return 100.0 * count / max(len(words(text)), 10)


def phrases(name: str) -> Function:
    """Return a measure that counts a lexicon's words and phrases for each 100 words."""
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, lexicon.phrases(name))) + r")\b", re.I)
    return lambda text: rate(len(pattern.findall(text)), text)


def less(function: Function) -> Function:
    """Return a measure of the opposite."""
    return lambda text: -function(text)


_contractions: Function = lambda text: rate(len(_CONTRACTION.findall(text)), text)  # noqa: E731
_address = phrases("address")
_casual_words = phrases("casual")
_formal_words = phrases("formal")
_certain = phrases("certain")
_hedges = phrases("hedges")
_praise = phrases("praise")
_sequence = phrases("sequence")
_history_words = phrases("history")
_vivid_words = phrases("vivid")


def long_words(text: str) -> float:
    """Return the share of words with nine letters or more, in percent."""
    return rate(sum(len(word) >= 9 for word in words(text)), text)


def literary(text: str) -> float:
    """Return word length and sentence length together, each in units of a typical answer's spread."""
    return (word_length(text) - 4.9) / 0.6 + min((sentence_length(text) - 15.4) / 4.9, 3.0)


def readability(text: str) -> float:
    """Return how easy a text is: the negative grade of Coleman and Liau (1975)."""
    all_words = words(text)
    letters = 100.0 * sum(map(len, all_words)) / max(len(all_words), 1)
    return -(0.0588 * letters - 0.296 * 100.0 * len(sentences(text)) / max(len(all_words), 1) - 15.8)


def lines(text: str) -> float:
    """Return line breaks, list items and headings for each 100 words."""
    return rate(len(_LINE.findall(text.strip())) + len(_HEADING.findall(text)), text)


def headings(text: str) -> float:
    """Return lines that are headings (marked, bold, or short and ending in a colon) for each 100 words."""
    return rate(len(_HEADING.findall(text)), text)


def casual(text: str) -> float:
    """Return contractions, casual words and exclamation marks for each 100 words."""
    return _contractions(text) + _casual_words(text) + rate(text.count("!"), text)


def formal(text: str) -> float:
    """Return formal connectives minus contractions, casual words and direct address, for each 100 words."""
    return _formal_words(text) - casual(text) - 0.5 * _address(text)


def active(text: str) -> float:
    """Return direct address minus passive verbs, for each 100 words."""
    return _address(text) - rate(len(_PASSIVE.findall(text)), text)


def details(text: str) -> float:
    """Return numbers and names for each 100 words; a list's own numbers do not count."""
    plain = _NUMBERED.sub("", text)
    return rate(len(_NUMBER.findall(plain)) + len(_NAME.findall(plain)), text)


def steps(text: str) -> float:
    """Return words of order and numbered lines for each 100 words."""
    return _sequence(text) + rate(len(_NUMBERED.findall(text)), text)


def history(text: str) -> float:
    """Return years and words of the past for each 100 words."""
    return _history_words(text) + rate(len(_YEAR.findall(text)), text)


def variety(text: str) -> float:
    """Return the share of words that did not occur before, in percent."""
    all_words = words(text)
    return 100.0 * len(set(all_words)) / max(len(all_words), 10)


_MEASURES: tuple[Measure, ...] = (
    Measure("style.brief", "fewer words", less(word_count), is_length=True),
    Measure("style.very-short", "fewer sentences", less(lambda t: float(len(sentences(t)))), is_length=True),
    Measure("style.long", "more words", word_count, is_length=True),
    Measure(
        "informativeness.thorough",
        "more different words",
        lambda t: float(len(set(words(t)))),
        is_length=True,
    ),
    Measure("style.plain-words", "fewer letters in a word", less(word_length)),
    Measure("style.short-sentences", "fewer words in a sentence", less(sentence_length)),
    Measure("style.literary", "longer words and sentences", literary),
    Measure("background.for-a-child", "an easier grade of reading (Coleman-Liau)", readability),
    Measure("background.jargon-welcome", "more words of nine letters and more", long_words),
    Measure("style.precise", "fewer vague words (things, various, very)", less(phrases("vague"))),
    Measure("style.active-voice", "you and your; fewer passive verbs", active),
    Measure("style.lists", "a larger share of lines that are list items", list_share),
    Measure("style.flowing-text", "fewer line breaks, list items and headings", less(lines)),
    Measure("style.headings", "more headings", headings),
    Measure("style.warm", "warm words and exclamation marks", warmth),
    Measure(
        "style.sober",
        "fewer warm, praising and vivid words",
        less(lambda t: warmth(t) + _praise(t) + _vivid_words(t)),
    ),
    Measure("style.formal", "formal connectives; no contractions, less address", formal),
    Measure("style.casual", "contractions, casual words, exclamation marks", casual),
    Measure("style.praise", "words of praise", _praise),
    Measure("style.vivid", "words of the senses", _vivid_words),
    Measure("style.stories", "words of telling (was, once, she, said)", phrases("stories")),
    Measure("style.ask-back", "more question marks", questions),
    Measure("style.confident", "fewer hedges, more words of certainty", lambda t: _certain(t) - _hedges(t)),
    Measure("harmlessness.say-unsure", "more hedges (may, perhaps, usually)", _hedges),
    Measure("harmlessness.warn-of-risks", "words of caution", phrases("caution")),
    Measure("harmlessness.several-sides", "words that weigh (but, however, others)", phrases("sides")),
    Measure("informativeness.examples", "for example, such as, like", phrases("examples")),
    Measure("informativeness.many-details", "numbers and names", details),
    Measure("informativeness.step-by-step", "words of order and numbered lines", steps),
    Measure("informativeness.causes", "because, due to, so, the reason", phrases("causes")),
    Measure("informativeness.long-view", "words of the future", phrases("future")),
    Measure("informativeness.alternatives", "or, another, instead", phrases("alternatives")),
    Measure("informativeness.no-repetition", "a larger share of new words", variety),
    Measure("background.history", "years and words of the past", history),
    Measure("background.everyday-focus", "words of home and daily life", phrases("everyday")),
)

"""Measurable features of a text: words, sentences, lists, tone.

Each feature is a plain function of the text. Knows nothing of people, values or models.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Za-z']+")
_SENTENCE_END = re.compile(r"[.!?]+(?:\s|$)|\n+")
_LIST_LINE = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+", re.MULTILINE)
_WARM_WORDS = (
    "you your glad happy hope thank thanks welcome great wonderful enjoy love please friend feel together "
    "sorry dear lovely kind care fun exciting"
)
_WARM = frozenset(_WARM_WORDS.split())


def words(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def word_count(text: str) -> float:
    """Return the number of words."""
    return float(len(words(text)))


def sentences(text: str) -> list[list[str]]:
    """Return the words of each sentence; a line counts as a sentence, and one without words does not."""
    return [found for part in _SENTENCE_END.split(text) if (found := words(part))]


def sentence_length(text: str) -> float:
    """Return the mean number of words in a sentence; a line counts as a sentence. 0 for an empty text."""
    lengths = [len(sentence) for sentence in sentences(text)]
    return sum(lengths) / len(lengths) if lengths else 0.0


def word_length(text: str) -> float:
    """Return the mean number of letters in a word: the plainest measure of how simple the words are."""
    all_words = words(text)
    return sum(map(len, all_words)) / len(all_words) if all_words else 0.0


def list_share(text: str) -> float:
    """Return the share of lines that are list items, 0 to 1."""
    lines = [line for line in text.splitlines() if line.strip()]
    return len(_LIST_LINE.findall(text)) / len(lines) if lines else 0.0


def questions(text: str) -> float:
    """Return the number of question marks for each 100 words."""
    return 100.0 * text.count("?") / max(len(words(text)), 1)


def warmth(text: str) -> float:
    """Return the number of warm words and exclamation marks for each 100 words."""
    all_words = words(text)
    warm = sum(word in _WARM for word in all_words) + text.count("!")
    return 100.0 * warm / max(len(all_words), 1)

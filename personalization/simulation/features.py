"""Measurable features of an answer: what a simulated taste is made of.

Each feature is a plain function of the text. `standardise` turns it into units of the spread that
SmolLM2-135M's own answers have (96 tokens, temperature 1), so that a weight of 1 means the same for each.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType

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


def sentence_length(text: str) -> float:
    """Return the mean number of words in a sentence; a line counts as a sentence. 0 for an empty text."""
    lengths = [n for part in _SENTENCE_END.split(text) if (n := len(words(part)))]
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


Feature = Callable[[str], float]

FEATURES: MappingProxyType[str, Feature] = MappingProxyType(
    {f.__name__: f for f in (word_count, sentence_length, word_length, list_share, questions, warmth)}
)

# Mean and standard deviation over the base model's answers to the 80 prompts, one each
# (`python -m benchmarks.answer_features` measures them again).
TYPICAL: MappingProxyType[str, tuple[float, float]] = MappingProxyType(
    {
        "word_count": (70.8, 14.9),
        "sentence_length": (15.4, 4.9),
        "word_length": (4.92, 0.58),
        "list_share": (0.04, 0.15),
        "questions": (0.10, 0.43),
        "warmth": (3.2, 3.3),
    }
)


def standardise(name: str, text: str) -> float:
    """Return a feature in standard deviations from the typical answer, cut to [-3, 3]."""
    mean, deviation = TYPICAL[name]
    return max(-3.0, min(3.0, (FEATURES[name](text) - mean) / deviation))

"""What a simulated taste is made of: features of an answer (`personalization.text`) in common units.

`standardise` turns a feature into units of the spread that SmolLM2-135M's own answers have (96 tokens,
temperature 1), so that a weight of 1 means the same for each.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from personalization.text import list_share, questions, sentence_length, warmth, word_count, word_length

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

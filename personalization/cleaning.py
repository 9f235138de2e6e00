"""What people type, made safe to store and to show to a model, nothing lost; and whether two texts are one.

Knows nothing of special tokens: `personalization.models.prompts` keeps those text.
"""

from __future__ import annotations

import re
import unicodedata

_ODD_SPACE = re.compile(r"[^\S\n]+")
_MANY_BREAKS = re.compile(r"\n{3,}")
# Direction overrides make a text look different from what it says; surrogates cannot be stored.
_HIDDEN = frozenset("\u200b\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DROPPED_CATEGORIES = frozenset({"Cc", "Cs", "Co", "Cn"})


def clean(text: str, *, lines: bool = False) -> str:
    """Return text in NFC without control or hidden characters, spaces collapsed.

    With `lines` line breaks stay (at most one empty line in a row); otherwise they become spaces.
    Cleaning twice changes nothing.
    """
    text = re.sub(r"\r\n?|[\v\f\x85\u2028\u2029]", "\n", text)
    text = "".join(c for c in unicodedata.normalize("NFC", text) if _kept(c))
    text = unicodedata.normalize("NFC", text)  # what was dropped may have kept two marks apart
    if not lines:
        text = text.replace("\n", " ")
    text = _ODD_SPACE.sub(" ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    return _MANY_BREAKS.sub("\n\n", text).strip()


def plain(text: str) -> str:
    """Return a text's words: letters, digits and marks in one case, one space between them.

    A text without any stays as it is, but for spaces: two different faces are two answers.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in folded)
    return " ".join(kept.split()) or " ".join(folded.split())


def _kept(character: str) -> bool:
    if character in "\n\t":
        return True
    return character not in _HIDDEN and unicodedata.category(character) not in _DROPPED_CATEGORIES

"""Whole numbers as a form sends them: digits in a text. Knows nothing of forms."""

from __future__ import annotations

MOST_DIGITS = 9  # more fits no column; and beyond some thousand Python refuses to read a number at all


def whole(text: str) -> int | None:
    """Return the number that a text of one to nine digits says; None for any other text."""
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None

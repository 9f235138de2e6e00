"""Refusals of the alignment pages, in words for the person. Knows nothing of HTTP."""

from personalization.errors import AlignError


class Refused(AlignError):
    """What was asked cannot be done as asked; the message says what to do instead."""

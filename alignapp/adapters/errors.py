"""Refusals of the alignment pages, in words for the person. Knows nothing of HTTP."""

from personalization.errors import AlignError


class Refused(AlignError):
    """What was asked cannot be done as asked; the message says what to do instead."""


class WrongField(AlignError):
    """One thing of what was asked is wrong; `field` names it, so that a form says so beside it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field

"""What the console refuses on purpose, in words for the person who asked."""

from __future__ import annotations

from personalization.errors import AlignError


class Refused(AlignError):
    """Something cannot be done as asked; the message says what to do."""


class Incomplete(Refused):
    """An answer cannot be submitted as it is; `errors` says why, by the name of the protocol."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


class TimeIsUp(Refused):
    """The item's time was over before there was a complete answer; somebody else gets it."""

    retryable = True


class Elsewhere(Refused):
    """The draft was changed in another window meanwhile; nothing was stored."""

    retryable = True

"""What the chat refuses on purpose, in words for the person who asked."""

from personalization.errors import AlignError


class Refused(AlignError):
    """The person asked for something that cannot be done as asked; the message says what to do."""

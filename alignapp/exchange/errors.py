"""What the exchange refuses, in words for the person."""

from personalization.errors import AlignError


class Refused(AlignError):
    """This cannot be imported or exported now; the message says why and what to do."""

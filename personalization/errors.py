"""The errors that alignapp raises on purpose. Each message says what is wrong and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AlignError(Exception):
    """Base of every deliberate error. `retryable` says whether the same call may succeed later."""

    retryable = False


class UnknownName(AlignError, LookupError):
    """A name that no registry holds; the message offers the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        hint = f"Did you mean {', '.join(near)}?" if near else f"Known: {', '.join(names[:20]) or 'none'}."
        super().__init__(f"There is no {kind} named {name!r}. {hint}")


class ArtifactError(AlignError):
    """An artifact that must not be used: changed, foreign, or made for another base model."""


class NotEnoughData(AlignError):
    """Too little feedback to learn from or to prove anything; `missing` says how much more is needed."""

    def __init__(self, message: str, *, missing: int) -> None:
        super().__init__(message)
        self.missing = missing


class Leak(AlignError):
    """What is to prove an artifact was learned from, so that it proves nothing."""


class ModelError(AlignError):
    """The base model cannot be loaded or used as asked."""


class Cancelled(AlignError):
    """The person stopped the work; nothing is wrong."""


class EngineBusy(AlignError):
    """The engine's queue is full; try again in a moment."""

    retryable = True

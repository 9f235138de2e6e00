"""An undo button for ten seconds and some: what can be undone is done at once, without asking first.

The way back is a form of its own; this only offers it on the next page.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

OFFERED_SECONDS = 60  # ten were asked for; who reads with a screen reader needs longer
_KEY = "panel_undo"


@dataclass(frozen=True, slots=True)
class Undo:
    """What was done, in words, and the form that undoes it."""

    words: str
    url: str
    fields: dict[str, str]


def offer(request: HttpRequest, words: str, url: str, **fields: Any) -> None:
    """Offer on the next page to undo what `words` say, by a POST of `fields` to `url`."""
    until = time.time() + OFFERED_SECONDS
    sent = {name: str(value) for name, value in fields.items()}
    request.session[_KEY] = {"words": words, "url": url, "fields": sent, "until": until}


def offered(request: HttpRequest) -> Undo | None:
    """Return what can still be undone, once."""
    found = request.session.pop(_KEY, None)
    if found is None or found["until"] < time.time():
        return None
    return Undo(found["words"], found["url"], found["fields"])

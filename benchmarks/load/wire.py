"""Server-sent events as they come over the wire.

Knows nothing of locust, which changes the whole process that imports it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any


def events(chunks: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield (name, data) of each event; data is parsed JSON, or the text where it is none ("[DONE]").

    Comments and events without data are left out; an event without a name is a "message".
    """
    for block in _blocks(chunks):
        fields = [line.partition(":")[::2] for line in block.split("\n") if not line.startswith(":")]
        data = [value.strip() for name, value in fields if name == "data"]
        if data:
            name = next((value.strip() for name, value in fields if name == "event"), "message")
            yield name, _parsed("\n".join(data))


def _blocks(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n\n")
        for block in whole:
            yield block.decode()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

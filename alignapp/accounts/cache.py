"""How the cache writes its values: as JSON, so that whoever can write to the broker can run nothing here."""

from __future__ import annotations

import json
from typing import Any


class JsonSerializer:
    """What Django's Redis cache expects. Numbers stay numbers, so that counting in Redis works."""

    def dumps(self, value: Any) -> int | str:
        """Return what is stored. Raises TypeError for a value that JSON does not know."""
        return value if type(value) is int else json.dumps(value)

    def loads(self, stored: bytes) -> Any:
        """Return the value; tuples come back as lists."""
        return json.loads(stored)

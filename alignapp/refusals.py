"""Tell in one line of the log who was refused: that is no fault, and a traceback would hide those that are.

Knows nothing of roles or pages; whoever refuses says why in the exception. Imports nothing of the
application, because logging is set up before it.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied


class OneLine(logging.Filter):
    """Replaces the traceback of a refusal by its words; every other record stays as it is."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record in place and let it through."""
        raised: Any = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(raised, PermissionDenied):
            record.exc_info = None
            if words := str(raised).encode("unicode_escape").decode("ascii"):
                record.msg, record.args = f"{record.getMessage()}: {words}", None
        return True

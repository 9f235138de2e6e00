"""What a licence says about training: the reason why something is left out of what is exported for it."""

from __future__ import annotations

import re
from functools import lru_cache

_CLOSED = re.compile(
    r"(?:^|[-_ ])(?:nc|nd)(?:$|[-_ .0-9])|non-?commercial|no-?deriv|all rights reserved", re.I
)


@lru_cache(maxsize=1_000)  # a large file has few licences
def forbids_training(licence: str) -> bool:
    """Say whether a licence is for non-commercial use only, or allows nothing to be derived.

    A name that is not known forbids nothing: whoever brings the data says whether it may be trained on.
    """
    return bool(_CLOSED.search(licence))

"""What workers compare of several artifacts, kept for a day: weight changes, the same held-out feedback.

Knows nothing of tensors or pages. The result lies in the broker under the artifacts' digests, so that it is
neither a row to be erased nor wrong after a change: other contents have another digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import redis

from alignapp.adapters import dispatch
from alignapp.adapters.models import Artifact
from alignapp.chat import streams

KEPT_SECONDS = 24 * 3600
TELLS_SECONDS = 300  # a worker that tells nothing for so long is gone
ASKED_SECONDS = 60  # a message that was lost is sent again by whoever looks after that
# What is compared. Answers to held-out feedback are read by who trains, since weights alone need no model.
WEIGHTS, HELD_OUT = "weights", "held_out"


def compared(artifacts: Sequence[Artifact], what: str = WEIGHTS) -> dict[str, Any] | None:
    """Return what was compared of the artifacts, by their ids; `problem` says why there is nothing.

    WEIGHTS gives {"rows": [...]} as `personalization.merging.conflict` has them, HELD_OUT {"people": [...]}
    with what `personalization.evaluation.versus` tells for each. None where a worker computes it now: look
    again in a moment.
    """
    key = _key(artifacts, what)
    client = streams.connection()
    try:
        if found := client.get(key):
            return dict(json.loads(str(found)))
        if client.set(f"{key}:asked", 1, nx=True, ex=ASKED_SECONDS):
            dispatch.wake_for_comparison(what, ",".join(sorted(str(a.pk) for a in artifacts)))
    except redis.RedisError:
        return {"rows": [], "problem": "The broker does not answer, so nothing can be compared now."}
    return None


def keep(artifacts: Sequence[Artifact], result: dict[str, Any], what: str = WEIGHTS) -> None:
    """Keep a result for the page that waits for it."""
    client, key = streams.connection(), _key(artifacts, what)
    client.set(key, json.dumps(result), ex=KEPT_SECONDS)
    client.delete(f"{key}:done")


def is_wanted(artifacts: Sequence[Artifact], what: str) -> bool:
    """Say whether nothing is kept and no worker computes it: while one is busy, the page asks repeatedly."""
    key = _key(artifacts, what)
    return not streams.connection().exists(key, f"{key}:done")


def tell(artifacts: Sequence[Artifact], what: str, done: int, of: int) -> None:
    """Keep how far a worker is, for the page that waits."""
    streams.connection().set(f"{_key(artifacts, what)}:done", f"{done} {of}", ex=TELLS_SECONDS)


def progress(artifacts: Sequence[Artifact], what: str) -> tuple[int, int] | None:
    """Return how many readings a worker did, and of how many; None before it began."""
    try:
        found = streams.connection().get(f"{_key(artifacts, what)}:done")
    except redis.RedisError:
        return None
    done, of = str(found).split() if found else ("", "")
    return (int(done), int(of)) if found else None


def _key(artifacts: Sequence[Artifact], what: str) -> str:
    """Return where a result lies; another number where results have another shape than before."""
    named = " ".join(f"{a.pk} {a.digest}" for a in sorted(artifacts, key=lambda a: str(a.pk)))
    return f"compared:2:{what}:{hashlib.sha256(named.encode()).hexdigest()}"

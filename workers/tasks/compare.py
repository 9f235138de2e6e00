"""Compare several artifacts for the operators' page that waits: weights, and the same held-out feedback."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from alignapp.adapters import comparison, store
from alignapp.adapters.models import Artifact
from alignapp.chat.events import close_connections
from personalization.errors import AlignError
from workers.app import app
from workers.comparing import on_held_out

log = logging.getLogger(__name__)


@app.task(name="workers.compare_weights")
def compare_weights(artifact_ids: str) -> None:
    """Compare adapters layer by layer."""
    _compare(artifact_ids, comparison.WEIGHTS, _weights)


@app.task(name="workers.compare_held_out")
def compare_held_out(artifact_ids: str) -> None:
    """Put the same comparisons of their people, which taught none of them, to several artifacts."""
    _compare(artifact_ids, comparison.HELD_OUT, _on_held_out)


def _compare(artifact_ids: str, what: str, how: Callable[[list[Artifact]], dict[str, Any]]) -> None:
    """Keep the result for the page, or why there is none; once, however often the page asked."""
    every = Artifact.objects.select_related("person", "job").filter(pk__in=artifact_ids.split(","))
    artifacts = sorted(every, key=lambda a: str(a.pk))
    if not comparison.is_wanted(artifacts, what):
        return
    try:
        for artifact in artifacts:
            store.check(artifact)
        result = how(artifacts)
    except AlignError as error:
        result = {"problem": str(error)}
    except Exception:
        log.exception("the %s of %s were not compared", what, artifact_ids)
        result = {"problem": "They could not be compared. The worker's log says why."}
    try:
        comparison.keep(artifacts, {"rows": [], **result}, what)
    finally:
        close_connections()


def _on_held_out(artifacts: list[Artifact]) -> dict[str, Any]:
    return on_held_out(artifacts, lambda done, of: comparison.tell(artifacts, comparison.HELD_OUT, done, of))


def _weights(artifacts: list[Artifact]) -> dict[str, Any]:
    from personalization.merging.conflict import conflicts
    from personalization.merging.merge import read

    rows = conflicts([read(store.folder_of(artifact)) for artifact in artifacts])
    return {"rows": [row.as_dict() for row in rows]}

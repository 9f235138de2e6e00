"""Let what was learned act as strongly as the safety gate lets it, before it is sealed and proven.

Knows nothing of how it was learned. Stated values are weakened while they are composed.
"""

from __future__ import annotations

from pathlib import Path

from alignapp.adapters import options
from alignapp.adapters.models import Artifact
from workers.engines import plain_for_process
from workers.work import Work

# A personality is proven while it is learned, at full strength: weaker it would be another one.
KINDS = (Artifact.Kind.ADAPTER, Artifact.Kind.VECTOR)


def within_gate(work: Work, folder: Path) -> dict[str, float]:
    """Weaken the artifact in `folder` until the gate passes; return which share is left, as its summary says.

    What passes at no strength is left as it is, for the proof to say why.
    """
    from personalization.evaluation.report import safety_of
    from personalization.models.personal import scale
    from personalization.safety.weaken import weakened

    kind = work.method.produces
    if kind not in KINDS:
        return {}
    margins, plain = options.gate_margins(), plain_for_process()
    share, work.safety = weakened(
        lambda share: safety_of(work.base, folder, kind, margins, plain, strength=share)
    )
    if work.safety.objection:
        work.safety = None
        return {}
    if share < 1:
        scale(folder, share)
    return {"share": round(share, 3)}

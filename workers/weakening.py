"""Let what was learned act as strongly as the safety gate lets it, weaker or stronger than it was learned.

Knows nothing of how it was learned. Stated values are weakened while they are composed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alignapp.adapters import options, store
from alignapp.adapters.models import Artifact
from alignapp.adapters.models.artifact import MOST_STRENGTH
from workers.engines import plain_for_process
from workers.work import Evidence

if TYPE_CHECKING:
    from personalization.safety.gate import Gate

# A personality is proven while it is learned, at full strength: weaker it would be another one.
KINDS = (Artifact.Kind.ADAPTER, Artifact.Kind.VECTOR)


def gate_of(work: Evidence, folder: Path, kind: str, *, strength: float = 1.0) -> Gate:
    """Ask the safety gate about an artifact by the operator's margins. Raises what `work.check` raises."""
    from personalization.evaluation.report import safety_of

    work.check()
    margins, plain = options.gate_margins(), plain_for_process()
    return safety_of(work.base, folder, kind, margins, plain, strength=strength)


def asked_further(work: Evidence, artifact: Artifact, gate: Gate) -> dict[str, Any]:
    """Return an artifact's gate for its card, with how strongly it may act at most: `most`.

    What passed whole is asked about once more, at the greatest strength that a person or a client can ask
    for. What was weakened lies just inside of the margin, and what is refused acts nowhere: of neither is
    more asked. Raises what `work.check` raises.
    """
    found = gate.as_dict()
    if gate.objection or artifact.share < 1:
        return found
    stronger = gate_of(work, store.folder_of(artifact), artifact.kind, strength=MOST_STRENGTH)
    return {**found, "most": 1.0 if stronger.objection else MOST_STRENGTH}


def within_gate(work: Evidence, folder: Path, kind: str) -> float:
    """Weaken the artifact in `folder` until the gate passes it; return the share that is left, 0 to 1.

    What passes whole has its gate in `work.safety`; what passes weakened is asked about again when it is
    proven, as its files then are. What passes at no strength is left whole, for the proof to say why. Raises
    what `work.check` raises.
    """
    from personalization.models.personal import scale
    from personalization.safety.weaken import weakened

    if kind not in KINDS:
        return 1.0
    share, gate = weakened(lambda share: gate_of(work, folder, kind, strength=share))
    if share == 1:
        work.safety = gate
    if share == 1 or gate.objection:
        return 1.0
    scale(folder, share)
    return share

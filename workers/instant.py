"""Ask the safety gate how strongly a vector from ratings may act; keep answers' states.

Knows nothing of queues. No vector acts by being near one that passed: on the embedded model a push of 0.02
of the hidden norm in the worst direction is enough for the gate to object, and a random one of 0.2 is not.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from alignapp.adapters import options, store
from alignapp.audit.services import record
from alignapp.chat.models import Reply
from alignapp.chat.paths import path_to
from alignapp.feedback.models import Feedback
from alignapp.instant import services
from alignapp.instant.models import InstantVector, ReplyStates
from personalization.engine.requests import Intervention
from personalization.errors import ArtifactError
from personalization.safety.gate import Gate
from personalization.safety.weaken import weakened
from personalization.steering.instant import layers_of
from workers.engines import base_for_process, engine_for_process

log = logging.getLogger(__name__)

_asking = threading.Lock()  # the candidates of one turn ask about the same vector


def limit_of(vector: InstantVector, path: Path, *, tick: Callable[[], None]) -> float:
    """Return how strongly a verified vector may act, 0 to 1; the gate is asked where nobody did.

    Some seconds at most once: one that does not pass whole is asked about weakened, as values are.

    Raises ArtifactError when a newer rating, or its person, discarded it in the meantime.
    """
    while not _asking.acquire(timeout=1.0):
        tick()
    try:
        vector.refresh_from_db()
        if vector.state == InstantVector.State.NEW:
            share, gate = weakened(lambda share: _gate(vector, path, share, tick))
            vector.judge(gate.as_dict(), share)
            if vector.state == InstantVector.State.QUARANTINED:
                record("worker", "instant.quarantined", vector, reason=gate.objection)
            log.info("vector %s %s at %.2f", vector.digest[:12], vector.state, share)
    except InstantVector.DoesNotExist as error:
        raise ArtifactError(f"vector {vector.digest[:12]} was discarded. Ask again without it.") from error
    finally:
        _asking.release()
    return vector.safe_share


def _gate(vector: InstantVector, path: Path, strength: float, tick: Callable[[], None]) -> Gate:
    acting = Intervention("vector", path, vector.digest, strength)
    return engine_for_process().gate(acting, tick=tick, margins=options.gate_margins())


def ask(vector_id: str) -> None:
    """Ask the gate about a vector that is current and was not asked about."""
    vector = InstantVector.objects.filter(
        pk=vector_id, is_current=True, state=InstantVector.State.NEW
    ).first()
    if vector is None or vector.model_revision != base_for_process().revision:
        return
    store.check(vector)
    limit_of(vector, store.folder_of(vector), tick=lambda: None)


def read(reply: Reply) -> None:
    """Read a complete answer with the base model alone and keep its states; a vector that waits is renewed.

    Where the person has rated it already, their vector is brought up to date.
    """
    conversation = reply.turn.conversation
    if reply.status != Reply.Status.DONE or not reply.text or not conversation.for_training:
        return
    base = base_for_process()
    revision, layers = base.revision, list(layers_of(len(base.layers)))
    if ReplyStates.objects.filter(reply=reply, model_revision=revision, layers=layers).exists():
        return
    states = engine_for_process().read(path_to(reply.turn), reply.text)
    ReplyStates.keep(reply, revision, states)
    if Feedback.objects.filter(reply=reply, kind=Feedback.Kind.RATING).exists():
        services.refresh(conversation.person)

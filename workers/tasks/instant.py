"""What follows ratings and is not the web's: a bucket, the safety gate, missing states, the common taste."""

from __future__ import annotations

import logging

from alignapp.accounts.models import Person
from alignapp.adapters import dispatch
from alignapp.chat.events import close_connections
from alignapp.chat.models import Reply
from alignapp.instant import common
from alignapp.instant.services import refresh_or_log
from personalization.errors import AlignError
from workers import instant
from workers.app import app

log = logging.getLogger(__name__)


@app.task(name="workers.follow_ratings")
def follow_ratings(person_id: str) -> None:
    """Replace a person's vector by what their ratings say now; rows decide, so twice is as good as once."""
    person = Person.objects.filter(pk=person_id).first()
    try:
        if person is not None:
            refresh_or_log(person)
    finally:
        close_connections()


@app.task(name="workers.gate_instant")
def gate_instant(vector_id: str) -> None:
    """Ask the safety gate about a vector, so that the next reply need not wait for it."""
    try:
        instant.ask(vector_id)
    except AlignError as error:  # replaced by a newer rating; or whoever writes a reply with it says so, too
        log.info("vector %s was not tested: %s", vector_id, error)
    finally:
        close_connections()


@app.task(name="workers.read_states")
def read_states(reply_id: str) -> None:
    """Read an answer whose states are missing; the row decides whether there is anything to do."""
    reply = Reply.objects.select_related("turn__conversation__person").filter(pk=reply_id).first()
    try:
        if reply is not None:
            instant.read(reply)
    except (AlignError, ValueError) as error:
        log.warning("the states of %s were not read: %s", reply_id, error)
    finally:
        close_connections()


@app.task(name="workers.common_taste")
def common_taste() -> None:
    """Make the next common taste of those who agreed, where it is due, and have vectors follow it.

    Each has a message of its own, so that one that fails stops no other; what is lost is sent the next night.
    """
    try:
        common.make_due()
        for person_id in list(common.behind().values_list("pk", flat=True)):
            dispatch.wake_for_ratings(person_id)
    finally:
        close_connections()

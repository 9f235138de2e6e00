"""Look at a person's live win rate after a blind judgement; prune at night where operators want it."""

from __future__ import annotations

import logging

from alignapp.accounts.models import Person
from alignapp.adapters import live, options, pruning
from workers.app import app

log = logging.getLogger(__name__)


@app.task(name="workers.look_at_live")
def look_at_live(person_id: str) -> None:
    """Take back what is shown to do worse. A lost message costs nothing: the next judgement looks too."""
    person = Person.objects.filter(pk=person_id).first()
    if person is not None:
        live.look(person)


@app.task(name="workers.prune")
def prune() -> None:
    """Delete what the retention rule takes, where operators switched that on."""
    if not options.value("retention.automatic"):
        return
    rule = pruning.usual()
    if pruning.doomed(rule):
        log.info("%d versions pruned", len(pruning.prune("system", rule, "retention, every night")))

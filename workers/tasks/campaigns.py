"""The clock of campaigns and of the registry: what is due is done, however often it is asked for."""

from __future__ import annotations

import logging

from alignapp.adapters import bases, dispatch
from alignapp.adapters.models import KnownModel
from alignapp.campaigns import running
from alignapp.campaigns.models import Campaign
from alignapp.leased import LeaseLost
from workers import checking, shutdown
from workers.app import app
from workers.lease import new_owner

log = logging.getLogger(__name__)


@app.task(name="workers.advance_campaigns")
def advance_campaigns() -> None:
    """Go on with every open campaign, move people to the default base model, announce checks that wait."""
    for campaign in Campaign.open_ones():
        running.advance(campaign.pk, new_owner())
    if moved := bases.move_people():
        log.info("%d people moved to the default base model", moved)
    for known in KnownModel.rescue():
        dispatch.wake_for_model_check(known.pk)


@app.task(name="workers.check_model")
def check_model(known_id: str) -> None:
    """Check a base model if nobody else does."""
    known = KnownModel.claim(known_id, new_owner())
    if known is None:
        log.info("model %s does not wait for a check; nothing to do", known_id)
        return
    try:
        checking.run(known)
        log.info("model %s: %s", known.name, known.state)
    except shutdown.ShuttingDown:
        known.give_back()
    except LeaseLost as error:
        log.warning("model %s: %s", known_id, error)

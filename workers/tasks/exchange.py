"""Commit an uploaded file. Twice the same message imports once: the row says who has it."""

from __future__ import annotations

import logging

from alignapp.exchange import services
from alignapp.exchange.models import Import
from alignapp.leased import LeaseLost
from personalization.errors import AlignError
from workers.app import app
from workers.lease import new_owner

log = logging.getLogger(__name__)


@app.task(name="workers.run_import")
def run_import(import_id: str) -> None:
    """Commit the file if nobody else does; what was committed before a failure stays and is not repeated."""
    row = Import.claim(import_id, new_owner())
    if row is None:
        log.info("import %s is not waiting; nothing to do", import_id)
        return
    try:
        done = services.run(row)
        log.info("import %s: %d items, %d errors", import_id, done.new, done.errors)
    except LeaseLost as error:
        log.warning("import %s: %s", import_id, error)
    except Exception as error:
        log.exception("import %s failed", import_id)
        row.fail(str(error) if isinstance(error, AlignError) else f"{type(error).__name__}; see the log.")

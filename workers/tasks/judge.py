"""Judge pasted answers by a study's reward model, and say how far it is."""

from __future__ import annotations

import logging

import numpy as np
import redis

from alignapp.chat.events import close_connections
from alignapp.studies import trying
from alignapp.studies.trying import Found, Tried
from personalization.errors import AlignError
from personalization.records import Message
from workers import rewarding
from workers.app import app
from workers.engines import base_for_process, engine_for_process

log = logging.getLogger(__name__)


@app.task(name="workers.judge_tried")
def judge_tried(tried_id: str) -> None:
    """Judge once; a message that comes again finds that it is taken, and does nothing."""
    try:
        tried = trying.take(tried_id)
        if tried is None:
            log.info("woken for pasted answers %s, which are judged or gone", tried_id)
            return
        try:
            found = Found(log_odds=_log_odds(tried))
        except AlignError as problem:
            found = Found(error=str(problem))
        except Exception:
            log.exception("pasted answers %s were not judged", tried_id)
            found = Found(error="The answers could not be judged. The log says why.")
        trying.tell(tried_id, found)
    except redis.RedisError as problem:
        log.warning("broker unreachable, pasted answers %s stay open: %s", tried_id, problem)
    finally:
        close_connections()


def _log_odds(tried: Tried) -> list[float]:
    """Return each answer's reward in units of log-odds, the mean taken off. Raises AlignError."""
    reward = rewarding.head_for(tried.reward, base_for_process().revision)
    if reward is None:
        raise AlignError(
            "The reward model is gone, or was learned for another base model than the one that answers now. "
            "Train again."
        )
    close_connections()
    engine, states = engine_for_process(), []
    for number, text in enumerate(tried.answers, start=1):
        try:
            states.append(engine.read((Message("user", tried.prompt),), text).means)
        except ValueError:
            raise AlignError(f"Answer {number} has no word that a model could read.") from None
        trying.tell_read(tried.id)
    rewards = reward.of(np.stack(states))
    return [float(value) for value in reward.scale * (rewards - rewards.mean())]

"""How often a person may ask for something: one token bucket per person and act, in Redis.

Knows nothing of what is asked for. When the broker is down nothing is counted, but then nothing
is generated either: rows wait in the database.
"""

from __future__ import annotations

import logging
import math

import redis

from alignapp.chat import streams
from personalization.errors import AlignError

log = logging.getLogger(__name__)

# One atomic step: refill by the time gone, then take, or say how many seconds are missing.
_TAKE = """
local capacity, rate, cost = tonumber(ARGV[1]), tonumber(ARGV[1]) / tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = tonumber(bucket[1]) or capacity
left = math.min(capacity, left + math.max(0, now - (tonumber(bucket[2]) or now)) * rate)
if left < cost then return string.format('%.3f', (cost - left) / rate) end
redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left - cost), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], math.ceil(capacity / rate) + 1)
return '0'
"""


class TooMany(AlignError):
    """The person asked too often; `retry_after_seconds` says when to come back."""

    retryable = True

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def take(act: str, person_id: object, cost: int, *, capacity: int, per_seconds: float, what: str) -> None:
    """Take `cost` tokens from this person's bucket of `capacity`, refilled once in `per_seconds`.

    `what` names the things in the message ("answers"). Raises TooMany when too few are left.
    """
    try:
        missing = streams.connection().eval(
            _TAKE, 1, f"limit:{act}:{person_id}", str(capacity), str(per_seconds), str(min(cost, capacity))
        )
    except redis.RedisError as error:
        log.warning("broker unreachable, %s is not limited: %s", act, error)
        return
    seconds = math.ceil(float(str(missing)))
    if seconds > 0:
        raise TooMany(
            f"That is more than {capacity} {what} a minute. Wait {seconds} second{'s' * (seconds != 1)}, "
            "then send it again; your text is kept.",
            retry_after_seconds=seconds,
        )

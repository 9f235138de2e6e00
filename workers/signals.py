"""What a worker does when it starts and stops: lists its methods, loads its model, tells that it lives."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from celery.signals import worker_ready, worker_shutting_down

from alignapp.adapters.models import MergeWay, MethodInfo
from alignapp.processes import tidying
from workers import checking, heartbeat, queues, shutdown

log = logging.getLogger(__name__)

LEAVE_SECONDS = 25.0  # after Celery's own soft shutdown of 20 s, before the supervisor kills at 30 s


@worker_ready.connect
def prepare(sender: Any, **_: Any) -> None:
    """List the methods for the pages, and load what this worker's queues need before the first task."""
    taken = {queue.name for queue in sender.task_consumer.queues}
    if queues.TRAIN in taken:
        register_methods()
        register_ways()
    if queues.GENERATE in taken:
        from workers.engines import base_for_process, engine_for_process

        engine_for_process()
        checking.register(base_for_process())
    if queues.OTHER_BASE in taken:
        from workers.engines import base_for_process

        base_for_process()  # so that the heartbeat says whose jobs it takes
    tidying.keep_tidy()
    heartbeat.start(str(sender.hostname), sorted(taken))
    log.info("ready: %s", ", ".join(sorted(taken)))


@worker_shutting_down.connect
def stop(**_: Any) -> None:
    """Let running tasks know that the worker is told to stop, and see to it that it does.

    Leases give back what a process that leaves in the middle of a task had in hand; a process that waits
    for a broker that is gone would stay for ever.
    """
    shutdown.requested.set()
    last = threading.Timer(LEAVE_SECONDS, os._exit, (os.EX_TEMPFAIL,))
    last.daemon = True
    last.start()


def register_methods() -> None:
    """Write a row for every registered method; what an operator switched on or off stays so."""
    from personalization.registry import all_methods

    known = []
    for method in all_methods():
        parameters = {
            p.name: {"default": p.default, "low": p.range.low, "high": p.range.high}
            for p in method.parameters.values()
        }
        described = {
            "data": method.data,
            "produces": method.produces,
            "summary": method.summary[:200],
            "paper": method.paper,
            "parameters": parameters,
        }
        MethodInfo.objects.update_or_create(
            name=method.name,
            defaults=described,
            create_defaults={**described, "enabled": method.offered},
        )
        known.append(method.name)
    MethodInfo.objects.exclude(name__in=known).delete()


def register_ways() -> None:
    """Write a row for every way to merge adapters."""
    from personalization.merging.registry import all_ways

    known = []
    for way in all_ways():
        parameters = {
            p.name: {"default": p.default, "low": p.range.low, "high": p.range.high}
            for p in way.parameters.values()
        }
        described = {"summary": way.summary[:200], "paper": way.paper, "parameters": parameters}
        MergeWay.objects.update_or_create(name=way.name, defaults=described)
        known.append(way.name)
    MergeWay.objects.exclude(name__in=known).delete()

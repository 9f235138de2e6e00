"""The Celery application: broker settings, queues and the beat schedule.

Imports no task and no torch, so that web processes may import it to send messages. Messages carry
ids only, as JSON; the database row decides whether there is anything to do. No setting here keeps a
job alive by itself (measured: `docs/decisions/0001-jobs-live-in-the-database.md`).
"""

import os

from celery import Celery
from celery.schedules import crontab
from django.conf import settings
from kombu import Queue

from workers import queues

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alignapp.settings")

HARD_LIMIT_SECONDS = 4 * 3600
VISIBILITY = {
    "visibility_timeout": 2 * HARD_LIMIT_SECONDS,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
}

app = Celery("alignapp")
app.conf.update(
    broker_url=settings.REDIS_URL,
    broker_connection_retry_on_startup=True,
    broker_transport_options=VISIBILITY,
    task_serializer="json",
    accept_content=["json"],
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_soft_time_limit=HARD_LIMIT_SECONDS - 60,
    task_time_limit=HARD_LIMIT_SECONDS,
    worker_soft_shutdown_timeout=20,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    task_default_queue=queues.HOUSEKEEPING,
    task_queues=[Queue(name) for name in queues.ALL],
    imports=[
        f"workers.tasks.{name}"
        for name in (
            *("train", "generate", "instant", "exchange", "sweep", "verify", "watch", "live"),
            *("campaigns", "ask", "judge", "compare"),
        )
    ],
    beat_schedule={
        "sweep": {"task": "workers.sweep", "schedule": 10.0, "options": {"queue": queues.HOUSEKEEPING}},
        "campaigns": {
            "task": "workers.advance_campaigns",
            "schedule": 10.0,
            "options": {"queue": queues.HOUSEKEEPING},
        },
        "measure": {"task": "workers.measure", "schedule": 30.0, "options": {"queue": queues.HOUSEKEEPING}},
        "verify artifacts": {
            "task": "workers.verify_artifacts",
            "schedule": crontab(hour="1-5", minute="*/10"),
            "options": {"queue": queues.HOUSEKEEPING},
        },
        "sweep the bucket": {
            "task": "workers.sweep_bucket",
            "schedule": crontab(hour="0", minute="40"),
            "options": {"queue": queues.HOUSEKEEPING},
        },
        "prune": {
            "task": "workers.prune",
            "schedule": crontab(hour="0", minute="40"),
            "options": {"queue": queues.HOUSEKEEPING},
        },
        "make the common taste": {
            "task": "workers.common_taste",
            "schedule": crontab(hour="2", minute="20"),
            "options": {"queue": queues.HOUSEKEEPING},
        },
        "verify the audit chain": {
            "task": "workers.verify_audit",
            "schedule": crontab(hour="3", minute="10"),
            "options": {"queue": queues.HOUSEKEEPING},
        },
    },
)

"""The measured numbers in Prometheus' text format. Counts outlive restarts: they are in the database."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from alignapp.panel import measures
from alignapp.panel.models import Measure, Worker

__all__ = ["CONTENT_TYPE_LATEST", "exposition"]

COUNTS = {
    "replies": "Answers that ended",
    "tokens": "Tokens written",
    "jobs_ended_done": "Jobs done",
    "jobs_ended_dead": "Jobs failed",
    "gate_failures": "Artifacts that the safety gate refused",
}


class _Numbers(Collector):
    def collect(self) -> Iterator[Metric]:
        totals = measures.totals()
        for name, words in COUNTS.items():
            yield CounterMetricFamily(
                f"alignapp_{name}", words, value=totals[name].total if name in totals else 0
            )
        if first := totals.get(measures.FIRST_TOKEN):
            yield _histogram(first)
        for name, value in measures.levels(timezone.now()).items():
            yield GaugeMetricFamily(f"alignapp_{name}", name.replace("_", " "), value=value)
        silence = GaugeMetricFamily(
            "alignapp_worker_silent_seconds", "Since a worker was heard of", labels=["worker"]
        )
        for worker in Worker.objects.all()[:1000]:
            silence.add_metric([worker.name], (timezone.now() - worker.seen_at).total_seconds())
        yield silence


def exposition() -> bytes:
    """Return the numbers as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers())
    return generate_latest(registry)


def _histogram(row: Measure) -> HistogramMetricFamily:
    buckets, below = [], 0
    for place, edge in enumerate(measures.EDGES):
        below += row.histogram.get(str(place), 0)
        buckets.append((str(edge / 1000), float(below)))
    buckets.append(("+Inf", float(sum(row.histogram.values()))))
    return HistogramMetricFamily(
        "alignapp_first_token_seconds",
        "From a request to its first token",
        buckets=buckets,
        sum_value=row.total / 1000,
    )

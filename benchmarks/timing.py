"""Times of several ways to do the same thing, taken by turns, and how busy others kept the machine."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

IDLE_CORES = 0.15  # what others may use of the machine that is still called idle


@dataclass(frozen=True, slots=True)
class Times:
    """Repeated measurements of one way in seconds: of the clock, and of this process's threads together."""

    seconds: tuple[float, ...]
    processor_seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    def as_dict(self) -> dict[str, Any]:
        """Return median, range and all values, JSON-ready."""
        return {
            "median": self.median,
            "low": min(self.seconds),
            "high": max(self.seconds),
            "all": self.seconds,
            "processor_all": self.processor_seconds,
        }

    def rates(self, amount: float) -> dict[str, Any]:
        """Return median and range of so much a second, JSON-ready."""
        rates = [amount / seconds for seconds in self.seconds]
        return {"median": statistics.median(rates), "low": min(rates), "high": max(rates)}


def by_turns(
    ways: Mapping[str, Callable[[], object]],
    *,
    repeats: int,
    tell: Callable[[str, float], None] = lambda _name, _seconds: None,
) -> dict[str, Times]:
    """Time each way `repeats` times: in the given order, then backwards, and so on (ABBA).

    What slows the machine for a while then slows all ways alike. `tell` hears each measurement.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(repeats):
        for name in sorted(ways, key=list(ways).index, reverse=turn % 2 == 1):
            gc.collect()
            begun, used = time.perf_counter(), time.process_time()
            ways[name]()
            found[name].append((time.perf_counter() - begun, time.process_time() - used))
            tell(name, found[name][-1][0])
    return {name: Times(*zip(*both, strict=True)) for name, both in found.items()}


class Watch:
    """How many cores other processes used since this was made."""

    def __init__(self) -> None:
        self._load = os.getloadavg()[0]
        self._begun, self._before = time.monotonic(), _busy_of_others()

    def as_dict(self) -> dict[str, Any]:
        """Return the load average at the start and now, what others used, and whether that is idle."""
        others = (_busy_of_others() - self._before) / max(time.monotonic() - self._begun, 1e-9)
        return {
            "load_at_start": self._load,
            "load_at_end": os.getloadavg()[0],
            "cores": os.cpu_count(),
            "cores_used_by_others": others,
            "idle": others <= IDLE_CORES,
        }


def _busy_of_others() -> float:
    """Return the processor seconds of every process but this one (and what it waited for)."""
    whole, own = psutil.cpu_times(), psutil.Process().cpu_times()
    busy = sum(whole) - whole.idle - getattr(whole, "iowait", 0.0) - getattr(whole, "guest", 0.0)
    mine = own.user + own.system + own.children_user + own.children_system
    return float(busy - mine)


def quietness(watched: Mapping[str, Any]) -> str:
    """Return one sentence about a watch's result, for a page."""
    used, cores = watched["cores_used_by_others"], watched["cores"]
    loads = f"load average {watched['load_at_start']:.1f} before and {watched['load_at_end']:.1f} after"
    if watched["idle"]:
        return f"Nothing else ran ({loads})."
    return (
        f"**The machine was not idle:** other processes used {used:.1f} of {cores} cores ({loads}), so "
        "times are longer than they need be; ratios of ways that took turns are less affected."
    )


def spread(values: Sequence[float], *, scale: float = 1.0, digits: int = 1) -> str:
    """Return a median with its range in brackets."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle * scale:.{digits}f} ({low * scale:.{digits}f} to {high * scale:.{digits}f})"

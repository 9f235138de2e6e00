"""From measurements to figures and bars. Knows nothing of how they came about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.load.place import HOSTS

PAGE_SECONDS = 0.2  # at the 95th percentile
NO_WAIT_SECONDS = 0.25  # for a worker: where nobody waits, chance decides who waits longest
ENOUGH = 20  # replies of each, below which a 95th percentile says nothing
MOST_OF_IT = 0.9  # of the time something must train, for the load to be one beside training
HEAVY, LIGHT = ("heavy",), ("person", "program")

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing that was asked for; `met` is None where a figure is only stated."""

    what: str
    bar: str
    measured: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """PASS, MISSED or stated."""
        return "stated" if self.met is None else "PASS" if self.met else "MISSED"


def spread(seconds: Iterable[float]) -> dict[str, float]:
    """Return how many there are, and the median, 95th percentile and maximum in seconds (0 where none is)."""
    found = list(seconds)
    if not found:
        return {"n": 0, "p50": 0.0, "p95": 0.0, "most": 0.0}
    p50, p95 = np.quantile(found, [0.5, 0.95])
    return {"n": len(found), "p50": float(p50), "p95": float(p95), "most": float(max(found))}


def figures(rows: Rows, *, heavy_at: float) -> dict[str, Any]:
    """Return the spreads of pages, first texts and whole answers.

    `heavy_at`: from when on (seconds since 1970) the heavy one asked; light ones' waits are given before and
    from then on.
    """

    def seconds(what: str, roles: Sequence[str] = LIGHT, names: Sequence[str] = ()) -> list[float]:
        return [
            row["seconds"]
            for row in rows
            if row["what"] == what and row["role"] in roles and (not names or row["name"] in names)
        ]

    first = [row for row in rows if row["what"] == "first" and row["role"] in LIGHT]
    pages: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["what"] == "page":
            pages[row["name"]].append(row["seconds"])
    return {
        "pages": spread(seconds("page")),
        "each_page": {name: spread(found) for name, found in sorted(pages.items())},
        "send": spread(seconds("send")),
        "feedback": spread(seconds("feedback")),
        "first": spread(seconds("first")),
        "first_chat": spread(seconds("first", names=("chat",))),
        "reply": spread(seconds("reply")),
        "light_before": spread(row["seconds"] for row in first if row["at"] < heavy_at),
        "light_beside": spread(row["seconds"] for row in first if row["at"] >= heavy_at),
        "heavy": spread(seconds("first", HEAVY)),
        "heavy_reply": spread(seconds("reply", HEAVY)),
        "limited": {role: _count(rows, "limited", role) for role in (*LIGHT, *HEAVY)},
        "errors": [dict(row) for row in rows if row["what"] == "error"],
    }


def _count(rows: Rows, what: str, role: str) -> int:
    return sum(row["what"] == what and row["role"] == role for row in rows)


def queue(samples: Rows) -> dict[str, Any]:
    """Return the longest the queues were."""
    names = ("queued", "queued_of_one", "running", "jobs_queued", "jobs_running", "messages", "load_average")
    found = {name: max((sample[name] for sample in samples), default=0) for name in names}
    training = sum(sample["jobs_running"] > 0 for sample in samples) / max(len(samples), 1)
    return {**found, "samples": len(samples), "training_share": training}


def bars(found: Mapping[str, Any], checked: Mapping[str, Any], queued: Mapping[str, Any]) -> list[Bar]:
    """Return what was asked for beside what came of it; `found` has the spreads of `waits`, too."""
    replies, jobs = checked["replies"], checked["jobs"]
    errors = len(found["errors"]) + len(checked["faults"]) + replies["failed"] + replies["open"]
    lost = checked["feedback"]["lost"] + checked["turns"]["lost"]
    told = checked["feedback"]["told"] + checked["turns"]["told"]
    unsound = replies["twice"] + replies["done_but_by_nobody"] + replies["other_text_than_streamed"]
    light, heavy = found["waits"]["light"], found["waits"]["heavy"]
    trained_twice, trained = jobs["twice"] + jobs["tried_again"], sum(jobs["by_host"].values())
    hosts = [n for n in replies["by_host"].values() if n > 0]
    most, of_one = queued["queued"], queued["queued_of_one"]
    share = queued["training_share"]
    is_fair = light["p95"] <= max(heavy["p95"], NO_WAIT_SECONDS)
    is_known = min(light["n"], heavy["n"]) >= ENOUGH
    return [
        Bar("errors", "none", str(errors), errors == 0),
        Bar("page, p95", f"{1000 * PAGE_SECONDS:.0f} ms", _ms(found["pages"]), _quick(found["pages"])),
        Bar("first text, p95", "stated", _s(found["first"]), None),
        Bar("whole answer, p95", "stated", _s(found["reply"]), None),
        Bar("replies that wait", f"{queued['bound']}", str(most), most <= queued["bound"]),
        Bar("of one person", f"{queued['bound_of_one']}", str(of_one), of_one <= queued["bound_of_one"]),
        Bar(
            "light ones' wait for a worker beside a heavy one, p95",
            f"the heavy one's, or {NO_WAIT_SECONDS} s",
            f"{_s(light)}, heavy {_s(heavy)}",
            is_fair if is_known else None,
        ),
        Bar(
            "replies written twice or unlike shown",
            "none",
            f"{unsound} of {replies['written']}",
            unsound == 0,
        ),
        Bar(
            "jobs trained twice",
            "none",
            f"{trained_twice} of {trained}",
            trained_twice == 0 if trained or trained_twice else None,
        ),
        Bar("messages and feedback lost", "none", f"{lost} of {told}", lost == 0),
        Bar("hosts that wrote replies", str(len(HOSTS)), str(len(hosts)), len(hosts) == len(HOSTS)),
        Bar("time while a job trained", "all of it", f"{100 * share:.0f} %", share > MOST_OF_IT),
    ]


def _quick(found: Mapping[str, float]) -> bool:
    return found["n"] > 0 and found["p95"] <= PAGE_SECONDS


def _ms(found: Mapping[str, float]) -> str:
    return f"{1000 * found['p95']:.0f} ms"


def _s(found: Mapping[str, float]) -> str:
    return f"{found['p95']:.2f} s"


def as_json(every: Iterable[Bar]) -> list[dict[str, Any]]:
    """Return the bars for a file."""
    return [{**asdict(bar), "verdict": bar.verdict} for bar in every]

"""What 10,000 and 1,000,000 people need, worked out from what the other benchmarks measured.

    python -m benchmarks.scaling [--pages docs/benchmarks] [--write docs/scaling.md]

Reads serving.json, people.json, training.json and steering_fit.json from the pages' folder. What is
assumed is one table of the page, and one dataclass here: change it and run again. Measures nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.training.page import claimed, speed

READ = ("serving", "people", "training", "steering_fit")
_DAY = 86_400
LOADS, STREAMS = (
    "MB/s of adapters, if any worker may answer anybody",
    "share of one Redis, appends to streams",
)
ROWS, TRAINING = "share of one PostgreSQL, rows written", "cores that train, embedded model"
_HARDWARE_CORES = 2  # of the machine that measured
BATCH = 16  # people who are answered together in the serving benchmark


@dataclass(frozen=True, slots=True)
class Measured:
    """Constants from the published pages."""

    tokens_per_second: float  # sixteen people at once, adapters as the application trains them, and vectors
    adapter_bytes: int
    training_core_seconds: float  # one person's adapter from 32 rated prompts, all that the application adds
    trained_tokens_per_second: float  # many people together, the preference loss alone
    times_trl: float  # as fast as TRL, one after the other
    fit_seconds: float  # one person's personality vectors, a thousand in one call
    loaded_megabytes: float  # of memory for each active person

    @classmethod
    def read(cls, folder: Path) -> Measured:
        """Read them. Raises FileNotFoundError when a page was not published yet."""
        serving, people, training, fit = (json.loads((folder / f"{name}.json").read_text()) for name in READ)
        speeds = serving["side_by_side"]["tokens_per_second"]
        trained = next(row for row in people["grid"] if row["arm"] == "adapter" and row["prompts"] == 32)
        together, crowd = training["ways"][claimed(training["ways"])], fit["ways"]["together_1000"]
        return cls(
            tokens_per_second=speeds["ours, adapters in half of the layers"]["median"],
            adapter_bytes=serving["people"]["adapter_bytes"],
            training_core_seconds=trained["seconds"],
            trained_tokens_per_second=speed(together)[0],
            times_trl=speed(together)[0] / speed(training["ways"]["trl"])[0],
            fit_seconds=crowd["median"] / crowd["people"],
            loaded_megabytes=_for_each_active(serving["people"]["rows"]),
        )


@dataclass(frozen=True, slots=True)
class Assumed:
    """What people do, and what a GPU is. None of it was measured by us."""

    replies_a_day: float = 20.0  # for each person, all candidates counted
    tokens_a_reply: float = 150.0
    busiest_hour: float = 0.12  # of a day's traffic
    days_between_trainings: float = 14.0
    versions_kept: int = 3
    gpu_bytes_per_second: float = 3.35e12  # an H100's memory
    gpu_reached: float = 0.5  # of it, by a decode step
    gpu_model_bytes: float = 16e9  # eight billion weights in bfloat16
    gpu_adapter_bytes: float = 21e6  # rank 8, upper half of the layers, bfloat16
    gpu_cache_bytes: float = 131e6  # 1,000 tokens of context with grouped queries
    gpu_rows: int = 64
    redis_writes_per_second: float = 100_000.0  # one instance, appends to streams
    database_writes_per_second: float = 5_000.0  # one PostgreSQL primary
    writes_a_reply: int = 6  # rows made or changed, feedback included


def _for_each_active(rows: Sequence[Mapping[str, float]]) -> float:
    """Return how much more memory one more person takes, of sizes that fill a batch with different people."""
    full = [row for row in rows if row["active"] >= BATCH]
    few, many = full[0], full[-1]
    return (many["megabytes"] - few["megabytes"]) / (many["active"] - few["active"])


def gpu_tokens_per_second(assumed: Assumed) -> float:
    """Return what one GPU writes: each step reads the weights, every row's adapter and every row's cache."""
    rows = assumed.gpu_rows
    read = assumed.gpu_model_bytes + rows * (assumed.gpu_adapter_bytes + assumed.gpu_cache_bytes)
    return rows * assumed.gpu_bytes_per_second * assumed.gpu_reached / read


def needs(people: int, measured: Measured, assumed: Assumed) -> dict[str, float]:
    """Return what so many people need in the busiest hour, by name."""
    replies = people * assumed.replies_a_day * assumed.busiest_hour / 3600
    tokens = replies * assumed.tokens_a_reply
    return {
        "replies a second": replies,
        "tokens a second": tokens,
        f"hosts of {_HARDWARE_CORES} cores, embedded model": tokens / measured.tokens_per_second,
        "GPUs, a model of eight billion weights": tokens / gpu_tokens_per_second(assumed),
        TRAINING: people * measured.training_core_seconds / (assumed.days_between_trainings * _DAY),
        "artifact store, GB": people * assumed.versions_kept * measured.adapter_bytes / 1e9,
        LOADS: replies * measured.adapter_bytes / 1e6,
        STREAMS: tokens / assumed.redis_writes_per_second,
        ROWS: replies * assumed.writes_a_reply / assumed.database_writes_per_second,
    }


def page(measured: Measured, assumed: Assumed) -> str:
    """Return the page as Markdown."""
    small, large = (needs(people, measured, assumed) for people in (10_000, 1_000_000))
    table = "\n".join(f"| {name} | {small[name]:,.1f} | {large[name]:,.0f} |" for name in small)
    guesses = "\n".join(
        f"| {name.replace('_', ' ')} | {getattr(assumed, name):,g} |" for name in Assumed.__slots__
    )
    return f"""# How far it goes: 10,000 and 1,000,000 people

`python -m benchmarks.scaling --write docs/scaling.md` works this out from published measurements.

## Measured (two cores, embedded model)

By [serving](benchmarks/serving.md), [people](benchmarks/people.md), [training](benchmarks/training.md) and
[steering_fit](benchmarks/steering_fit.md).

| what | value |
|---|---|
| tokens a second, 16 people at once, each with adapter and vector | {measured.tokens_per_second:.0f} |
| an adapter as the application trains it, MB | {measured.adapter_bytes / 1e6:.1f} |
| core-seconds to train one from 32 rated prompts, all in all | {measured.training_core_seconds:.0f} |
| tokens trained a second | {measured.trained_tokens_per_second:.0f} |
| as many times as TRL trains | {measured.times_trl:.1f} |
| one person's personality vectors, of 1,000 in one call, ms | {measured.fit_seconds * 1e3:.2f} |
| memory for each active person on a worker, MB | {measured.loaded_megabytes:.1f} |

## Assumed (not measured by us; change `Assumed` and run again)

| what | value |
|---|---|
{guesses}

A decode step on a GPU reads the weights once, and every row's adapter and cache: with the figures above
{gpu_tokens_per_second(assumed):,.0f} tokens a second for each GPU. **No GPU was measured.**

## Worked out, for the busiest hour

| what | 10,000 people | 1,000,000 people |
|---|---|---|
{table}

{_what_breaks(small, large, measured)}

The embedded engine is for the small model. Eight billion weights are for vLLM (`ALIGN_ENGINE=vllm`), whose
own cost of adapters is not in this estimate.
"""


def _what_breaks(small: dict[str, float], large: dict[str, float], measured: Measured) -> str:
    kept = 512e6 / measured.adapter_bytes
    return f"""## What breaks first, and what to do

1. **Adapters on the wrong worker.** Any worker may answer anybody, and keeps 512 MB of artifacts (about
   {kept:.0f} adapters). With 10,000 people that costs {small[LOADS]:,.0f} MB/s from the store, which a folder
   on a network carries. With 1,000,000 it is {large[LOADS] / 1e3:,.1f} GB/s: then a queue for each group of
   workers is needed, people assigned to groups by a hash of their id, so that an adapter stays where it was
   loaded. Celery routes by the queue's name already; the assignment is not built.
2. **One Redis for all streams.** Each token is an append to the stream of its reply. At 1,000,000 people one
   instance carries {1 / large[STREAMS]:.0%} of it: shard streams by reply id, or append every few tokens.
   Queues can stay on one instance, which then carries ids only.
3. **One PostgreSQL** is at {large[ROWS]:.0%} of its writes with 1,000,000: partition replies and feedback by
   person. Nothing joins across people except the operator's overview.
4. **Generation** grows with hosts; nothing is shared but the three above.
5. **Training** is small beside generation ({large[TRAINING]:,.0f} cores for 1,000,000) and can wait;
   one person's turn never depends on another's. Personality vectors are nothing beside it: those of
   1,000,000 people are fitted in {1e6 * measured.fit_seconds / 60:.0f} minutes on one host."""


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pages", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--write", type=Path, help="the file to write instead of printing")
    options = parser.parse_args()
    words = page(Measured.read(options.pages), Assumed())
    if options.write:
        options.write.write_text(words)
    else:
        print(words)


if __name__ == "__main__":
    main()

"""How near personality steering comes to real people's answers: held-out error on `data/papi`.

For each person the application's own path: 30 of the 120 items held out, strength by cross-validation
inside the rest, then base, guesses and artifact on the held-out ones; below that, intervals over people.

    python benchmarks/pas_quick.py --people 6 --json
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from personalization import registry
from personalization.inventory.items import items
from personalization.models.base import load
from personalization.statistics import clustered_mean
from personalization.steering.personality import learn_personality

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("ALIGN_DATA", ROOT.parent / "shared/data")) / "papi"
ARMS = ("base", "always_3", "facet_mean", "artifact")


def people(count: int) -> list[dict[int, int]]:
    """Return people's agreement with the 120 statements as worded; the stored answers are keyed."""
    with (DATA / "item_key.csv").open() as file:
        key = {int(row["number_120"]): row["number"] for row in csv.DictReader(file) if row["number_120"]}
    rows = json.loads((DATA / "subjects.json").read_text())
    step = max(1, len(rows) // count)  # spread over the file, which is not in random order
    return [
        {
            item.number: item.keyed(value)
            for item in items()
            if (value := int(row[f"i{key[item.number]}"]))  # 0 is a missing answer
        }
        for row in rows[::step][:count]
    ]


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    base = load(asked.model, ROOT / "var/models", threads=asked.threads)
    pas = registry.get("pas")
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, answers in enumerate(people(asked.people)):
            begun = time.monotonic()
            result = learn_personality(
                base, answers, pas, parameters=pas.resolve({}), out=Path(folder) / str(number),
                cache=Path(folder) / "cache", seed=number,
            )  # fmt: skip
            found.append({**result, "seconds": time.monotonic() - begun})
            told = {arm: round(result["proof"]["error"][arm]["value"], 3) for arm in ARMS}
            print(number, told, result["strength"], f"{found[-1]['seconds']:.0f} s", file=sys.stderr)
    summary = {
        "people": len(found),
        "model_revision": base.revision,
        "threads": torch.get_num_threads(),
        "proven": sum(each["proof"]["proven"] for each in found),
        "seconds": [each["seconds"] for each in found],
        "strengths": [each["strength"] for each in found],
        "perplexity_ratio": [
            each["proof"]["cost"]["perplexity"] / each["proof"]["cost"]["perplexity_base"] for each in found
        ],
        "error": {
            arm: clustered_mean(
                [e["proof"]["error"][arm]["value"] for e in found], range(len(found))
            ).as_dict()
            for arm in ARMS
        },
        "difference": clustered_mean(
            [each["proof"]["difference"]["value"] for each in found], range(len(found))
        ).as_dict(),
    }
    if asked.json:
        print(json.dumps(summary))
        return
    print(f"{len(found)} people, {summary['proven']} proven, 30 held-out items each, mean absolute error:")
    for arm in ARMS:
        error = summary["error"][arm]
        print(f"  {arm:<11} {error['value']:.3f}  ({error['low']:.3f} to {error['high']:.3f})")
    gap = summary["difference"]
    print(f"  artifact minus base {gap['value']:+.3f} ({gap['low']:+.3f} to {gap['high']:+.3f})")


if __name__ == "__main__":
    main()

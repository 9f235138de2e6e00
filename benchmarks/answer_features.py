"""Measure what the base model's own answers are like: the units that simulated tastes are made of.

`python -m benchmarks.answer_features [--json]` answers the 80 everyday prompts once each, with 96 tokens
at temperature 1, and prints the mean and standard deviation of each feature next to the ones in use.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Sampling
from personalization.models.base import load
from personalization.records import Message
from personalization.simulation.features import FEATURES, TYPICAL
from personalization.simulation.prompts import PROMPTS


def answers(engine: LocalEngine) -> list[str]:
    """Return one sampled answer to each prompt."""
    streams = [
        engine.submit(
            GenerationRequest(str(i), (Message("user", prompt),), Sampling(max_new_tokens=96, seed=i))
        )
        for i, prompt in enumerate(PROMPTS)
    ]
    ends = [event for stream in streams for event in stream if isinstance(event, Finished)]
    return [end.text for end in ends]


def main() -> None:
    """Print the table, or with --json one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--models", type=Path, default=Path("var/models"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    engine = LocalEngine(load(options.model, options.models))
    texts = answers(engine)
    engine.close()
    measured = {}
    for name, feature in FEATURES.items():
        values = [feature(text) for text in texts]
        measured[name] = {
            "mean": statistics.mean(values),
            "deviation": statistics.pstdev(values),
            "in_use": TYPICAL[name],
        }
    if options.json:
        print(json.dumps({"answers": len(texts), "features": measured}))
        return
    print(f"{'feature':18}{'mean':>8}{'deviation':>11}   in use")
    for name, row in measured.items():
        print(f"{name:18}{row['mean']:8.2f}{row['deviation']:11.2f}   {row['in_use']}")


if __name__ == "__main__":
    main()

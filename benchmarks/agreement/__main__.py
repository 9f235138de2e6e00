"""What do the figures of the quality page say of public annotations, and do they match what was published?

    python -m benchmarks.agreement [--json FILE] [--page docs/benchmarks] [--quick]

Needs no model: PandaLM's 500 pairs of three annotators, 250 questions with fine-grained feedback and PRISM's
40 choices, read from ALIGN_DATA. A few seconds; --quick takes the first 60 rows of each.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.agreement import data
from benchmarks.agreement.page import verdict, write_page
from benchmarks.agreement.study import errors_against_wins, orders, published
from benchmarks.kept import publish
from benchmarks.machine import commit, machine
from personalization.agreement.judgements import units
from personalization.agreement.kappa import kappas
from personalization.agreement.report import figures


def main() -> None:
    """Measure, print, and write JSON and page."""
    options = _options()
    if not (data.FOLDER / "pandalm/pairs.json").exists():
        sys.exit(
            f"There is no pandalm/pairs.json in {data.FOLDER}; set ALIGN_DATA to the folder that has it."
        )
    begun = time.monotonic()
    rows = data.read(data.FOLDER, first=60 if options.quick else None)
    judgements = {
        "pandalm": data.pandalm(rows["pandalm"]),
        "fine-grained": data.fine_grained(rows["fine-grained"]),
        "prism": data.prism(rows["prism"]),
    }
    found: dict[str, Any] = {
        "machine": machine(),
        "commit": commit(),
        "quick": options.quick,
        "rows": {name: len(of) for name, of in rows.items()},
        "published": published(kappas(units(judgements["pandalm"])), rows["pandalm"]),
        "orders": orders(judgements["fine-grained"]),
        "errors_against_wins": errors_against_wins(data.marked(rows["fine-grained"])),
        "figures": {name: [one.as_dict() for one in figures(said)] for name, said in judgements.items()},
    }
    found["seconds"] = time.monotonic() - begun
    publish(options, found, verdict(found), write_page)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the first 60 rows of each file")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path, help="write the page and its numbers into this folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()

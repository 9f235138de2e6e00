"""What the resumable benchmarks share: their options, and finished rows that are not measured again."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def options_of(description: str | None, folder: str) -> argparse.ArgumentParser:
    """Return a parser with what every benchmark takes; each adds its own."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("var/benchmarks") / folder, help="for what is kept"
    )
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--models", type=Path, default=Path("var/models"))
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--page", type=Path, help="write the page, its plots and its numbers into this folder"
    )
    return parser


def publish(
    options: argparse.Namespace,
    found: dict[str, Any],
    words: str,
    write_page: Callable[[Path, dict[str, Any]], None],
) -> None:
    """Print a benchmark's words, and write its JSON and its page where the options name them."""
    print(words)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.page:
        write_page(options.page, found)


def begun(options: argparse.Namespace, name: str, published: Path) -> Path:
    """Return a run's folder, begun with what was published of it; a quick one measures anew."""
    folder: Path = options.folder / name
    if not folder.exists() and (published / name).exists() and not options.quick:
        shutil.copytree(published / name, folder)
    return folder


def missed(found: Mapping[str, Any]) -> bool:
    """Say whether a benchmark missed one of its bars."""
    return any(bar["verdict"] == "MISSED" for bar in found["bars"])


class Kept:
    """A file of finished rows, one line of JSON each, written as they come."""

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = file.read_text().splitlines() if file.exists() else []
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row, on disk too."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)

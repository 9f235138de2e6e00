"""The page of the agreement benchmark: what was published, what is measured, and every figure's sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import plots

NAMES = {"pandalm": "PandaLM", "fine-grained": "Fine-grained feedback", "prism": "PRISM"}
# What each file can say; the rest (gold, time, repeats, two protocols) it does not hold.
SHOWN = {
    "pandalm": ("alpha", "kappa", "left", "length", "strengths", "preferences", "ties"),
    "fine-grained": ("left", "length", "ties"),
    "prism": ("length",),
}


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write agreement.md, .json and .svg into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, plots.Interval] = {}
    for row in found["published"]["kappa"]:
        pair = " and ".join(name[-1] for name in row["people"])
        rows[f"{pair}, measured"] = (row["ours"]["value"], row["ours"]["low"], row["ours"]["high"])
        rows[f"{pair}, published"] = (row["published"],) * 3
    title = "Cohen's kappa of PandaLM's annotators, 95 % intervals over pairs"
    plots.bars(folder / "agreement.svg", title, rows, low=0.0, high=1.0)
    (folder / "agreement.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "agreement.md").write_text(_words(found))


def verdict(found: Mapping[str, Any]) -> str:
    """Return the first sentence: whether what was published is found again."""
    rows = found["published"]["kappa"]
    inside = sum(row["ours"]["low"] <= row["published"] <= row["ours"]["high"] for row in rows)
    ours = ", ".join(f"{row['ours']['value']:.2f}" for row in rows)
    theirs = ", ".join(f"{row['published']:.2f}" for row in rows)
    return (
        f"Cohen's kappa of PandaLM's three annotators is {ours} (published: {theirs}); {inside} of "
        f"{len(rows)} published values lie in our 95 % intervals."
    )


def _words(found: Mapping[str, Any]) -> str:
    counts = found["rows"]
    return f"""# Agreement: the quality page's figures on public annotations

{verdict(found)}

`python -m benchmarks.agreement --page docs/benchmarks` ({found["machine"]}, commit {found["commit"]},
{found["seconds"]:.0f} seconds). {counts["pandalm"]} pairs of PandaLM (Wang et al. 2023,
arXiv:2306.05087), {counts["fine-grained"]} questions of fine-grained feedback (Wu et al. 2023,
arXiv:2306.01693) and {counts["prism"]} choices of PRISM (Kirk et al. 2024, arXiv:2404.16019), read from
`ALIGN_DATA`. The figures are those of `personalization.agreement.report`, which the console shows for a
project; the unit tests hold alpha to Krippendorff's published examples.

![kappa](agreement.svg)

## Beside published figures

{_published(found)}

Of the fine-grained file no agreement can be measured: each question is there once, without its worker,
and no figure that could be compared with ours was found. PRISM's choices are of different answers for
each person and the file has no ratings, so nothing but the length of what is chosen can be said.

## What the fine-grained file says of itself

{_self(found)}

{_sets(found)}
## What to keep in mind

- PandaLM's authors left out pairs on which their annotators diverged (1,000 of 2,500 remain, says their
  README), so its agreement is not that of people who judge whatever comes.
- "Left" is the order of the files. Whether the screen had the same order is not known; of the fine-grained
  file the first prediction is the only one in which errors were marked.
- Nobody repeats a judgement in these files, so taste cannot be told from noise in them: that takes the
  console's hidden repeats.
"""


def _published(found: Mapping[str, Any]) -> str:
    lines = ["| figure | published | measured |", "|---|---|---|"]
    for row in found["published"]["kappa"]:
        lines.append(
            f"| kappa, {' and '.join(row['people'])} | {row['published']:.2f} | {_interval(row['ours'])} |"
        )
    names = {0: "alike", 1: "first better", 2: "second better"}
    for row in found["published"]["labels"]:
        lines.append(f"| label: {names[row['label']]} | {row['published']:.2f} | {_interval(row['ours'])} |")
    source = (
        "Published: README of WeOpenML/PandaLM at 05ad95b, for all 999 rows, of which these are 500. A "
        "label is what two of three say; how theirs was made of three is not said."
    )
    return "\n".join([*lines, "", source])


def _self(found: Mapping[str, Any]) -> str:
    orders = found["orders"]
    lines = [
        f"The six comparisons of a question fit one order of the four answers in {orders['with_order']} of "
        f"{orders['items']} questions. Do the marked errors tell how an answer fares?",
        "",
        "| errors marked in the first answer | how often it beats another (a tie is half) |",
        "|---|---|",
    ]
    lines += [
        f"| {band} | {_interval(row)}, n = {row['n']} |" for band, row in found["errors_against_wins"].items()
    ]
    return "\n".join(lines)


def _sets(found: Mapping[str, Any]) -> str:
    parts = []
    for name, keys in SHOWN.items():
        parts.append(f"## {NAMES[name]}\n")
        for figure in (one for one in found["figures"][name] if one["key"] in keys):
            parts += [f"**{figure['title']}.** {figure['words']}", "", "| | value | n |", "|---|---|---|"]
            parts += [f"| {_label(row)} | {_interval(row)} | {row['n']} |" for row in figure["rows"]]
            parts.append("")
    return "\n".join(parts)


def _interval(row: Mapping[str, Any]) -> str:
    if row["low"] is None or row["high"] is None:
        return f"{row['value']:.2f}"
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['label']} (look here)" if row["flagged"] else str(row["label"])

"""The page of the judges: each data set's figures, beside length and a coin, and what they do not say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import plots

NAMES = {
    "bradley_terry": "Bradley-Terry",
    "more": "MORE",
    "others": "Bradley-Terry, without the person",
    "more_others": "MORE, without the person",
    "length": "the length alone",
}


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write judges.md, .json and .svg into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "judges.json").write_text(json.dumps(found, indent=1) + "\n")
    bars = {
        f"{one['set']}, {NAMES[name]}": tuple(figures["accuracy"][key] for key in ("value", "low", "high"))
        for one in found["sets"].values()
        for name, figures in one["judges"].items()
    }
    plots.bars(
        folder / "judges.svg", "Held-out comparisons judged as the person did", bars, low=0.0, high=1.0
    )
    (folder / "judges.md").write_text(_page(found))


def table(found: Mapping[str, Any]) -> str:
    """Return the figures and the differences of every data set."""
    return "\n\n".join(_set(one) for one in found["sets"].values())


def _set(one: Mapping[str, Any]) -> str:
    head = (
        f"**{one['set']}**: {one['comparisons']:,} comparisons, {one['items']} items, {one['people']} people"
        "\n\n"
        "| judge | right, by items | right, by people | Brier | ECE (by chance) |\n|---|---|---|---|---|\n"
    )
    rows = []
    for name, figures in one["judges"].items():
        found = figures["calibration"]
        brier = _interval(found["brier"]) if found else "-"
        ece = f"{_interval(found['ece'])} ({found['ece_by_chance']:.3f})" if found else "-"
        right = f"{_interval(figures['accuracy'])} | {_interval(figures['by_people'])}"
        rows.append(f"| {NAMES[name]} | {right} | {brier} | {ece} |")
    rows.append("| always one half | 0.500 | 0.500 | 0.250 | 0.000 |")
    differences = [
        f"| {NAMES[row['one']]} - {NAMES[row['other']]} | {_interval(row['accuracy'], '+')} | "
        f"{_interval(row['brier'], '+')} | {row['p']:.3f} |"
        for row in one["differences"]
    ]
    between = "\n\n| difference | right | Brier (less is better) | p, Holm |\n|---|---|---|---|\n"
    return head + "\n".join(rows) + between + "\n".join(differences)


def _interval(one: Mapping[str, float], sign: str = "") -> str:
    return f"{one['value']:{sign}.3f} [{one['low']:{sign}.3f}, {one['high']:{sign}.3f}]"


def verdict(found: Mapping[str, Any]) -> str:
    """Return in which data sets a reward model is shown to judge better than the length alone."""
    said = []
    for one in found["sets"].values():
        clear = [
            NAMES[row["one"]]
            for row in one["differences"]
            if row["other"] == "length" and row["p"] < 0.05 and row["accuracy"]["value"] > 0
        ]
        said.append(f"{one['set']}: {', '.join(clear) if clear else 'none'}")
    return "Shown to judge better than the length alone (p < 0.05, corrected): " + "; ".join(said) + "."


def _page(found: Mapping[str, Any]) -> str:
    where = (
        f"{found['model']}, {found['machine']}, commit {found['commit']}, {found['seconds'] / 60:.0f} minutes"
    )
    rows = f" --rows {found['rows']}" if found.get("rows") else ""
    return f"""# Judges: reward models of several people

{verdict(found)}

`python -m benchmarks.judges{rows} --page docs/benchmarks` ({where}).
A linear head on the base model's mean hidden states of an answer is learned from people's comparisons: by
Bradley and Terry's likelihood, people counted alike, and by MORE (Zeng et al. 2023, arXiv:2312.07401) with
people as its tasks. How much a head is restrained and what a unit of it is worth are chosen inside of what it
learns from. Items are held out in five turns. *Without the person* is learned from the other people only, so
that both the person and the item are new. The length alone is a model of one number, learned the same way.
Intervals resample items, or people where it says so.

![Judges](judges.svg)

{table(found)}

## What this does not say

- PRISM's 40 pairs can prove nothing: the intervals are as wide as the question.
- PandaLM's annotators agree nearly always, so that other people's word is as good as one's own there.
- The fine-grained file does not say which worker judged what; all count as one person, so that nobody else is
  left to learn from.
- The simulated people's tastes are known and differ; nothing about real people follows from them. They judge
  the fine-grained answers.
- A head on a small model's states sees what that model's layers hold. That one judge is better than another
  here says nothing of larger models, nor of answers that are chosen by it.
"""

"""The page of the real-people benchmark; where nothing helps, its first sentence says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.real_people.results import ARMS, READINGS

NAMES = {
    "longer": "always the longer answer",
    "base": "base model, likelihood",
    "in_context": "earlier choices in context",
    "others": "the other people's vector",
    "random": "random vector, same norm",
    "own": "own vector",
    "shrunk": "own + others', shrunk",
    "in_context_likelihood": "in context, likelihood",
    "own_likelihood": "own vector, likelihood",
}


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write real_people.md, .json and .svg into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {NAMES[arm]: _interval(found["arms"][arm]) for arm in ARMS}
    title = "Held-out pairs whose chosen answer is preferred, 95 % intervals over people"
    plots.bars(folder / "real_people.svg", title, rows, low=0.0, high=1.0)
    (folder / "real_people.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "real_people.md").write_text(_words(found))


def table(found: Mapping[str, Any]) -> str:
    """Return arms and declared differences as two Markdown tables."""
    lines = ["| arm | prefers what the person chose |", "|---|---|"]
    for arm in (*ARMS, *READINGS):
        value, low, high = _interval(found["arms"][arm])
        lines.append(f"| {NAMES[arm]} | {value:.2f} [{low:.2f}, {high:.2f}] |")
    lines += ["", "| difference | mean | p | p, Holm | people needed |", "|---|---|---|---|---|"]
    for name, row in found["differences"].items():
        bounds = "" if row["low"] is None else f" [{row['low']:+.2f}, {row['high']:+.2f}]"
        needed = row["people_needed"] or "no feasible number"
        lines.append(
            f"| {name} | {row['value']:+.2f}{bounds} | {row['p']:.2f} | {row['p_holm']:.2f} | {needed} |"
        )
    return "\n".join(lines)


def verdict(found: Mapping[str, Any]) -> str:
    """Return the first sentence: what is shown to help, or that nothing is."""
    rows = found["differences"]
    shown = [name for name, row in rows.items() if row["value"] > 0 and row["p_holm"] < 0.05]
    worse = [name for name, row in rows.items() if row["value"] < 0 and row["p_holm"] < 0.05]
    size = f"{found['pairs']} pairs of {len(found['people'])} real people"
    if worse:
        return f"On {size} a person's own vector is worse, not better: {', '.join(worse)} lie below 0."
    if len(shown) == len(rows):
        return f"On {size} a person's own vector beats the base model, the others' and a random vector."
    if shown:
        return f"On {size} only some differences are shown, so no claim follows: {', '.join(shown)}."
    return f"On {size} nothing is shown to help: no declared difference can be told from chance."


def _words(found: Mapping[str, Any]) -> str:
    own = found["arms"]["own"]
    return f"""# Real people: does feedback tell what the same person prefers elsewhere?

{verdict(found)} So few people cannot prove a method; this page is here so that nobody needs to guess what
they say. The tests with statistical weight are `benchmarks.people` (simulated) and `benchmarks.papi`.

`python -m benchmarks.real_people --page docs/benchmarks` ({found["model"]}, {found["machine"]},
{found["dtype"]}, commit {found["commit"]}, {found["seconds"] / 60:.0f} minutes). PRISM (Kirk et al. 2024,
arXiv:2404.16019), read from `ALIGN_DATA`. {found["folds"]} conversations are left out one at a time: the
person's other conversations teach, all pairs of the one left out judge.

![arms](real_people.svg)

{table(found)}

Arms are read by implicit reward (did the chosen answer gain more over the base model, summed over its
tokens?), the base model by likelihood for each token, which is also given for two arms below the others. A
coin gives 0.50. Layer {found["layer"]} of {found["layers"]} and a norm of {found["strength"]} of the mean
hidden norm were fixed beforehand, as was the shrunk arm: the own vector has weight
n / (n + {found["prior_pairs"]:.0f}) after n own pairs. The random arm is the mean over
{found["random_directions"]} directions for each conversation. Shares have Korn and Graubard's
interval over people; differences are paired, resample whole people with all of their pairs, and their p
values come from flipping the signs of whole people.

## How many would be needed

{_needed(found, own)}

## Each person

{_each(found)}

## What the data does not hold

- The people cannot be joined to PRISM's 15 profiles (other ids, no common text), so there is no arm
  with a system message from what the person states.
- One person's pairs often share their prompt and chosen answer; the conversations, not the pairs, are the
  independent pieces, and one conversation left out leaves one to four pairs to learn from.
- No other set in `ALIGN_DATA` has pairs by person: PandaLM's three annotators agree nearly always, and the
  others do not say who judged.
"""


def _needed(found: Mapping[str, Any], own: Mapping[str, float]) -> str:
    if found["more_pairs"] is not None and found["own_helps"]:
        first = (
            f"If {own['value']:.2f} were the own vector's true share, {found['more_pairs']} more pairs of "
            "people like these would tell it from one half with a power of 0.8."
        )
    else:
        first = (
            f"At {own['value']:.2f} the own vector is not above one half by anything that a feasible number "
            "of pairs (2,000) could show."
        )
    return (
        f"{first} The last column of the differences says the same for people with about "
        f"{found['pairs'] / len(found['people']):.0f} pairs each. Both take the measured effect as true, "
        "which so small a sample does not warrant: they are the order of the cost, not a plan."
    )


def _each(found: Mapping[str, Any]) -> str:
    lines = ["| person | pairs | base | others' vector | own vector |", "|---|---|---|---|---|"]
    for person, row in found["people"].items():
        shown = " | ".join(f"{row[arm]:.2f}" for arm in ("base", "others", "own"))
        lines.append(f"| {person} | {row['pairs']} | {shown} |")
    return "\n".join(lines)


def _interval(row: Mapping[str, float]) -> plots.Interval:
    return row["value"], row["low"], row["high"]

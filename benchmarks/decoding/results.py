"""Sums of the cells with intervals over people, the table and the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.decoding.cells import Cell
from benchmarks.decoding.searches import BETA
from benchmarks.outcomes import gain, in_words, mean, won
from personalization.decoding import ahead
from personalization.decoding.nudging import THRESHOLD
from personalization.decoding.objectives import NEARNESS
from personalization.decoding.value import TOP_K

# Does choosing pay on its own, beside the vector, and eight attempts rather than four? Does writing anew?
COMPARED = (
    ("best_of_4", "base"),
    ("best_of_8", "best_of_4"),
    ("best_of_4_on_subject", "best_of_4"),
    ("best_of_8_on_subject", "best_of_8"),
    ("best_of_4", "vector"),
    ("vector_best_of_4", "vector"),
    ("vector_best_of_4", "best_of_8"),
    ("vector_best_of_4_on_subject", "vector_best_of_4"),
    ("vector_best_of_4_on_subject", "vector"),
    ("value_sampling", "best_of_8"),
    ("value_sampling", "vector"),
    ("vector_value_sampling", "vector_best_of_4"),
    ("look_ahead", "best_of_8"),
    ("greedy_nudged", "greedy"),
    ("greedy_nudged", "greedy_vector"),
)
CONTROLS = ("taste_best_of_8",)  # knows what no method may know


def summary(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the grid of arms and prompts, and the differences, each person compared with themselves."""
    sizes = sorted({cell.prompts for cell in cells})
    arms = list(dict.fromkeys(cell.arm for cell in cells))
    grid = [
        {"arm": arm, "prompts": size, **_means(chosen)}
        for size in sizes
        for arm in arms
        if (chosen := [c for c in cells if (c.arm, c.prompts) == (arm, size)])
    ]
    found = [row for size in sizes for pair in COMPARED if (row := _difference(cells, size, *pair))]
    return {"grid": grid, "differences": found}


def _means(cells: Sequence[Cell]) -> dict[str, Any]:
    accuracies = [cell.accuracy for cell in cells if cell.accuracy is not None]
    return {
        **won(cells),
        "seeds": len({cell.seed for cell in cells}),
        "relevance_change": mean([cell.relevance - cell.base_relevance for cell in cells]),
        "words": mean([cell.words for cell in cells]),
        "cost": mean([cell.cost for cell in cells]),
        "accuracy": mean(accuracies) if accuracies else None,
        "offered": mean([float((cell.accuracy_low or 0.0) > 0.5) for cell in cells]),
    }


def _difference(cells: Sequence[Cell], size: int, arm: str, other: str) -> dict[str, Any] | None:
    chosen = [c for c in cells if c.prompts == size]
    estimate = gain({(c.arm, c.person, c.seed): mean(c.wins) for c in chosen}, arm, other)
    near = gain({(c.arm, c.person, c.seed): c.relevance for c in chosen}, arm, other)
    if estimate is None or near is None:
        return None
    found = {"prompts": size, "arm": arm, "beside": other, **estimate.as_dict()}
    return found | {"relevance": near.as_dict()}


def table(found: dict[str, Any]) -> str:
    """Return the grid and the differences as Markdown."""
    lines = [
        "| rated prompts | arm | people x seeds | wins | relevance | words | tokens per token |",
        "|---" * 7 + "|",
    ]
    for row in found["grid"]:
        lines.append(
            f"| {row['prompts']} | {row['arm'].replace('_', ' ')} | {row['people']} x {row['seeds']} "
            f"| {row['win_rate']:.2f} [{row['low']:.2f}, "
            f"{row['high']:.2f}] | {row['relevance_change']:+.3f} | {row['words']:.0f} | {row['cost']:.1f} |"
        )
    lines += ["", "| rated prompts | difference | wins | relevance |", "|---|---|---|---|"]
    for row in found["differences"]:
        names = f"{row['arm']} - {row['beside']}".replace("_", " ")
        lines.append(
            f"| {row['prompts']} | {names} | {in_words(row, '+.2f')} | {in_words(row['relevance'], '+.3f')} |"
        )
    return "\n".join(lines)


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write decoding.md and decoding.json into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "decoding.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "decoding.md").write_text(_words(found))


def _words(found: dict[str, Any]) -> str:
    row = found["grid"][0]
    accuracies = {
        size: (
            next(r["accuracy"] for r in found["grid"] if r["prompts"] == size and r["accuracy"] is not None),
            next(r["offered"] for r in found["grid"] if r["prompts"] == size and r["accuracy"] is not None),
        )
        for size in sorted({r["prompts"] for r in found["grid"]})
    }
    told = "; ".join(
        f"after {size} prompts {accuracy:.2f}, and for {100 * offered:.0f} % of the people the lower "
        "bound is above one half, so that thinking longer is offered"
        for size, (accuracy, offered) in accuracies.items()
    )
    return f"""# Decoding: does choosing among several answers pay?

`python -m benchmarks.decoding --page docs/benchmarks` ({found["machine"]}, {found["dtype"]}, commit
{found["commit"]}). {row["people"]} simulated people, prompts and judging of [people](people.md). Each
person's reward (`personalization.steering.reward`), learned in closed form from the same ratings as the
vector, chooses among answers to 24 fresh prompts; the hidden taste judges the choice
against an answer of the base model of another seed. Intervals (95 %) resample whole people.

{table(found)}

*Taste best of 8* chooses by the hidden taste itself, which is what the best reward could reach with eight
attempts. *Base* is one answer of another seed: it must be near one half. *Tokens per token* is what is
written, or read in its place, for each token that is shown. *On subject* chooses by the reward in log-odds
and {NEARNESS:g} times the cosine with the question, as the chat's "Think longer" does; how much was chosen
with the first three seeds, so those are left out there.{_searched(found)}

How often the reward orders two answers of held-out conversations as the person did: {told}.
"""


def _searched(found: dict[str, Any]) -> str:
    """Return what the page says of answers that are written token by token, where there are any."""
    if not any(row["arm"] == "value_sampling" for row in found["grid"]):
        return ""
    return f"""

*Value sampling* tilts each token by the reward of the state that it would leave ({TOP_K} tokens read for one,
in one pass, beta {BETA:g}, tuned on other texts); *look ahead* keeps {ahead.KEEP} of {ahead.BEAMS} times as
many beginnings every {ahead.SEGMENT} tokens. With *vector* it is the model with the person's vector that
writes. *Greedy* answers are the likeliest ones, *greedy nudged* has
words of the model with the vector where the base model's next token has a probability below {THRESHOLD:g}:
both are of one size here, where the paper nudges a large model by a small one."""

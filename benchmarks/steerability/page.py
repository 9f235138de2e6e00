"""The page of the steerability benchmark: effect and cost over strength, the fits, trait by trait."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.steerability.results import ARMS

PLOTS = {
    "said": "Held-out statements of the trait, nats a token beside the others'",
    "yes": "Log-odds of Yes to them, nats beside the others'",
    "text": "Generated answers: cosine to the trait beside the others, change",
    "kl": "Cost: KL to base on neutral text, nats a token",
    "relevance": "Generated answers: cosine to the question, change",
}
READINGS = """- *said*: change of the log-probability of held-out statements as the model's own words.
- *yes*: change of the log-odds of Yes over No when asked whether it would say them. Where the model computes
  in bfloat16, one statement's log-odds are rounded to about a tenth.
- *text*: answers to open questions; cosine (all-MiniLM-L6-v2) to what people with the trait say, minus the
  cosine to what the other traits' people say. No language model judges. On statements that it has not seen,
  this judge puts one of the trait above one of another in {accuracy} of the cases.

The first two are changes on the trait's statements minus changes on the other traits' statements: a model
that says Yes to everything gains nothing. Our copy of the statements has none that a trait denies, so this
measures whether the model speaks of *this* trait rather than of others, not which pole it takes. All three
readings and the vector come from the same kind of text: a vector of the topic would pass as one of the trait.
Within a seed all traits are set against the same few statements of the others, which the intervals over
traits do not see: what those share shows in the random vector, whose slopes should be 0. The answers are too
short (24 tokens) for repetition to show; relevance falls where the answer leaves the question.
"""
Point = Mapping[str, Any]


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write steerability.md and .json with its plots into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    strengths = found["strengths"]
    after = sum(s < 0 for s in strengths)
    xs = [*strengths[:after], 0.0, *strengths[after:]]
    mark = found["vector"]["fits_of_means"]["chosen_strength"]
    for key, title in PLOTS.items():
        rows: dict[str, list[plots.Interval | None]] = {}
        for arm in ARMS:
            points = [_interval(p) for p in found[arm]["curves"][key]]
            rows[arm] = [*points[:after], (0.0, 0.0, 0.0), *points[after:]]
        ends = [bound for points in rows.values() for point in points if point for bound in point]
        plots.lines(
            folder / f"steerability-{key}.svg", title, xs, rows, low=min(ends), high=max(*ends, 1e-6),
            x_name="strength, share of the mean hidden norm", mark=(mark, f"chosen: {mark:.2f}"),
        )  # fmt: skip
    (folder / "steerability.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "steerability.md").write_text(_words(found))


def headline(found: Mapping[str, Any]) -> str:
    """Return the fits as a Markdown table."""
    lines = ["| for each unit of strength | vector | random vector | difference |", "|---|---|---|---|"]
    for key, name in (
        ("said_slope", "said: nats a token"),
        ("yes_slope", "yes: nats"),
        ("text_slope", "text: cosine"),
    ):
        arms = [_shown(found[arm]["fits"][key], 3) for arm in ARMS]
        lines.append(f"| {name} | {arms[0]} | {arms[1]} | {_shown(found['difference'][key], 3)} |")
    for key, name in (
        ("said_linear_r2", "R² of said = a s"),
        ("yes_linear_r2", "R² of yes = a s"),
        ("text_linear_r2", "R² of text = a s"),
        ("curvature", "b of KL = b s², nats a token"),
        ("quadratic_r2", "R² of KL = b s²"),
    ):
        arms = [_shown(found[arm]["fits"][key], 2) for arm in ARMS]
        lines.append(f"| {name} | {arms[0]} | {arms[1]} | |")
    return "\n".join(lines)


def _words(found: Mapping[str, Any]) -> str:
    example = "\n".join(
        f"- **{e['trait']}**, *{e['question']}* Base: {_quoted(e['base'])} Strength "
        f"{found['strengths'][-1]}: {_quoted(e['strongest'])}"
        for e in found["examples"]
    )
    return f"""# Steerability: how far a vector moves the model along a trait, and what it costs

{_verdict(found)}

`python -m benchmarks.steerability --page docs/benchmarks` ({found["model"]}, {found["machine"]},
{found["dtype"]}, commit {found["commit"]}, {found["seconds"] / 60:.0f} minutes by the clock).
{len(found["traits"])} traits, {found["seeds"]} seeds; each seed halves the statements anew.
Intervals (95 %) resample whole traits.

{headline(found)}

{READINGS.format(accuracy=_shown(found["judge_accuracy"], 2))}
![said](steerability-said.svg)
![yes](steerability-yes.svg)
![text](steerability-text.svg)
![cost](steerability-kl.svg)
![relevance](steerability-relevance.svg)

## Strength by strength, the vector

{_by_strength(found)}

The random vector of the same norm:

{_by_strength(found, "random")}

## The two fits and the chosen strength

{_fitted(found)}

## Trait by trait

{_by_trait(found)}

*against*: share of the trait's held-out statements whose log-odds of Yes rise less than the other traits' do.

## Beside published figures

{_published(found)}

## First answers, unselected

Each trait's answer to the last open question, first seed, base and strongest.

{example}
"""


def _fitted(found: Mapping[str, Any]) -> str:
    fit, strengths = found["vector"]["fits_of_means"], found["strengths"]
    near = min(range(len(strengths)), key=lambda i: abs(strengths[i] - fit["chosen_strength"]))
    curves = found["vector"]["curves"]
    return f"""Wolf et al. 2024 (arXiv:2401.16332) expect a gain linear and a cost quadratic in the norm. Of
the means over traits and seeds, said = {fit["said_slope"]:.2f} s explains {fit["said_linear_r2"]:.2f} of the
variance, yes = {fit["yes_slope"]:.2f} s explains {fit["yes_linear_r2"]:.2f}, text = {fit["text_slope"]:.2f} s
explains {fit["text_linear_r2"]:.2f}, and KL = {fit["curvature"]:.2f} s² explains {fit["quadratic_r2"]:.2f}.
The table above has the mean of the fits to single cells, which are noisier; a share below 0 is a fit worse
than the mean. The chosen strength maximises a s - b s², nats for each token on both sides, up to the
greatest one tried: **{fit["chosen_strength"]:.2f}**. Near it, at {strengths[near]}, perplexity of
neutral text changes by {100 * (curves["perplexity_ratio"][near]["value"] - 1):+.1f} %. At one to
one the price is a choice, and a high one. The strength is read from the statements that it is shown on."""


def _published(found: Mapping[str, Any]) -> str:
    against = found["vector"]["against"]
    return f"""Tan et al. 2024 (arXiv:2407.12404) steer Llama-2-7b-Chat and Qwen-1.5-14b-Chat along 40 data
sets; several of these move the opposite way for almost half of the inputs (their figure 1). Counted as they
count (the slope of one statement's log-odds), {_shown(against["alone"], 2)} of our statements do; counted
beside the other traits' statements, {_shown(against["beside_others"], 2)}. Their steerability scores are
logit differences for each multiple of an unscaled vector, with statements of both poles: they cannot
be set beside our slopes, and none are quoted."""


def _verdict(found: Mapping[str, Any]) -> str:
    parts = []
    readings = {
        "said": "the likelihood of held-out statements",
        "yes": "Yes to held-out statements",
        "text": "generated text",
    }
    for key, name in readings.items():
        row = found["difference"][f"{key}_slope"]
        if row["low"] is None:
            told = "cannot be judged from one trait"
        elif row["p_holm"] >= 0.05:
            told = "is not told from what a random vector does"
        elif row["value"] > 0:
            told = "moves towards the trait more than a random vector moves it"
        else:
            told = "moves AWAY from the trait, compared with a random vector"
        chance = "" if row["low"] is None else f" (p = {row['p_holm']:.3f})"
        parts.append(f"- {name} {told}{chance}")
    told = "P values flip the signs of whole traits and are adjusted for the three (Holm)."
    return "\n".join(["With the vector,", "", *parts, "", told])


def _by_strength(found: Mapping[str, Any], arm: str = "vector") -> str:
    curves = found[arm]["curves"]
    lines = [
        "| strength | said | yes | Yes to others | text | asked about | not asked | KL "
        "| perplexity | repetition | relevance |",
        "|---" * 11 + "|",
    ]
    for i, strength in enumerate(found["strengths"]):
        shown = [
            _shown(curves[key][i], 3)
            for key in ("said", "yes", "yes_to_others", "text", "asked", "unasked", "kl")
        ]
        ratio = f"{100 * (curves['perplexity_ratio'][i]['value'] - 1):+.1f} %"
        shown += [ratio, *(f"{curves[key][i]['value']:+.3f}" for key in ("repetition", "relevance"))]
        lines.append(f"| {strength:+.1f} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _by_trait(found: Mapping[str, Any]) -> str:
    lines = [
        "| trait | said | random | yes | random | text | random | against | judge | chosen strength |",
        "|---" * 10 + "|",
    ]
    for name, row in found["traits"].items():
        slopes = [f"{row[f'{arm}_{key}_slope']:+.3f}" for key in ("said", "yes", "text") for arm in ARMS]
        rest = [f"{row[key]:.2f}" for key in ("against", "judge_accuracy", "chosen_strength")]
        lines.append(f"| {name} | " + " | ".join([*slopes, *rest]) + " |")
    return "\n".join(lines)


def _shown(point: Point, digits: int) -> str:
    if point["low"] is None:
        return f"{point['value']:.{digits}f}"
    return f"{point['value']:.{digits}f} [{point['low']:.{digits}f}, {point['high']:.{digits}f}]"


def _interval(point: Point) -> plots.Interval:
    value = point["value"]
    return (value, value, value) if point["low"] is None else (value, point["low"], point["high"])


def _quoted(text: str) -> str:
    return f"“{' '.join(text.split())}”"

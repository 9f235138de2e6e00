"""What the value directions do, as a page of Markdown for `docs/benchmarks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from personalization.values.measures import measures
from personalization.values.taxonomy import values

BAR, GOAL, LESS_RELEVANCE = 0.75, 0.85, 0.05


def reaching(built: Mapping[str, Mapping[str, Any]], win_rate: float) -> list[str]:
    """Return the values whose win rate reaches this with relevance kept."""
    return [
        key
        for key, made in built.items()
        if made["kind"] != "none"
        and made["report"]["win_rate"]["value"] >= win_rate
        and made["report"]["relevance"]["value"] >= -LESS_RELEVANCE
    ]


def as_page(
    built: Mapping[str, Mapping[str, Any]],
    combined: Mapping[str, Any] | None,
    messages: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return the page; `combined` is what values did together, `messages` what asking in words did."""
    known = values()
    ordered = sorted(
        (made for made in built.values() if made["kind"] != "none"),
        key=lambda made: -made["report"]["win_rate"]["value"],
    )
    any_one = next(iter(built.values()))
    lines = [
        "# Value directions",
        "",
        "Written by `manage.py values build --page docs/benchmarks/values.md`.",
        "",
        f"Model {any_one['model']} ({any_one['model_revision']}), computed in {any_one['precision']}. "
        f"Learned from {any_one['pool']['prompts']} prompts x {any_one['pool']['samples']} of the model's "
        f"own samples; layer and strength chosen on {any_one['prompts']['choice']} other prompts; the "
        f"numbers below are from {any_one['prompts']['report']} prompts that nothing was chosen by, one "
        f"answer of {any_one['pool']['tokens']} tokens each, against the base model's with the same seed.",
        "",
        f"**{len(reaching(built, BAR))} values win at least {BAR:.2f} with the mean relevance within "
        f"{LESS_RELEVANCE} of base (bar: 8); {len(reaching(built, GOAL))} win at least {GOAL:.2f} "
        "(goal: 16).**",
        "",
        "| value | measure | form | win rate | 95 % | effect, sd | relevance | 95 % | repetition | words |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(known[made["value"]].label, made) for made in ordered),
        "",
        "Effect: the mean change of the measure, in standard deviations of the model's own answers. "
        "Relevance: the change of the mean cosine of prompt and answer. A win rate counts ties as one half; "
        "an answer of fewer than three words loses.",
        "",
        *_in_words(ordered, messages),
        *_together(combined),
        *_cannot(built),
        "## Side effects",
        "",
        "Mean change of each measure (columns, in standard deviations) by each direction (rows); the "
        "values page shows it as a heat map.",
        "",
        *_matrix(ordered),
    ]
    return "\n".join(lines) + "\n"


def _row(label: str, made: Mapping[str, Any]) -> str:
    report, chosen = made["report"], made["chosen"]
    win, near = report["win_rate"], report["relevance"]
    form = (
        f"layers {', '.join(map(str, chosen['layers']))} at {chosen['strength']:.3f}"
        if made["kind"] == "vector"
        else f"adapter, {chosen['pairs']} pairs"
    )
    return (
        f"| {label} | {made['measure']} | {form} | {win['value']:.2f} | {win['low']:.2f} to "
        f"{win['high']:.2f} | {report['effect']:+.2f} | {near['value']:+.3f} | {near['low']:+.3f} to "
        f"{near['high']:+.3f} | {report['repetition']['value']:+.3f} | {report['words']:.0f} |"
    )


def _in_words(ordered: Sequence[Mapping[str, Any]], messages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = [(made, messages[made["value"]]) for made in ordered if made["value"] in messages]
    if not rows:
        return []
    lines = [
        "## Asked for in words, by the direction, and both",
        "",
        "The system message is the one that the application composes of this value alone; the same prompts "
        "and seeds.",
        "",
        "| value | message | direction | both |",
        "|---|---|---|---|",
    ]
    for made, arms in rows:
        trials = (arms["message"], made["report"], arms["both"])
        cells = " | ".join(_win_and_relevance(trial) for trial in trials)
        lines.append(f"| {values()[made['value']].label} | {cells} |")
    means = [
        sum(trial["win_rate"]["value"] for trial in column) / len(rows)
        for column in zip(*((a["message"], m["report"], a["both"]) for m, a in rows), strict=True)
    ]
    return [*lines, "| **mean** | " + " | ".join(f"**{mean:.2f}**" for mean in means) + " |", ""]


def _win_and_relevance(trial: Mapping[str, Any]) -> str:
    win = trial["win_rate"]
    return (
        f"{win['value']:.2f} ({win['low']:.2f} to {win['high']:.2f}), relevance "
        f"{trial['relevance']['value']:+.2f}"
    )


def _together(combined: Mapping[str, Any] | None) -> list[str]:
    if not combined:
        return []
    lines = ["## Together", ""]
    if "limit" in combined:
        lines += [
            f"These sums were scaled down to a load of at most {combined['limit']:.2f} (the root of the sum "
            "over layers of the squared share of the hidden norm), the greatest at which four in five tried "
            "vectors kept relevance. What acts for a person is scaled down further "
            "(`python -m benchmarks.values_together`).",
            "",
        ]
    lines += [
        "| values | how | win rates | relevance | repetition |",
        "|---|---|---|---|---|",
    ]
    for trial in combined["trials"]:
        wins = ", ".join(
            f"{key} {each['value']:.2f} ({each['low']:.2f} to {each['high']:.2f})"
            for key, each in trial["win_rates"].items()
        )
        lines.append(
            f"| {' + '.join(trial['values'])} | {trial['how']} | {wins} | {trial['relevance']['value']:+.3f} "
            f"| {trial['repetition']['value']:+.3f} |"
        )
    return [*lines, ""]


def _cannot(built: Mapping[str, Mapping[str, Any]]) -> list[str]:
    none = [f"{key} ({made['cannot']})" for key, made in built.items() if made["kind"] == "none"]
    unmeasured = [key for key in values() if key not in measures()]
    lines = ["## Without a direction", ""]
    if none:
        lines += ["Measured, but the model's own answers hardly differ: " + "; ".join(none), ""]
    return [
        *lines,
        f"Not measured in text, so left to the system message: {len(unmeasured)} of {len(values())} values.",
        "",
    ]


def _matrix(ordered: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = [made["value"] for made in ordered]
    head = "| | " + " | ".join(key.partition(".")[2] for key in columns) + " |"
    rows = [
        f"| {made['value'].partition('.')[2]} | "
        + " | ".join(f"{made['report']['effects'][key]:+.1f}" for key in columns)
        + " |"
        for made in ordered
    ]
    return [head, "|---" * (len(columns) + 1) + "|", *rows]

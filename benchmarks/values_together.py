"""How strongly two stated values may act at once: what each wins, and what the sum of both costs.

    python -m benchmarks.values_together [--together 1 0.8 0.6] [--prompts 48] [--json FILE]
                                         [--page docs/benchmarks]

A direction that is sound alone is not so beside another one: `personalization.methods.values` scales sums
down to a share of what a single direction bears, which is chosen here. Each pair writes one answer to
prompts that no direction was learned or chosen from; each value's own measure compares it with the base
model's answer of the same seed. Finished cells are kept in --folder. About a minute of one core for each.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.kept import Kept, options_of, publish
from benchmarks.machine import commit, machine
from benchmarks.people.pool import answers
from benchmarks.people.study import VALUES
from personalization import registry
from personalization.directions.compose import compose
from personalization.directions.trial import Texts, compare, spreads_of
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Intervention, Sampling
from personalization.evaluation.report import row_of
from personalization.models.base import BaseModel, load
from personalization.models.cost import measure_cost, plain_logps
from personalization.models.interventions import Interventions
from personalization.models.precision import half_precision, precision_of
from personalization.records import Message
from personalization.simulation.prompts import draw_prompts
from personalization.values.effects import place
from personalization.values.measures import measure_of

PAIRS = (
    ("style.plain-words", "style.brief"),
    ("style.warm", "style.ask-back"),
    ("style.plain-words", "informativeness.alternatives"),
    ("style.confident", "background.history"),
)
TEMPERATURE, TOP_P, NEW_TOKENS = 0.85, 0.95, 96  # as the application draws


class Study:
    """The base model's own answers, and what two values make of them."""

    def __init__(self, base: BaseModel, folder: Path, prompts: Sequence[str]) -> None:
        self._base, self._folder, self._prompts = base, folder, prompts
        self._engine = LocalEngine(base, max_rows=128, queue_limit=100_000)
        self._values = place(VALUES, base.revision)
        self._plain = plain_logps(base)
        self._before = Texts.of(prompts, self._write(()))
        self._spreads = spreads_of(self._before.answers)

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()

    def cell(self, pair: Sequence[str], together: float) -> dict[str, Any]:
        """Return what both values at full importance do, their sum scaled down to this share of the limit."""
        out = self._folder / f"{'-'.join(pair)}-{together}"
        acts = compose(self._values, dict.fromkeys(pair, 1.0), out, together=together)
        after = Texts.of(self._prompts, self._write((Intervention("values", out, out.name),)))
        trials = [compare(measure_of(key), after, self._before, self._spreads) for key in pair]
        return {
            "pair": list(pair), "together": together, "max_load": acts["max_load"],
            "scaled_by": acts["scaled_by"],
            "win_rates": [trial.win_rate.as_dict() for trial in trials],
            "relevance": trials[0].relevance.as_dict(),
            "repetition": trials[0].repetition.as_dict(),
            "perplexity_ratio": self._perplexity_ratio(out),
        }  # fmt: skip

    def _write(self, acting: tuple[Intervention, ...]) -> list[str]:
        asked = [
            (
                (Message("user", prompt),),
                Sampling(temperature=TEMPERATURE, top_p=TOP_P, max_new_tokens=NEW_TOKENS, seed=i),
                acting,
            )
            for i, prompt in enumerate(self._prompts)
        ]
        return answers(self._engine, asked)

    def _perplexity_ratio(self, folder: Path) -> float:
        row = row_of(folder, "values")
        return measure_cost(self._base, Interventions(self._base), row, self._plain).ratio


def main() -> None:
    """Compute what is missing, then print the table and write the JSON and the page."""
    options = _options()
    base = load(options.model, options.models)
    dtype = precision_of(base, wanted=True)
    _, prompts = draw_prompts(0, rated=32, fresh=options.prompts)
    kept = Kept(options.folder / f"{base.revision}-{dtype}-{options.prompts}.jsonl")
    known = {(tuple(row["pair"]), row["together"]) for row in kept.rows}
    if due := [(p, share) for p in PAIRS for share in options.together if (p, share) not in known]:
        with half_precision(base, wanted=True):
            study = Study(base, options.folder, prompts)
            try:
                for pair, share in due:
                    kept.add(study.cell(pair, share))
            finally:
                study.close()
    rows = [row for row in kept.rows if row["together"] in options.together]
    about = {"machine": machine(), "commit": commit(), "dtype": dtype, "model": base.name}
    found = {"rows": rows, "prompts": options.prompts, **about}
    publish(options, found, table(rows), write_page)


def _options() -> argparse.Namespace:
    parser = options_of(__doc__, "values_together")
    parser.add_argument("--together", type=float, nargs="+", default=[1.0, 0.8, 0.6])
    parser.add_argument("--prompts", type=int, default=48)
    return parser.parse_args()


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one line of Markdown for each pair and share."""
    lines = [
        "| values | of the limit | scaled by | first wins | second wins | relevance | perplexity |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: (row["pair"], -row["together"])):
        first, second = (f"{e['value']:.2f} [{e['low']:.2f}, {e['high']:.2f}]" for e in row["win_rates"])
        near = row["relevance"]
        lines.append(
            f"| {' + '.join(row['pair'])} | {row['together']:g} | {row['scaled_by']:.2f} | {first} | "
            f"{second} | "
            f"{near['value']:+.3f} [{near['low']:+.3f}, {near['high']:+.3f}] | "
            f"{100 * (row['perplexity_ratio'] - 1):+.0f} % |"
        )
    return "\n".join(lines)


def write_page(folder: Path, found: dict[str, Any]) -> None:
    """Write values_together.md with its numbers and a plot into `folder`."""
    shares = sorted({row["together"] for row in found["rows"]})
    relevance = {
        " + ".join(key.rpartition(".")[2] for key in pair): [
            _relevance(found, pair, share) for share in shares
        ]
        for pair in dict.fromkeys(tuple(row["pair"]) for row in found["rows"])
    }
    plots.lines(
        folder / "values_together.svg", "Change of relevance to the prompt", shares, relevance,
        low=-0.3, high=0.1, x_name="load of the sum of two values, of the limit",
    )  # fmt: skip
    (folder / "values_together.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "values_together.md").write_text(_words(found))


def _words(found: Mapping[str, Any]) -> str:
    usual = registry.get("values").parameters["together"].default
    return f"""# Two values at once: what their sum gains and costs

`python -m benchmarks.values_together --page docs/benchmarks` ({found["machine"]}, {found["dtype"]}, commit
{found["commit"]}). {found["model"]}; {found["prompts"]} prompts that no direction was learned or chosen
from, one answer each, against the base model's with the same seed. The load of a vector is the root of the
sum over its layers of the squared share of the hidden norm; single directions have 0.11 to 0.26, and their
limit is {found["rows"][0]["max_load"]:.3f}. Intervals: 95 %, over prompts.

{table(found["rows"])}

![relevance](values_together.svg)

What is won falls slowly with the load, what is lost fast. The application scales sums down to {usual:.0%} of
the limit, unless one of the parts alone is longer.
"""


def _relevance(found: Mapping[str, Any], pair: Sequence[str], share: float) -> plots.Interval | None:
    for row in found["rows"]:
        if tuple(row["pair"]) == tuple(pair) and row["together"] == share:
            near = row["relevance"]
            return near["value"], near["low"], near["high"]
    return None


if __name__ == "__main__":
    main()

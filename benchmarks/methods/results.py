"""Cells of the methods benchmark: kept as they come, compared within a kind of feedback."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import stdev
from typing import Any

from benchmarks.kept import Kept
from benchmarks.outcomes import gain, in_words, mean, over_people, won

HELD_OUT = 8  # further rated prompts on which an adapter is asked what it prefers


@dataclass(frozen=True, slots=True)
class Cell:
    """One method for one person and seed after some prompts, on answers to fresh prompts."""

    person: str
    seed: int
    kind: str
    method: str
    prompts: int
    taught: bool  # whether the vector of the same ratings was the adapter's teacher, too
    parameters: dict[str, float]
    wins: list[float]  # 1, 0.5 or 0 for each fresh prompt, against the base model with the same seed
    relevance_change: float  # mean cosine with the prompt, less the base model's
    words: float
    perplexity_ratio: float  # on neutral text
    kl: float  # to the base model there, in nats a token
    chosen_change: float  # nats an answer of what was liked, in the last epoch
    rejected_change: float
    gradient_cosine: float | None  # of liked and disliked answers, after the last epoch
    answers_read: int
    seconds: float
    dtype: str  # what it was trained and answered in
    # How far the safety gate's worst interval reaches, in margins: above 1 it objects. None: not asked.
    overshoot: float | None = None
    # How often its implicit reward prefers what the person preferred, of prompts that nothing learned from.
    held_out: float | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What tells cells apart."""
        return key_of(*self._asked, self.dtype, self.parameters)

    @property
    def _asked(self) -> tuple[object, ...]:
        return self.person, self.seed, self.kind, self.method, self.prompts, self.taught

    @property
    def question(self) -> tuple[object, ...]:
        """What it answers, in whatever precision."""
        return key_of(*self._asked, self.parameters)


def key_of(*parts: object) -> tuple[object, ...]:
    """Return a cell's key from its person, seed, kind, method, prompts, teacher, precision and parameters."""
    *names, parameters = parts
    assert isinstance(parameters, dict)
    return (*names, tuple(sorted(parameters.items())))


class Cells:
    """The file of finished cells: what is in it is not computed again."""

    def __init__(self, file: Path) -> None:
        self._kept = Kept(file)
        self.found = {cell.key: cell for cell in (Cell(**row) for row in self._kept.rows)}

    def add(self, cell: Cell) -> None:
        """Keep a cell, on disk too."""
        self._kept.add(asdict(cell))
        self.found[cell.key] = cell


def without_doubles(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells, those of the precision that is in most use where one was computed in several."""
    used = Counter(cell.dtype for cell in cells)
    return list({cell.question: cell for cell in sorted(cells, key=lambda c: used[c.dtype])}.values())


def precision(cells: Sequence[Cell]) -> dict[str, Any] | None:
    """Return what changed where cells were computed in two precisions, the more used one less the other.

    In win rate: the mean, and the standard deviation of a cell, for rounding differently is another draw of
    the same training. None where fewer than two cells were.
    """
    kept = {cell.question: cell for cell in without_doubles(cells)}
    again = [cell for cell in cells if cell is not kept[cell.question]]
    if len(again) < 2:
        return None
    gaps = [mean(kept[cell.question].wins) - mean(cell.wins) for cell in again]
    first = kept[again[0].question]
    return {
        "dtype": first.dtype,
        "other": again[0].dtype,
        "methods": sorted({cell.method for cell in again}),
        "difference": mean(gaps),
        "spread": stdev(gaps),
        "people": len({cell.person for cell in again}),
        "n": len(again),
    }


def summary(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the grid (kind, method, prompts), and of each kind and amount the best and the runner-up.

    The grid has what two people have, each row with how many; one person alone has no interval. The best are
    looked for among the people and seeds that most methods of a kind and amount have, and among the methods
    that lack none of them, for fewer people are other people; of a kind, at the most prompts and without a
    teacher.
    """
    found = precision(cells)
    computed, every = cells, without_doubles(cells)
    people: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for cell in every:
        people[_place(cell)].add(cell.person)
    cells = [cell for cell in every if len(people[_place(cell)]) > 1]
    grid = [
        {
            **dict(zip(("kind", "prompts", "taught", "method"), place, strict=True)),
            **_means(chosen),
            "less_dpo": _less_dpo(chosen, computed),
        }
        for place in sorted(set(map(_place, cells)))
        if (chosen := [c for c in cells if _place(c) == place])
    ]
    methods = [cell for cell in cells if ":" not in cell.method]  # a selection of records is none
    whole = [cell for cell in _complete(methods) if not cell.taught]
    best = [
        {"kind": kind, **_best([c for c in whole if (c.kind, c.prompts) == (kind, prompts)])}
        for kind, prompts in sorted({(c.kind, c.prompts) for c in whole})
    ]
    return {
        "best_by_kind": {row["kind"]: {k: v for k, v in row.items() if k != "kind"} for row in best},
        "best": best,
        "grid": grid,
        "entanglement": _entanglement(cells),
        "precision": found,
        "people": len({cell.person for cell in cells}),
        "seeds": len({cell.seed for cell in cells}),
    }


def _complete(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells of people and seeds that most methods have, and of methods that have all of them."""
    found = []
    for asked in sorted({_place(c)[:3] for c in cells}):
        here = [c for c in cells if _place(c)[:3] == asked]
        methods = Counter(c.method for c in here)
        have = Counter((c.person, c.seed) for c in here)
        compared = {who for who, count in have.items() if 2 * count > len(methods)}
        here = [c for c in here if (c.person, c.seed) in compared]
        whole = Counter(c.method for c in here)
        if len({person for person, _ in compared}) > 1:
            found += [c for c in here if whole[c.method] == len(compared)]
    return found


def _place(cell: Cell) -> tuple[str, int, bool, str]:
    return cell.kind, cell.prompts, cell.taught, cell.method


def _less_dpo(cells: Sequence[Cell], every: Sequence[Cell]) -> dict[str, Any] | None:
    """Return how much more a method wins than DPO of the same ratings' pairs, each person with themselves.

    In the precision of the method's own cell, where DPO was computed in that too. None for DPO itself, and
    where two people have not both.
    """
    first = cells[0]
    if first.method == "dpo":
        return None
    own = {(c.person, c.seed): c for c in cells}
    dpo: dict[tuple[str, int], Cell] = {}
    for cell in every:
        at = cell.person, cell.seed
        if _place(cell) == ("pairs", first.prompts, first.taught, "dpo") and at in own:
            dpo[at] = cell if cell.dtype == own[at].dtype else dpo.get(at, cell)
    if len({person for person, _ in dpo}) < 2:
        return None
    rates = {(c.method, c.person, c.seed): mean(c.wins) for c in [*cells, *dpo.values()]}
    found = gain(rates, first.method, "dpo")
    return found.as_dict() if found else None


def _best(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the best method of one kind and amount, and how far it is ahead of the next, by person."""
    by_method: dict[str, dict[tuple[str, int], Cell]] = {}
    for cell in cells:
        by_method.setdefault(cell.method, {})[cell.person, cell.seed] = cell
    means = {name: _means(list(found.values())) for name, found in by_method.items()}
    first, *others = sorted(means, key=lambda name: -means[name]["win_rate"])
    shown = {name: means[first][name] for name in ("win_rate", "low", "high", "people", "n")}
    found: dict[str, Any] = {
        "method": first,
        "prompts": cells[0].prompts,
        **shown,
        "runner_up": None,
        "difference_low": None,
    }
    if others:
        found["runner_up"] = others[0]
        pairs = [(own, by_method[others[0]].get(at), at[0]) for at, own in by_method[first].items()]
        gaps = [(mean(own.wins) - mean(other.wins), person) for own, other, person in pairs if other]
        gap = over_people(gaps)
        found |= {"difference": gap.value, "difference_low": gap.low, "difference_high": gap.high}
    return found


def _entanglement(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return, of each kind and method without a teacher, how far liked and disliked answers pull together.

    The cosine of their gradients after the last epoch, over all numbers of prompts, and what liked answers
    gained there, in nats; methods that know no disliked answer have none.
    """
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.gradient_cosine is not None and not cell.taught:
            found.setdefault((cell.kind, cell.method), []).append(cell)
    rows = []
    for (kind, method), chosen in sorted(found.items()):
        cosine = over_people([(c.gradient_cosine, c.person) for c in chosen if c.gradient_cosine is not None])
        sank = over_people([(float(c.chosen_change < 0), c.person) for c in chosen])
        rows.append({"kind": kind, "method": method, "cosine": cosine.as_dict(), "sank": sank.as_dict()})
    return rows


def _means(cells: Sequence[Cell]) -> dict[str, Any]:
    cosines = [cell.gradient_cosine for cell in cells if cell.gradient_cosine is not None]
    asked = [cell.overshoot <= 1 for cell in cells if cell.overshoot is not None]
    held_out = [(cell.held_out, cell.person) for cell in cells if cell.held_out is not None]
    means = {
        name: mean([float(getattr(cell, name)) for cell in cells])
        for name in (
            *("relevance_change", "words", "perplexity_ratio", "kl"),
            *("chosen_change", "rejected_change", "answers_read", "seconds"),
        )
    }
    return {
        **won(cells),
        "dtype": " and ".join(sorted({cell.dtype for cell in cells})),
        "gradient_cosine": mean(cosines) if cosines else None,
        "passed_gate": f"{sum(asked)} of {len(asked)}" if asked else "",
        "held_out": over_people(held_out).as_dict() if len({who for _, who in held_out}) > 1 else None,
        **means,
    }


def table(found: dict[str, Any]) -> str:
    """Return the grid as a Markdown table, the best of each kind and number of prompts first.

    Without the columns that nothing stands in.
    """
    usual = Counter(row["dtype"] for row in found["grid"]).most_common(1)[0][0]
    order = sorted(found["grid"], key=lambda r: (r["kind"], -r["prompts"], r["taught"], -r["win_rate"]))
    rows = [_shown(row, usual) for row in order]
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(row: dict[str, Any], usual: str) -> dict[str, str]:
    """Return a row of the table, by column; `usual` is the precision that is not named."""
    name = f"`{row['method']}`" + (" and the vector" if row["taught"] else "")
    return {
        "learns from": row["kind"],
        "method": name + ("" if row["dtype"] == usual else f" ({row['dtype']})"),
        "prompts": str(row["prompts"]),
        "people": str(row["people"]),
        "wins": f"{row['win_rate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]",
        "less `dpo`": in_words(row["less_dpo"], "+.2f") if row["less_dpo"] else "",
        "held out": in_words(row["held_out"]) if row["held_out"] else "",
        "relevance": f"{row['relevance_change']:+.3f}",
        "words": f"{row['words']:.0f}",
        "perplexity": f"{100 * (row['perplexity_ratio'] - 1):+.1f} %",
        "KL, nats": f"{row['kl']:.4f}",
        "gate": row["passed_gate"],
        "liked, nats": f"{row['chosen_change']:+.1f}",
        "disliked, nats": f"{row['rejected_change']:+.1f}",
        "cosine": "" if row["gradient_cosine"] is None else f"{row['gradient_cosine']:.2f}",
        "seconds": f"{row['seconds']:.0f}",
    }

"""Charts as server-made SVG: horizontal bars with intervals, a curve over steps, a reliability plot.

Knows nothing of what is shown. Everything is a position in percent or a class, so that the strict
content policy holds and text keeps its size at any width. Each chart carries its numbers as a table:
bars stand inside of theirs, a curve has its own below. Pages load `base/charts.css`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.utils.translation import gettext as _

Number = Callable[[float], str]
Point = tuple[float, float]  # (step, value)

MINUS = "\N{MINUS SIGN}"
LISTED_POINTS = 12  # rows of a curve's table


def percent(value: float) -> str:
    """Write a share of 1 as whole percent."""
    return f"{100 * value:.0f} %"


def plain(decimals: int = 0) -> Number:
    """Return a writer of numbers with this many decimals."""
    return lambda value: f"{value:.{decimals}f}"


def signed(decimals: int = 1) -> Number:
    """Return a writer of changes: a plus sign or a true minus sign, and this many decimals; 0 has none."""

    def write(value: float) -> str:
        words = f"{value:+.{decimals}f}"
        return "0" if float(words) == 0 else words.replace("-", MINUS)

    return write


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: a value and, if known, its 95 % interval. `kind`: "", "muted", "second" or "warn"."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """The range shown, where bars begin, and a value to compare with (chance, no change, the average)."""

    low: float = 0.0
    high: float = 1.0
    origin: float = 0.0
    reference: float | None = None
    ticks: int = 5
    number: Number = percent

    def place(self, value: float) -> float:
        """Return where a value lies, 0 to 100; a value outside of the range is put at its end."""
        return 100 * min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    @property
    def tick_values(self) -> list[float]:
        """The values at which a line is drawn, both ends included."""
        return [self.low + (self.high - self.low) * i / (self.ticks - 1) for i in range(self.ticks)]

    @property
    def reference_at(self) -> str:
        """Where the value to compare with lies, in percent, or nothing."""
        return "" if self.reference is None else _at(self.place(self.reference))


def whole(most: float, *, ticks: int = 5) -> Scale:
    """Return a scale from 0 that holds `most` and has only whole numbers at its lines."""
    step = max(math.ceil(most / (ticks - 1)), 1)
    return Scale(0.0, step * (ticks - 1), ticks=ticks, number=plain())


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across the chart and its words."""

    at: str
    words: str
    anchor: str


@dataclass(frozen=True, slots=True)
class BarRow:
    """A bar with its places in percent and its numbers as words; no interval leaves those empty."""

    label: str
    kind: str
    start: str
    length: str
    end: str
    low: str
    high: str
    words: str
    interval: str
    n: int | None


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars inside of their own table."""

    title: str
    rows: list[BarRow]
    ticks: list[Tick]
    reference: str
    note: str
    interval_name: str = ""  # what the intervals are, where they are not those of 95 %

    @property
    def has_intervals(self) -> bool:
        """Say whether any row has an interval."""
        return any(row.interval for row in self.rows)

    @property
    def has_counts(self) -> bool:
        """Say whether any row says how many observations it rests on."""
        return any(row.n is not None for row in self.rows)

    @property
    def columns(self) -> int:
        """How many columns the table has."""
        return 3 + self.has_intervals + self.has_counts


def bar_chart(
    title: str,
    bars: Sequence[Bar],
    *,
    scale: Scale | None = None,
    note: str = "",
    interval_name: str = "",
) -> BarChart:
    """Lay out horizontal bars; `note` says what the reference line is."""
    scale = scale or Scale()
    return BarChart(
        title=title,
        rows=[_bar_row(bar, scale) for bar in bars],
        ticks=_ticks(scale),
        reference=scale.reference_at,
        note=note,
        interval_name=interval_name,
    )


def symmetric(values: Sequence[float], *, at_least: float = 1.0, number: Number | None = None) -> Scale:
    """Return a scale around 0 that holds every value, for changes in both directions."""
    most = max([at_least, *(abs(v) for v in values if math.isfinite(v))])
    step = 10.0 ** math.floor(math.log10(most))
    end = math.ceil(most / step) * step
    return Scale(-end, end, origin=0.0, reference=0.0, number=number or signed())


def p_words(p: float) -> str:
    """Write a p value; a tiny one only as tiny."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def interval_words(low: float | None, high: float | None, number: Number) -> str:
    """Write an interval; an infinite one cannot be estimated, and that is said."""
    if low is None or high is None:
        return ""
    if not (math.isfinite(low) and math.isfinite(high)):
        return _("cannot be estimated")
    return _("%(low)s to %(high)s") % {"low": number(low), "high": number(high)}


def _bar_row(bar: Bar, scale: Scale) -> BarRow:
    value, origin = scale.place(bar.value), scale.place(scale.origin)
    bounded = bar.low is not None and bar.high is not None
    return BarRow(
        label=bar.label,
        kind=bar.kind,
        start=_at(min(value, origin)),
        length=_at(abs(value - origin)),
        end=_at(value),
        low=_at(scale.place(bar.low)) if bounded else "",  # type: ignore[arg-type]
        high=_at(scale.place(bar.high)) if bounded else "",  # type: ignore[arg-type]
        words=scale.number(bar.value),
        interval=interval_words(bar.low, bar.high, scale.number),
        n=bar.n,
    )


def _ticks(scale: Scale) -> list[Tick]:
    values = scale.tick_values
    anchors = ["start", *["middle"] * (len(values) - 2), "end"]
    return [
        Tick(_at(scale.place(value)), scale.number(value), anchor)
        for value, anchor in zip(values, anchors, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Curve:
    """One line over steps. `path`, `alone`, `last`: in a square of 100 by 100 that the page stretches."""

    title: str
    kind: str
    path: str
    alone: str  # points between gaps, which no line reaches
    last: str
    last_words: str
    y_ticks: list[Tick]
    x_ticks: list[Tick]
    reference: str
    listed: list[tuple[str, str]]
    x_name: str


def curve(
    title: str,
    points: Sequence[Point],
    *,
    scale: Scale | None = None,
    number: Number | None = None,
    x_name: str = "",
    x_unit: str = "",
    kind: str = "",
    apart: float = math.inf,
    since: float = math.inf,
    until: float = -math.inf,
) -> Curve | None:
    """Lay out one line; without a scale it fits the values. None when there is nothing to draw.

    Points that lie further than `apart` from each other are not joined: nothing is known between them. There
    is room from `since` to the first one. Where the last one lies further than `apart` before `until`, there
    is room up to that, and its words say when it was.
    """
    points = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not points:
        return None
    scale = scale or _fitted([y for _x, y in points], number or plain(2))
    is_stale = until - points[-1][0] > apart
    first, last = min(points[0][0], since), until if is_stale else points[-1][0]
    steps = Scale(first, last if last > first else first + 1, ticks=2, number=_with_unit(x_unit))
    runs = [
        [f"{steps.place(x):.2f} {100 - scale.place(y):.2f}" for x, y in run] for run in _runs(points, apart)
    ]
    words = scale.number(points[-1][1])
    if is_stale:
        words = _("%(words)s, at %(x)s") % {"words": words, "x": steps.number(points[-1][0])}
    y_ticks = [Tick(_at(100 - scale.place(v)), scale.number(v), "end") for v in scale.tick_values]
    return Curve(
        title=title,
        kind=kind,
        path=" ".join("M" + " L".join(run) for run in runs if len(run) > 1),
        alone=" ".join(f"M{run[0]} h0.01" for run in runs[:-1] if len(run) == 1),
        last=f"M{runs[-1][-1]} h0.01",
        last_words=words,
        y_ticks=y_ticks,
        x_ticks=_ticks(steps) if last > first else _ticks(steps)[:1],
        reference="" if scale.reference is None else f"{100 - scale.place(scale.reference):.2f}",
        listed=[(steps.number(x), scale.number(y)) for x, y in _thinned(points)],
        x_name=x_name or _("Step"),
    )


def _runs(points: Sequence[Point], apart: float) -> list[list[Point]]:
    """Split points where two neighbours lie further apart than that."""
    runs = [[points[0]]]
    for before, point in pairwise(points):
        if point[0] - before[0] > apart:
            runs.append([])
        runs[-1].append(point)
    return runs


def _with_unit(unit: str) -> Number:
    write = plain()
    return lambda value: f"{write(value)} {unit}".strip().replace("-", MINUS)


@dataclass(frozen=True, slots=True)
class Reliability:
    """How sure against how often right. `dots` and `intervals` are paths in a square of 100 by 100."""

    title: str
    dots: str
    intervals: str
    diagonal: str
    y_ticks: list[Tick]
    x_ticks: list[Tick]
    listed: list[tuple[str, str, str, int]]  # confidence, accuracy, interval, n
    note: str


def reliability(title: str, bins: Sequence[Mapping[str, float]], *, note: str = "") -> Reliability | None:
    """Lay out bins of {"confidence" (0.5 to 1), "accuracy", "low", "high", "n"}; None without any."""
    if not bins:
        return None
    sure, right = Scale(0.5, 1.0, ticks=3), Scale(ticks=3)
    places = [
        (sure.place(one["confidence"]), *(100 - right.place(one[key]) for key in ("accuracy", "low", "high")))
        for one in bins
    ]
    return Reliability(
        title=title,
        dots=" ".join(f"M{x:.2f} {y:.2f} h0.01" for x, y, _low, _high in places),
        intervals=" ".join(f"M{x:.2f} {low:.2f} V{high:.2f}" for x, _y, low, high in places),
        diagonal="M0 50 L100 0",
        y_ticks=[Tick(_at(100 - right.place(v)), percent(v), "end") for v in right.tick_values],
        x_ticks=_ticks(sure),
        listed=[
            (
                percent(one["confidence"]),
                percent(one["accuracy"]),
                interval_words(one["low"], one["high"], percent),
                int(one["n"]),
            )
            for one in bins
        ],
        note=note,
    )


def _fitted(values: Sequence[float], number: Number) -> Scale:
    low, high = min(values), max(values)
    room = (high - low) * 0.1 or max(abs(high) * 0.1, 0.1)
    return Scale(low - room, high + room, ticks=3, number=number)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Keep a readable number of points, always the first and the last."""
    if len(points) <= LISTED_POINTS:
        return list(points)
    step = (len(points) - 1) / (LISTED_POINTS - 1)
    return [points[round(i * step)] for i in range(LISTED_POINTS)]


def _at(place: float) -> str:
    return f"{place:.2f}%"


@dataclass(frozen=True, slots=True)
class Cell:
    """One number and its shade: "up-1" to "up-4", "down-1" to "down-4", or nothing near 0."""

    words: str
    shade: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Numbers as shades inside of a table: rows act, columns are what moved."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[Cell]]]
    note: str


def heat_map(
    title: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[float]]], *, note: str = ""
) -> HeatMap:
    """Lay out changes in standard deviations; row i's own measure is column i where both have that name."""
    number = signed(1)
    return HeatMap(
        title=title,
        columns=list(columns),
        rows=[
            (
                label,
                [
                    Cell(number(value), _shade(value), label == column)
                    for column, value in zip(columns, values, strict=True)
                ],
            )
            for label, values in rows
        ],
        note=note,
    )


def _shade(value: float) -> str:
    level = min(int(abs(value) / 0.4 + 0.5), 4)
    return f"{'up' if value > 0 else 'down'}-{level}" if level else ""

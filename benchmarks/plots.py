"""Plots of results as SVG files that read well on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

Interval = tuple[float, float, float]  # value, low, high

WIDTH, LABELS, ROW, MARGIN = 720, 190, 26, 46
COLOURS = ("#2f7ed8", "#d9822b", "#2a9d5c", "#b5489a", "#7a7f87", "#c23b3b", "#8a6d3b")
STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#222}.grid{stroke:#8884}.bar{fill:#2f7ed8}"
    ".whisker{stroke:#555;stroke-width:1.5}@media(prefers-color-scheme:dark){text{fill:#ddd}"
    ".whisker{stroke:#bbb}}</style>"
)


def bars(file: Path, title: str, rows: Mapping[str, Interval], *, low: float, high: float) -> None:
    """Write one bar with its interval for each name."""

    def x(value: float) -> float:
        return LABELS + (WIDTH - LABELS - 20) * min(max((value - low) / (high - low), 0.0), 1.0)

    height = 40 + ROW * len(rows) + 30
    parts = [_text(LABELS, 20, title), *_grid_x(x, low, high, 30, height - 24)]
    for i, (name, (value, least, most)) in enumerate(rows.items()):
        y = 36 + ROW * i
        parts += [
            _text(LABELS - 8, y + 14, name, "end"),
            f'<rect class="bar" x="{x(low):.1f}" y="{y}" width="{x(value) - x(low):.1f}" height="18"/>',
            f'<path class="whisker" d="M{x(least):.1f} {y + 9}H{x(most):.1f}"/>',
            _text(x(most) + 6, y + 14, f"{value:.2f}"),
        ]
    _write(file, height, parts)


def lines(
    file: Path, title: str, xs: Sequence[float], rows: Mapping[str, Sequence[Interval | None]], *, low: float,
    high: float, x_name: str, mark: tuple[float, str] | None = None,
) -> None:  # fmt: skip
    """Write one line over equally spaced `xs` for each name, with its intervals; None is a gap.

    `mark` is a place on the x axis and its name: a dashed line.
    """
    height, right = 360, WIDTH - 180

    def x(i: float) -> float:
        return MARGIN + (right - MARGIN) * i / max(len(xs) - 1, 1)

    def y(value: float) -> float:
        return height - 46 - (height - 86) * min(max((value - low) / (high - low), 0.0), 1.0)

    parts = [_text(MARGIN, 20, title), _text((MARGIN + right) / 2, height - 8, x_name, "middle")]
    for step in range(5):
        value = low + (high - low) * step / 4
        parts += [f'<path class="grid" d="M{MARGIN} {y(value):.1f}H{right}"/>']
        parts += [_text(MARGIN - 6, y(value) + 4, f"{value:.2g}", "end")]
    parts += [_text(x(i), height - 28, f"{value:g}", "middle") for i, value in enumerate(xs)]
    if mark is not None:
        at = x(_place(mark[0], xs))
        parts.append(f'<path class="whisker" stroke-dasharray="5 4" d="M{at:.1f} 34V{height - 46}"/>')
        parts.append(_text(at, 32, mark[1], "middle"))
    for k, (name, points) in enumerate(rows.items()):
        colour, shift = COLOURS[k % len(COLOURS)], 2.0 * (k - len(rows) / 2)
        known = [(x(i) + shift, *point) for i, point in enumerate(points) if point is not None]
        path = " L".join(f"{at:.1f} {y(value):.1f}" for at, value, _, _ in known)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>' if known else "")
        parts += [
            f'<path d="M{at:.1f} {y(least):.1f}V{y(most):.1f}" stroke="{colour}"/>'
            for at, _, least, most in known
        ]
        parts += [f'<rect x="{right + 14}" y="{34 + 22 * k}" width="12" height="12" fill="{colour}"/>']
        parts += [_text(right + 32, 45 + 22 * k, name)]
    _write(file, height, parts)


def _place(value: float, xs: Sequence[float]) -> float:
    """Return where `value` lies between equally spaced `xs` that rise, as an index with a fraction."""
    for i, (left, right) in enumerate(pairwise(xs)):
        if value <= right:
            return i + max(0.0, (value - left) / (right - left))
    return float(len(xs) - 1)


def _grid_x(x: Callable[[float], float], low: float, high: float, top: float, bottom: float) -> list[str]:
    found = []
    for step in range(5):
        value = low + (high - low) * step / 4
        found.append(f'<path class="grid" d="M{x(value):.1f} {top}V{bottom}"/>')
        found.append(_text(x(value), bottom + 16, f"{value:.2g}", "middle"))
    return found


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _write(file: Path, height: float, parts: Sequence[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    box = f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}"'
    file.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img">{STYLE}{"".join(parts)}</svg>\n'
    )

"""Charts: every place lies inside, every number is written, nothing is styled inline."""

from __future__ import annotations

import math
import re

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from alignapp.charts import Bar, Scale, bar_chart, curve, percent, plain, signed, symmetric, whole

numbers = st.floats(allow_nan=False, width=32)
whole_number = plain()


def bars_html(*bars: Bar, **options) -> str:
    return render_to_string("_partials/charts/bars.html", {"chart": bar_chart("Accuracy", bars, **options)})


@given(value=numbers, low=numbers, high=numbers)
def test_every_place_lies_inside_of_the_chart(value: float, low: float, high: float) -> None:
    row = bar_chart("t", [Bar("a", value, low, high)]).rows[0]
    for place in (row.start, row.length, row.end, row.low, row.high):
        assert 0.0 <= float(place.removesuffix("%")) <= 100.0


def test_the_table_tells_value_interval_and_n() -> None:
    html = bars_html(Bar("Adapter", 0.675, 0.52, 0.8, 40), Bar("Base", 0.5))
    assert "68 %" in html
    assert "52 % to 80 %" in html
    assert "40</td>" in html


def test_an_interval_that_cannot_be_estimated_is_said() -> None:
    html = bars_html(Bar("Adapter", 0.7, -math.inf, math.inf, 3))
    assert "cannot be estimated" in html
    assert "inf" not in html


def test_labels_are_escaped_and_nothing_is_styled_inline() -> None:
    html = bars_html(Bar("<script>x</script>", 0.5), note="<b>")
    line = curve("<i>loss", [(0, 1.0), (1, 0.5)])
    html += render_to_string("_partials/charts/curve.html", {"curve": line})
    assert "<script" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert not re.search(r"\sstyle\s*=|\son\w+\s*=", html)


def test_a_change_is_drawn_from_zero_in_both_directions() -> None:
    scale = symmetric([-3.2, 1.0])
    down, up = bar_chart("Change", [Bar("chosen", -3.2), Bar("rejected", 1.0)], scale=scale).rows
    assert (scale.low, scale.high) == (-4, 4)
    assert (down.start, down.length) == ("10.00%", "40.00%")
    assert (up.start, up.length) == ("50.00%", "12.50%")
    assert up.words == "+1.0"
    assert signed(1)(-3.2) == "\N{MINUS SIGN}3.2"


def test_a_curve_goes_from_the_left_to_the_right_and_lists_few_rows() -> None:
    line = curve("Loss", [(i, 1 - i / 100) for i in range(100)])
    assert line is not None
    assert line.path.startswith("M0.00 ")
    assert line.last.startswith("M100.00 ")
    assert len(line.listed) == 12
    assert (line.listed[0][0], line.listed[-1][0]) == ("0", "99")


def test_what_was_not_measured_is_a_gap_and_no_line() -> None:
    points = [(-10, 5.0), (-9, 6.0), (-5, 1.0), (-3, 2.0), (-2, 2.0), (-1, 3.0)]
    joined, line = curve("Answers", points), curve("Answers", points, apart=1)
    assert joined is not None
    assert line is not None
    assert (joined.path.count("M"), joined.alone) == (1, "")
    pieces = [piece.split("L") for piece in line.path.split("M")[1:]]
    assert [len(piece) for piece in pieces] == [2, 3]
    assert line.alone.startswith("M55.56 ")  # the point without a neighbour is seen, too
    assert line.alone.count("M") == 1
    html = render_to_string("_partials/charts/curve.html", {"curve": line})
    assert f'd="{line.alone}"' in html


def test_a_line_that_ended_before_now_leaves_room_and_says_when() -> None:
    points = [(-11, 5.0), (-10, 6.0)]
    stale = curve("Workers", points, number=whole_number, x_unit="min", apart=1, until=-1)
    assert stale is not None
    assert (stale.path[:5], stale.last_words) == ("M0.00", "6, at \N{MINUS SIGN}10 min")
    assert stale.last.startswith("M10.00 ")
    assert [tick.words for tick in stale.x_ticks] == ["\N{MINUS SIGN}11 min", "\N{MINUS SIGN}1 min"]
    fresh = curve("Workers", [(-3, 5.0), (-2, 6.0)], number=whole_number, x_unit="min", apart=1, until=-1)
    assert fresh is not None
    assert fresh.last_words == "6"


def test_one_point_is_a_dot_and_none_is_no_curve() -> None:
    line = curve("Accuracy", [(5, 0.5)], scale=Scale(ticks=3), number=percent)
    assert line is not None
    assert line.path == ""
    assert line.last_words == "50 %"
    assert curve("Accuracy", [(1, math.nan)]) is None


@pytest.mark.parametrize("most", [0.0, 1.0, 2.0, 5.0, 113.0])
@pytest.mark.parametrize("ticks", [3, 5])
def test_counts_are_drawn_at_whole_numbers(most: float, ticks: int) -> None:
    scale = whole(most, ticks=ticks)
    written = [float(scale.number(value)) for value in scale.tick_values]
    assert written == scale.tick_values
    assert len(set(written)) == ticks
    assert scale.high >= most


def test_what_lies_back_in_time_has_its_unit() -> None:
    drawn = curve("Answers", [(-29, 1.0), (-2, 3.0)], x_unit="min")
    assert [tick.words for tick in drawn.x_ticks] == ["\N{MINUS SIGN}29 min", "\N{MINUS SIGN}2 min"]

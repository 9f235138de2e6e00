"""Gain and cost are fitted through the base model, and a row at no strength is the base model."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from personalization.evaluation.tradeoff import Point, TradeOff, measure_tradeoff, scaled, through_zero
from personalization.models.cost import measure_cost, plain_logps
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import SteeringVectors
from personalization.records import Message, Pair
from tests import tiny


@given(slope=st.floats(-20, 20), xs=st.lists(st.floats(0.1, 3), min_size=1, max_size=6))
def test_what_is_on_a_line_is_explained_wholly(slope, xs):
    found, explained = through_zero(xs, [slope * x for x in xs])
    assert found == pytest.approx(slope, abs=1e-6)
    assert explained == pytest.approx(1.0 if abs(slope) > 1e-9 else explained)


@given(ys=st.lists(st.floats(-5, 5), min_size=2, max_size=6))
def test_no_other_slope_leaves_less(ys):
    xs = [0.5 * (i + 1) for i in range(len(ys))]
    slope, explained = through_zero(xs, ys)
    left = [
        sum((y - b * x) ** 2 for x, y in zip(xs, ys, strict=True))
        for b in (slope - 0.01, slope, slope + 0.01)
    ]
    assert left[1] <= min(left) + 1e-9
    assert explained <= 1.0 + 1e-9


def test_the_weakest_strength_that_breaks_text_is_named():
    points = [Point(0.5, 1.0, 0.01, True), Point(1.0, 2.0, 0.04, False), Point(1.5, 2.8, 0.09, False)]
    found = TradeOff.of(points)
    assert found.breaks_at == 1.0
    assert found.curvature == pytest.approx(0.04)
    assert found.curvature_r2 == pytest.approx(1.0)
    assert 1.8 < found.slope < 2.0
    assert TradeOff.of(points[:1]).breaks_at is None
    assert json.loads(json.dumps(found.as_dict()))["points"][1]["sound"] is False
    with pytest.raises(ValueError, match="at least one"):
        TradeOff.of([])


def test_kl_grows_with_the_square_of_a_small_strength():
    base = tiny.base()
    torch.set_num_threads(1)
    vector = 0.2 * torch.randn(tiny.HIDDEN, generator=torch.Generator().manual_seed(1))
    row = Row(vectors=((SteeringVectors({(1, "output"): vector}), 2.0),))
    assert scaled(row, 0.5).vectors[0][1] == 1.0
    pairs = [Pair(str(i), (), (Message("user", f"{i}?"),), f"yes {i}", f"no {i}") for i in range(3)]
    interventions, neutral = Interventions(base), plain_logps(base)
    try:
        found, nothing = (
            measure_tradeoff(
                base,
                interventions,
                pairs,
                acting,
                neutral,
                measure_cost(base, interventions, acting, neutral),
                system_message="",
                seed=0,
            )
            for acting in (row, scaled(row, 0.0))
        )
    finally:
        interventions.remove()
    half, whole, more = (p.kl for p in found.points)
    assert whole / half == pytest.approx(4, rel=0.2)
    assert more / whole == pytest.approx(2.25, rel=0.2)
    assert found.curvature_r2 > 0.99
    assert [(p.gain, p.sound) for p in nothing.points] == [(0.0, True)] * 3
    assert nothing.curvature == pytest.approx(0, abs=1e-6)

"""Whatever is learned acts as strongly as the safety gate lets it, and not at all where it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.safety.weaken import BELOW, LEAST, TRIES, weakened
from tests.gates import gate_of


@given(st.floats(0.0, 0.1))
def test_what_passes_whole_acts_whole_and_is_asked_once(fall):
    asked = []
    share, gate = weakened(lambda share: asked.append(share) or gate_of(-fall * share))
    assert (share, gate.objection, asked) == (1.0, "", [1.0])


@given(st.floats(0.1001, 0.89))
def test_what_is_in_proportion_to_the_strength_passes_a_little_below_the_margin(fall):
    share, gate = weakened(lambda share: gate_of(-fall * share))
    assert not gate.objection
    assert share * fall == pytest.approx(BELOW * 0.1, abs=0.001)
    assert share == round(share, 3)  # what is written down is what was asked about


@given(st.floats(1.0, 3.0), st.floats(0.11, 0.89))
def test_what_passes_was_asked_at_the_very_strength_that_acts(power, fall):
    asked = {}
    share, gate = weakened(lambda share: asked.setdefault(share, gate_of(-fall * share**power)))
    assert asked[share] is gate
    assert len(asked) <= TRIES
    assert not gate.objection


def test_less_than_a_tenth_is_not_tried_but_a_tenth_is():
    asked = []
    share, gate = weakened(lambda share: asked.append(share) or gate_of(-5.0 * share))
    assert (asked, share) == ([1.0, LEAST], LEAST)
    assert gate.objection
    share, gate = weakened(lambda share: gate_of(-5.0 * share**2))  # in proportion, 0.02 would pass
    assert (share, gate.objection) == (LEAST, "")


@pytest.mark.parametrize("change", [-0.5, float("nan")])
def test_what_no_strength_makes_safe_is_objected_to(change):
    share, gate = weakened(lambda _share: gate_of(change))
    assert gate.objection
    assert 0 < share <= 1

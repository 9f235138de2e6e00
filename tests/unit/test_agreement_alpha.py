"""Agreement coefficients: published values, and what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.agreement.alpha import krippendorff
from personalization.agreement.concordance import kendall_w
from personalization.agreement.kappa import kappas

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability": A, B, and the four observers of C.
BINARY = ["0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"]
NOMINAL = ["a a b b d c c c e d d a", "b a b b b c c c e d d d"]
FOUR = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]


def _units(rows):
    names = {name: float(i) for i, name in enumerate(".abcde")}
    units = {}
    for person, row in enumerate(rows):
        for unit, value in enumerate(row.split()):
            if value != ".":
                number = names[value] if value in names else float(value)
                units.setdefault(unit, {})[f"observer {person}"] = number
    return units


@pytest.mark.parametrize(
    ("rows", "metric", "published"),
    [
        (BINARY, "nominal", 0.095),
        (NOMINAL, "nominal", 0.692),
        (FOUR, "nominal", 0.743),
        (FOUR, "ordinal", 0.815),
        (FOUR, "interval", 0.849),
    ],
)
def test_alpha_gives_the_published_values(rows, metric, published):
    found = krippendorff(_units(rows), metric)
    assert found.estimate.value == pytest.approx(published, abs=6e-4)
    assert found.estimate.low <= found.estimate.value <= found.estimate.high


def test_the_published_counts_leave_out_what_only_one_observer_judged():
    found = krippendorff(_units(FOUR), "nominal")
    assert (found.people, found.values, found.estimate.n) == (4, 40, 11)


def test_a_sentence_stands_where_alpha_is_not_defined():
    alone = krippendorff({1: {"anna": 3.0}, 2: {"bert": 4.0}}, "interval")
    assert alone.estimate is None
    assert alone.why.startswith("Nobody has judged the same")
    unanimous = krippendorff({1: {"anna": 3.0, "bert": 3.0}, 2: {"anna": 3.0, "cleo": 3.0}}, "ordinal")
    assert unanimous.estimate is None
    assert unanimous.why.startswith("All 4 values are the same")


def test_one_thing_alone_has_no_interval():
    found = krippendorff({1: {"anna": 1.0, "bert": 2.0}}, "nominal")
    assert (found.estimate.low, found.estimate.high) == (-math.inf, math.inf)


def test_a_value_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="leave it out as missing"):
        krippendorff({1: {"anna": math.nan, "bert": 1.0}}, "interval")


tables = st.dictionaries(
    st.integers(0, 30),
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5).map(float), min_size=1),
    min_size=2,
    max_size=8,
)


@settings(max_examples=30, deadline=None)
@given(tables, st.sampled_from(["nominal", "ordinal", "interval"]), st.integers(2, 9), st.integers(-50, 50))
def test_alpha_knows_neither_names_nor_the_zero_and_size_of_the_scale(table, metric, factor, shift):
    plain = krippendorff(table, metric, resamples=1).estimate
    renamed = {
        f"unit {unit}": {f"person {name}": value * factor + shift for name, value in values.items()}
        for unit, values in reversed(table.items())
    }
    other = krippendorff(renamed, metric, resamples=1).estimate
    assert (plain is None) == (other is None)
    if plain:
        assert other.value == pytest.approx(plain.value, abs=1e-9)
        assert plain.value <= 1 + 1e-9


@settings(max_examples=40, deadline=None)
@given(tables, st.permutations([1.0, 2.0, 3.0, 4.0, 5.0]))
def test_nominal_alpha_does_not_care_what_the_outcomes_are_called(table, names):
    called = {unit: {who: names[int(v) - 1] for who, v in values.items()} for unit, values in table.items()}
    plain, other = (krippendorff(t, "nominal", resamples=1).estimate for t in (table, called))
    assert plain is other is None or other.value == pytest.approx(plain.value)


def test_people_who_draw_lots_have_an_alpha_of_about_0_and_the_interval_holds_it():
    held = 0
    for seed in range(100):
        draws = np.random.default_rng(seed).integers(1, 8, size=(40, 3))
        units = {i: {str(p): float(v) for p, v in enumerate(row)} for i, row in enumerate(draws)}
        estimate = krippendorff(units, "interval", seed=seed, resamples=300).estimate
        held += estimate.low <= 0 <= estimate.high
    assert 84 <= held <= 100  # a percentile bootstrap of 40 units: about 92; four standard errors


# Siegel 1956, also the example of NAG's g08da: three rankings of ten, with ties.
TIED = [
    [1.0, 4.5, 2.0, 4.5, 3.0, 7.5, 6.0, 9.0, 7.5, 10.0],
    [2.5, 1.0, 2.5, 4.5, 4.5, 8.0, 9.0, 6.5, 10.0, 6.5],
    [2.0, 1.0, 4.5, 4.5, 4.5, 4.5, 8.0, 8.0, 8.0, 10.0],
]


def test_w_gives_the_textbook_value_with_ties():
    assert kendall_w(TIED) == pytest.approx(0.828, abs=5e-4)


def test_w_is_1_for_equal_orders_0_for_two_opposite_ones_and_undefined_without_order():
    assert kendall_w([[1, 2, 3], [10, 20, 90]]) == pytest.approx(1)
    assert kendall_w([[1, 2, 3], [3, 2, 1]]) == pytest.approx(0)
    assert kendall_w([[1, 1, 1], [2, 2, 2]]) is None
    with pytest.raises(ValueError, match="Two people and two candidates"):
        kendall_w([[1, 2, 3]])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(1, 6), min_size=4, max_size=4), min_size=2, max_size=5), st.randoms())
def test_w_is_a_share_and_the_same_in_any_order_of_people(rows, random):
    w = kendall_w(rows)
    random.shuffle(rows)
    assert kendall_w(rows) == (None if w is None else pytest.approx(w))
    assert w is None or -1e-9 <= w <= 1 + 1e-9


def test_kappa_gives_cohens_own_value():
    # Cohen 1960, table 1: 200 cases in three categories, kappa 0.492 from these counts.
    table = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]
    cells = [(i, j) for i in range(3) for j in range(3) for _ in range(table[i][j])]
    (found,) = kappas({n: {"A": float(i), "B": float(j)} for n, (i, j) in enumerate(cells)})
    assert (found.people, found.n) == (("A", "B"), 200)
    assert found.estimate.value == pytest.approx(0.492, abs=5e-4)
    assert found.estimate.low < 0.492 < found.estimate.high

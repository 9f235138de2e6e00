"""Strengths and cycles: a textbook's table, planted cycles, and orders that have none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from personalization.agreement.cycles import cycles, general_preferences, preferences_figure
from personalization.agreement.judgements import Judgement
from personalization.agreement.strengths import Wins, bradley_terry, strengths_figure, wins

# Agresti, Categorical Data Analysis, table 10.10: games of the American League, 1987.
TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
GAMES = np.array(
    [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ],
    dtype=float,
)
PUBLISHED = [1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0.0]  # against Baltimore


def test_bradley_terry_gives_the_textbooks_strengths():
    strengths = bradley_terry(GAMES)
    assert strengths - strengths[-1] == pytest.approx(PUBLISHED, abs=0.03)  # a twentieth of a game as prior
    assert strengths.sum() == pytest.approx(0, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(7)))
def test_strengths_do_not_depend_on_the_order_of_makers(order):
    order = list(order)
    assert bradley_terry(GAMES[np.ix_(order, order)]) == pytest.approx(bradley_terry(GAMES)[order], abs=1e-7)


def test_many_samples_at_once_are_as_each_alone_and_a_maker_who_always_wins_stays_finite():
    always = np.triu(np.full((3, 3), 5.0), 1)
    both = bradley_terry(np.stack([always, always.T]))
    assert np.isfinite(both).all()
    assert both[0] == pytest.approx(bradley_terry(always))
    assert both[0] == pytest.approx(-both[1])


def _pick(item, winner, loser, tie=False):
    made = {f"{item}{name}": name for name in (winner, loser)}
    values = {f"{item}{winner}": 1.0, f"{item}{loser}": float(tie)}
    return Judgement("anna", str(item), "pick", values, makers=made)


def _round(outcomes):
    return [_pick(i, *pair) for i, pair in enumerate(outcomes)]


CYCLE = [("rock", "scissors"), ("scissors", "paper"), ("paper", "rock")]


def test_a_cycle_is_found_and_no_order_explains_it():
    judgements = _round(CYCLE * 12)
    (found,) = cycles(wins(judgements)).found
    assert set(found) == {"rock", "paper", "scissors"}
    assert cycles(wins(judgements)).p < 0.02
    figure = preferences_figure(judgements)
    assert "no single score ranks these makers" in figure.words
    assert {row.label for row in figure.rows} == {f"{a} over {b}" for a, b in CYCLE}
    assert all(row.estimate.low > 0.5 for row in figure.rows)


def test_a_cycle_of_one_comparison_each_is_called_chance():
    figure = preferences_figure(_round(CYCLE))
    assert "chance makes as much of a plain order" in figure.words


def test_ten_people_who_judge_the_same_three_items_are_no_thirty_comparisons():
    many = [replace(one, person=f"person {n}") for one in _round(CYCLE) for n in range(10)]
    assert cycles(wins(many)).p == cycles(wins(_round(CYCLE))).p > 0.05


def test_an_order_has_no_cycle_and_the_clear_winner_is_named():
    order = [("big", "mid"), ("mid", "small"), ("big", "small")]
    judgements = _round(order * 15 + [(b, a) for a, b in order] * 2)
    assert cycles(wins(judgements)).found == ()
    assert "There is no cycle" in preferences_figure(judgements).words
    figure = strengths_figure(judgements)
    assert [row.label for row in figure.rows] == ["big", "mid", "small"]
    assert figure.words.startswith("big would win against the average maker")
    assert "clearly ahead of mid" in figure.words


def test_makers_that_never_met_are_not_ranked_together():
    figure = strengths_figure(_round([("a", "b"), ("c", "d")] * 5))
    assert "never compared with the rest" in figure.words


def test_a_tie_is_half_a_win_for_each():
    counted = wins([_pick(1, "a", "b", tie=True)])
    assert counted.total.tolist() == [[0, 0.5], [0.5, 0]]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=4, max_size=4))
def test_general_preferences_are_skew_symmetric_probabilities(rows):
    total = np.array(rows, dtype=float) * (1 - np.eye(4))
    chance = general_preferences(total)
    assert chance + chance.T == pytest.approx(np.ones((4, 4)))
    assert (chance > 0).all()


def test_without_rotation_the_general_model_says_what_bradley_terry_says():
    strengths = np.array([0.9, 0.2, -0.3, -0.8])
    total = 400 * expit(strengths[:, None] - strengths[None, :]) * (1 - np.eye(4))
    assert general_preferences(total) == pytest.approx(
        expit(strengths[:, None] - strengths[None, :]), abs=0.01
    )


def test_resamples_take_whole_items():
    counted = Wins(("a", "b"), np.array([[[0, 3.0], [0, 0]], [[0, 0], [5.0, 0]]]))
    assert {tuple(one.ravel()) for one in counted.resampled(50, 0)} == {
        (0, 6, 0, 0),
        (0, 3, 5, 0),
        (0, 0, 10, 0),
    }

"""Calibration: a model as sure as it is right gets a small error, an overconfident one does not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit

from personalization.evaluation.calibration import COIN_BRIER, calibration, fitted_scale


def people(n: int, *, scale: float, seed: int, each: int = 4) -> tuple[list[float], list[int]]:
    """Margins of a model whose P(right) is exactly sigmoid(|margin| x scale)."""
    rng = np.random.default_rng(seed)
    size = np.abs(rng.normal(size=n * each)) * 2
    right = rng.random(n * each) < expit(size * scale)
    return np.where(right, size, -size).tolist(), np.repeat(np.arange(n), each).tolist()


def test_the_scale_is_found():
    margins, _ = people(2000, scale=0.7, seed=1)
    assert fitted_scale(np.array(margins)) == pytest.approx(0.7, abs=0.05)
    assert fitted_scale(np.array([-1.0, -2.0, -1.5])) == pytest.approx(0, abs=1e-4)
    assert fitted_scale(np.zeros(4)) == 0.0


def test_a_model_that_is_as_sure_as_it_is_right_is_calibrated():
    found = calibration(*people(300, scale=0.7, seed=2))
    assert found is not None
    assert found.ece.value < 0.05
    assert found.ece.value < 2.5 * found.ece_by_chance
    assert found.brier.high < COIN_BRIER
    assert len(found.bins) == 10
    assert {one.accuracy.n for one in found.bins} == {120}
    assert [one.confidence for one in found.bins] == sorted(one.confidence for one in found.bins)
    assert found.n_conversations == 300


def test_a_model_whose_margins_do_not_say_how_sure_it_is_is_not_calibrated():
    """Right in 95 % where the margin is small and in 55 % where it is large: no scale mends that."""
    rng = np.random.default_rng(3)
    size = np.where(rng.random(800) < 0.5, 0.2, 3.0)
    right = rng.random(800) < np.where(size < 1, 0.95, 0.55)
    found = calibration(np.where(right, size, -size).tolist(), [i // 4 for i in range(800)])
    assert found is not None
    assert found.ece.low > 0.1
    assert found.ece.value > 3 * found.ece_by_chance


def test_noise_is_said_to_be_a_coin():
    margins = np.random.default_rng(4).normal(size=400).tolist()
    found = calibration(margins, [i // 4 for i in range(400)])
    assert found is not None
    # Choosing a scale for noise costs a little, which only cross-validation shows.
    assert COIN_BRIER <= found.brier.value < COIN_BRIER + 0.01
    assert found.bins[-1].confidence < 0.65


def test_the_scale_never_sees_the_conversation_that_it_judges():
    """One conversation's margins are huge and wrong. Its own scale would be 0; the others' makes it sure."""
    margins = [2.0] * 30 + [-50.0] * 6
    conversations = [i // 3 for i in range(30)] + [99] * 6
    found = calibration(margins, conversations)
    assert found is not None
    # The six are judged with certainty and wrong: each costs a squared distance of one.
    assert found.brier.value > 6 / 36 * 0.99


def test_the_error_of_a_perfect_model_on_few_comparisons_is_what_chance_gives():
    errors, chances = [], []
    for seed in range(40):
        found = calibration(*people(10, scale=0.7, seed=100 + seed))
        assert found is not None
        errors.append(found.ece.value)
        chances.append(found.ece_by_chance)
    assert np.mean(errors) == pytest.approx(np.mean(chances), abs=0.05)
    assert np.mean(chances) > 0.05  # so few comparisons do not look perfect


def test_too_little_is_none_and_nonsense_is_refused():
    assert calibration([1.0] * 20, [0] * 20) is None
    assert calibration([1.0] * 6, range(6)) is None
    with pytest.raises(ValueError, match="both must be equal and finite"):
        calibration([1.0], [])
    with pytest.raises(ValueError, match="both must be equal and finite"):
        calibration([float("nan")], [1])


def test_always_right_is_not_infinitely_sure_and_is_json():
    found = calibration([1.0] * 24, [i // 4 for i in range(24)])
    assert found is not None
    assert 0.8 < found.bins[0].confidence < 1
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["bins"][0]["n"] == 8
    assert found == calibration([1.0] * 24, [i // 4 for i in range(24)])


def test_the_intervals_resample_conversations():
    """The same comparisons in fewer conversations, all of one alike, are less sure."""
    margins, _ = people(60, scale=0.7, seed=9, each=1)
    apart = calibration(margins * 4, [i % 240 for i in range(240)])
    alike = calibration(margins * 4, [i % 60 for i in range(240)])
    assert apart is not None
    assert alike is not None
    assert apart.ece.high - apart.ece.low > 0.01
    assert alike.ece.high - alike.ece.low > 1.2 * (apart.ece.high - apart.ece.low)
    assert alike.brier.high - alike.brier.low > 1.2 * (apart.brier.high - apart.brier.low)

"""People who are alike answer alike: missing answers are filled in from others."""

from __future__ import annotations

import numpy as np
import pytest

from personalization.inventory.population import Population

FACETS = ["N1"] * 6 + ["E1"] * 6
SIGNS = [1, -1] * 6


def simulated(count: int, seed: int) -> np.ndarray:
    """Answer as two independent traits say, with noise, on the statements as worded."""
    rng = np.random.default_rng(seed)
    traits = rng.normal(size=(count, 2)).repeat(6, axis=1)
    return np.clip(3 + traits * SIGNS + 0.4 * rng.normal(size=traits.shape), 1, 5)


def test_missing_answers_are_filled_in_far_better_than_by_the_mean():
    model = Population.fit(simulated(80, 0), FACETS, SIGNS)
    truth = simulated(40, 1)
    shown = truth.copy()
    shown[:, [4, 5, 10, 11]] = np.nan
    filled = np.stack([model.complete(row) for row in shown])
    hidden = np.isnan(shown)
    error = np.abs(filled - truth)[hidden].mean()
    assert error < 0.6 * np.abs(model.mean - truth)[hidden].mean()


def test_somebody_who_answered_nothing_is_the_mean():
    model = Population.fit(simulated(40, 0), FACETS, SIGNS)
    np.testing.assert_allclose(model.complete(np.full(12, np.nan)), model.mean)


def test_missing_answers_of_others_do_no_harm():
    others = simulated(60, 0)
    others[::7, 3] = np.nan
    assert np.isfinite(Population.fit(others, FACETS, SIGNS).covariance).all()


def test_too_few_people_and_a_key_that_does_not_fit_are_refused():
    with pytest.raises(ValueError, match="too few"):
        Population.fit(simulated(5, 0), FACETS, SIGNS)
    with pytest.raises(ValueError, match="12 items"):
        Population.fit(simulated(40, 0), FACETS[:-1], SIGNS)

"""When it pays to train: the sentence follows the difference measured at the person's amount of ratings."""

from __future__ import annotations

import pytest

from alignapp.adapters.gains import gains


def row(prompts: int, value: float, low: float, high: float) -> dict:
    return {
        "prompts": prompts,
        "adapter": {"value": value, "low": low, "high": high, "n": 12},
        "seconds": 190.0,
    }


def found(*pays: dict) -> dict:
    grid = [
        {"arm": arm, "prompts": each["prompts"], "win_rate": 0.7, "low": 0.6, "high": 0.8, "n": 288}
        for each in pays
        for arm in ("adapter", "vector")
    ]
    return {"model": "Some-Model", "people": 12, "seeds": 3, "grid": grid, "pays": list(pays)}


@pytest.mark.parametrize(
    ("rated", "words"),
    [
        (2, "Too early to tell: the smallest amount that was measured is 4 rated messages."),
        (4, "4 rated messages training does not pay yet"),
        (15, "4 rated messages training does not pay yet"),
        (16, "16 rated messages an adapter is not clearly ahead"),
        (300, "32 rated messages training pays: an adapter won +8 points more often"),
    ],
)
def test_the_sentence_is_of_the_largest_amount_that_the_person_has(rated, words):
    measured = found(row(32, 0.08, 0.02, 0.14), row(4, -0.05, -0.09, -0.01), row(16, 0.02, -0.03, 0.07))
    shown = gains(rated, measured)
    assert words in shown.sentence
    assert "12 simulated people with Some-Model" in shown.source
    assert [bar.label for bar in shown.chart.rows][:2] == [
        "4 rated messages: Vector of every rating",
        "4 rated messages: Adapter",
    ]


def test_nothing_is_said_where_no_adapter_was_measured():
    assert gains(10, {**found(), "grid": []}) is None

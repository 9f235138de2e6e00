"""What the card says about calibration, about metrics asked together, and about what was not measured."""

from __future__ import annotations

import random
import re

from django.template.loader import render_to_string
from django.urls import reverse

from alignapp.adapters.kinds import calibration_figures, calibration_plot, kinds
from alignapp.adapters.together import findings
from alignapp.charts import reliability
from personalization.evaluation.calibration import calibration
from personalization.evaluation.evenness import evenness
from tests.web import learned


def measured() -> dict:
    """A card with calibration and evenness as the evaluation itself stores them."""
    draw = random.Random(1)
    margins = [draw.gauss(0.8, 1.0) for _ in range(40)]
    conversations = [i // 4 for i in range(40)]
    sure = calibration(margins, conversations)
    even = evenness([float(m > 0) for m in margins], conversations)
    assert sure is not None
    assert even is not None
    return {**learned.results(), "calibration": {"artifact": sure.as_dict()}, "evenness": even.as_dict()}


def test_older_cards_say_that_calibration_was_not_measured(owner, client_of) -> None:
    artifact = learned.artifact(owner)
    html = client_of(owner).get(reverse("adapters:artifact", args=[artifact.id])).content.decode()
    assert "it was proven before calibration was looked at" in html
    assert html.count("not measured") == 5  # calibration, robustness, fairness, bias, toxicity
    assert calibration_figures(learned.results()) == []


def test_the_card_draws_calibration(owner, client_of) -> None:
    artifact = learned.artifact(owner, card=measured())
    html = client_of(owner).get(reverse("adapters:artifact", args=[artifact.id])).content.decode()
    assert "Brier score" in html
    assert "Sure against right" in html
    assert "of 10 conversations" in html
    assert html.count("not measured") == 3
    assert not re.search(r"\sstyle\s*=", html)


def test_the_plot_puts_every_bin_where_it_is() -> None:
    bins = [
        {"confidence": 0.5, "accuracy": 0.5, "low": 0.2, "high": 0.8, "n": 8},
        {"confidence": 1.0, "accuracy": 1.0, "low": 0.7, "high": 1.0, "n": 9},
    ]
    plot = reliability("t", bins)
    assert plot is not None
    assert plot.dots == "M0.00 50.00 h0.01 M100.00 0.00 h0.01"
    assert plot.intervals == "M0.00 80.00 V20.00 M100.00 30.00 V0.00"
    html = render_to_string("_partials/charts/reliability.html", {"chart": plot})
    assert "70 % to 100 %" in html
    assert reliability("t", []) is None
    assert calibration_plot({}) is None


def test_metrics_are_corrected_for_being_asked_together() -> None:
    results = learned.results()
    # p of the share is 0.027 alone; the difference's is 0.015: together they are 0.030 and 0.030.
    found = {one.name: one for one in findings(results)}
    assert [one.holds for one in found.values()] == [1, 1]
    change = {"value": -0.1, "n": 8, "low": -0.19, "high": -0.01}
    even = {"value": 0.0, "n": 8, "low": -0.1, "high": 0.1}
    results["writing"] = {"relevance_change": change, "repetition_change": even}
    together = {one.name: one for one in findings(results)}
    assert set(found) < set(together)
    assert {one.holds for one in together.values()} == {0}  # four questions: nothing is a finding any more
    assert findings({"accuracy": learned.results()["accuracy"]}) == []


def test_less_error_is_better() -> None:
    results = {
        "error": {"artifact": learned.estimate(0.9, 0.8, 1.0)},
        "difference": learned.estimate(-0.2, -0.25, -0.15),
        "writing": {"relevance_change": learned.estimate(-0.5, -0.6, -0.4)},
    }
    assert [(one.name, one.holds) for one in findings(results)] == [
        ("Error, against the base model", 1),
        ("Stays with the question", -1),
    ]


def test_all_seven_kinds_are_named(owner) -> None:
    artifact = learned.artifact(owner)
    shown = {str(kind.name): kind.words for kind in kinds(artifact, measured())}
    assert next(iter(shown)) == "Accuracy"
    assert len(shown) == 7
    assert shown["Accuracy"] == "68 %"
    assert shown["Bias"] == ""
    longer = {**measured(), "length_bias": learned.estimate(0.12, -0.03, 0.27)}
    bias = next(kind for kind in kinds(artifact, longer) if str(kind.name) == "Bias")
    assert bias.words == "+12 points towards length"
    assert "\N{MINUS SIGN}3 to +27" in bias.help
    assert "nats per token" in shown["Efficiency"]

"""The steerability benchmark's arithmetic: nothing is learned and judged twice, fits, contrasts, the mark."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from benchmarks import plots
from benchmarks.steerability import measure
from benchmarks.steerability.measure import Judge, against, contrast
from benchmarks.steerability.page import headline, write_page
from benchmarks.steerability.results import chosen, linear, quadratic, summary
from benchmarks.steerability.statements import ASKED, Drawn, Sizes, questions, read

STRENGTHS = (-0.2, 0.2, 0.4)
SIZES = Sizes(learned=5, judged=2, others=1, described=4, strengths=STRENGTHS)


def test_no_statement_both_teaches_and_judges():
    statements = [f"I like {i}." for i in range(20)] * 2  # said twice: it may still be in one place only
    drawn = Drawn.of(statements, seed=3, sizes=SIZES)
    parts = (drawn.learned, drawn.judged, drawn.described, drawn.checking)
    assert [len(part) for part in parts] == [5, 2, 4, 4]
    assert len(set().union(*parts)) == 15
    assert drawn == Drawn.of(statements, seed=3, sizes=SIZES) != Drawn.of(statements, seed=4, sizes=SIZES)
    with pytest.raises(ValueError, match="18 statements are too few"):
        Drawn.of(statements[:18], seed=3, sizes=SIZES)


def test_statements_that_match_by_no_are_left_out(tmp_path):
    rows = [{"statement": word, "answer_matching_behavior": f" {word}"} for word in ("Yes", "No")]
    (tmp_path / "warmth.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read(tmp_path) == {"warmth": ["Yes"]}


def test_every_trait_is_asked_about_an_unknown_one_too():
    assert questions("openness", Sizes())[0] == ASKED["openness"]
    assert questions("love-of-order", Sizes())[0] == ("How does love of order show in your life?",)


def test_fits_find_what_made_the_numbers():
    s = np.array(STRENGTHS)
    assert linear(STRENGTHS, (3 * s).tolist()) == pytest.approx((3.0, 1.0))
    assert quadratic(STRENGTHS, (2 * s**2).tolist()) == pytest.approx((2.0, 1.0))
    # a line through the origin is worse than the mean where the strength does nothing but a constant
    assert linear(STRENGTHS, [1.0, 1.0, 1.1])[1] < 0


@pytest.mark.parametrize(
    ("slope", "curvature", "expected"),
    [(1.0, 5.0, 0.1), (1.0, 0.5, 0.4), (-1.0, 5.0, 0.0), (1.0, 0.0, 0.4), (0.0, 0.0, 0.0)],
)
def test_the_chosen_strength_maximises_gain_minus_cost(slope, curvature, expected):
    assert chosen(slope, curvature, 0.4) == pytest.approx(expected)


def test_a_model_that_says_yes_to_everything_gains_nothing():
    changes = np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 4.0, 1.0, 1.0]])
    assert contrast(changes, 2) == [0.0, 2.0]


def test_statements_that_move_the_wrong_way_are_counted_alone_and_beside_the_others():
    slopes = np.array([-1.0, 1.0, 3.0, 3.0, 2.0, 2.0])  # four of the trait, then two of other traits
    found = against(np.array(STRENGTHS)[:, None] * slopes, 4, STRENGTHS)
    assert found == {"alone": 0.25, "beside_others": 0.5}


def test_the_judge_knows_which_way_the_trait_lies(monkeypatch):
    own, other = normalize(torch.randn(2, 384, generator=torch.Generator().manual_seed(0)), dim=-1)
    vectors = {"of a": own, "of b": other}
    fake = SimpleNamespace(encode=lambda texts: torch.stack([vectors[text] for text in texts]))
    monkeypatch.setattr(measure, "encoder", lambda: fake)
    judge = Judge.of("a", {"a": ["of a"], "b": ["of b"]})
    assert judge.accuracy("a", {"a": ["of a"], "b": ["of b"]}) == 1.0
    assert judge.accuracy("b", {"a": ["of a"], "b": ["of b"]}) == 0.0


def _cell(trait, seed, slope):
    s = np.array(STRENGTHS)

    def arm(gain):
        curve = (gain * s).tolist()
        names = ("said", "yes", "yes_to_others", "text", "asked", "unasked", "relevance", "repetition")
        rest = {"kl": (2 * s**2).tolist(), "perplexity_ratio": [1.1] * 3}
        return dict.fromkeys(names, curve) | rest | {"against": {"alone": 0.5, "beside_others": 0.25}}

    return {
        "trait": trait, "seed": seed, "strengths": STRENGTHS, "vector": arm(slope), "random": arm(0.1),
        "judge_accuracy": 0.9, "base": {"text": 0.1},
        "example": {"question": "Why?", "base": "So.", "strongest": "I do."},
    }  # fmt: skip


def test_the_interval_is_over_traits_and_the_page_says_what_is_shown(tmp_path):
    cells = [_cell(trait, seed, slope) for seed in (0, 1) for trait, slope in (("a", 1.0), ("b", 3.0))]
    found = summary(cells)
    fit = found["vector"]["fits"]["said_slope"]
    assert (fit["value"], fit["low"], fit["high"]) == pytest.approx((2.0, 1.0, 3.0))  # not narrowed by seeds
    assert found["difference"]["said_slope"]["value"] == pytest.approx(1.9)
    assert found["vector"]["fits_of_means"]["chosen_strength"] == pytest.approx(0.4)  # 2 / (2 * 2), capped
    assert found["traits"]["a"]["chosen_strength"] == pytest.approx(0.25)
    assert "| said: nats a token | 2.000 [1.000, 3.000] | 0.100" in headline(found)
    told = found | {"model": "m", "machine": "x", "dtype": "float32", "commit": "c", "seconds": 60.0}
    write_page(tmp_path, told)
    page = (tmp_path / "steerability.md").read_text()
    assert "is not told from what a random vector does" in page  # two traits prove nothing
    named = re.findall(r"\((\S+\.svg)\)", page)
    assert len(named) == 5
    assert all((tmp_path / name).exists() for name in named)
    assert "chosen: 0.40" in (tmp_path / "steerability-said.svg").read_text()


@pytest.mark.parametrize(
    ("slope", "told"),
    [
        (1.0, "moves towards the trait more than a random vector moves it"),
        (-1.0, "moves AWAY from the trait, compared with a random vector"),
        (0.1, "is not told from what a random vector does"),
    ],
)
def test_eight_traits_that_agree_are_a_claim_and_the_sign_counts(tmp_path, slope, told):
    found = summary([_cell(name, 0, slope) for name in "abcdefgh"])
    write_page(tmp_path, found | {"model": "m", "machine": "x", "dtype": "d", "commit": "c", "seconds": 60.0})
    assert f"- generated text {told}" in (tmp_path / "steerability.md").read_text()


def test_one_trait_has_no_interval_and_the_json_no_infinity(tmp_path):
    found = summary([_cell("a", 0, 1.0)])
    assert found["vector"]["fits"]["said_slope"]["low"] is None
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(("value", "at"), [(-0.2, 0.0), (0.1, 1.5), (0.2, 2.0), (0.9, 2.0), (-1.0, 0.0)])
def test_a_mark_stands_where_its_value_is(value, at):
    assert plots._place(value, (-0.2, 0.0, 0.2)) == pytest.approx(at)

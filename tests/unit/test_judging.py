"""Reward models of several people: what each way learns, and that nothing of what judges it is in it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.errors import ArtifactError
from personalization.evaluation.calibration import calibration
from personalization.evaluation.judges import judge, measure
from personalization.judging import heads, kept
from personalization.judging.comparisons import Comparisons, read
from personalization.judging.learn import Space, learn
from personalization.records import Message, Pair
from personalization.steering.reward import mean_norms_of
from tests import tiny
from tests.judged import said


def cosine(one, other) -> float:
    return float(np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other)))


def loss_of(found: Comparisons, head) -> float:
    return float(found.shares @ np.logaddexp(0.0, -found.differences @ head))


# --- heads -----------------------------------------------------------------------------------


def test_bradley_terry_is_the_likeliest_head_under_its_ridge():
    found = said({"ann": [1.0, 0.5, 0.0]})
    for ridge, head in zip(heads.RIDGES, heads.bradley_terry(found), strict=True):
        pull = found.differences.T @ (found.shares / (1 + np.exp(found.differences @ head)))
        assert pull == pytest.approx(ridge * head, abs=1e-4)  # where the gradient is nothing
    assert cosine(head, [1.0, 0.5, 0.0]) > 0.95


def test_people_count_alike_however_much_they_said():
    ann, bert = said({"ann": [1.0, 0.0]}, 80), said({"bert": [0.0, 1.0]}, 80)
    both = said({"ann": [1.0, 0.0], "bert": [0.0, 1.0]}, 80)
    few = both.take([*range(80), *range(80, 100)])
    assert few.shares[:80].sum() == pytest.approx(few.shares[80:].sum()) == pytest.approx(0.5)
    head = heads.bradley_terry(few)[0]
    assert loss_of(ann, head) < math.log(2)
    assert loss_of(bert, head) < math.log(2)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 10_000))
def test_the_shortest_sum_of_unit_gradients_is_a_point_of_the_simplex_that_none_shortens(people, size, seed):
    gradients = np.random.default_rng(seed).normal(size=(people, size)) * 10
    weights = heads.shortest(gradients)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1.0)
    unit = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    total = weights @ unit
    assert (unit @ total).min() >= total @ total - 0.02  # the optimality condition of Frank and Wolfe
    assert weights == pytest.approx(heads.shortest(gradients * np.arange(1, people + 1)[:, None]), abs=1e-6)


def test_people_who_want_opposite_things_leave_more_nothing_to_learn():
    ann = said({"ann": [1.0, 0.0, 0.0]})
    bert = Comparisons(-ann.differences, ann.lengths, ("bert",) * len(ann), ann.items, ann.pairs)
    both = Comparisons(
        np.concatenate([ann.differences, bert.differences]),
        np.concatenate([ann.lengths] * 2),
        ann.people + bert.people,
        ann.items * 2,
        ann.pairs * 2,
    )
    assert np.abs(heads.more(both)[-1]).max() < 1e-9


def test_more_learns_what_all_share_where_the_majority_would_outvote_one():
    # All like the first direction; three like the second and one does not.
    tastes = {"a": [1.0, 1.0], "b": [1.0, 1.0], "c": [1.0, 1.0], "d": [1.0, -1.0]}
    found = said(tastes, 200)
    majority, shared = heads.bradley_terry(found)[3], heads.more(found)[-1]
    assert shared[0] > 0
    assert abs(shared[1] / shared[0]) < 0.3 < majority[1] / majority[0]
    minority = found.by({"d"})
    assert np.mean(minority.differences @ shared > 0) > np.mean(minority.differences @ majority > 0)


# --- learning --------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [heads.bradley_terry, heads.more])
def test_its_differences_are_log_odds_and_its_own_accuracy_is_of_items_that_it_did_not_see(way):
    tastes = {name: [2.0, 1.0, 0.0, 0.0] for name in ("ann", "bert")}
    found, fresh = said(tastes, 120), said(tastes, 400, seed=1)
    learned = learn(way, found, Space.of(found))
    right = np.mean(fresh.differences @ learned.head > 0)
    assert right > 0.85
    assert np.mean(learned.margins > 0) == pytest.approx(right, abs=0.08)
    sure = 1 / (1 + np.exp(-np.abs(fresh.differences @ learned.head)))
    assert sure.mean() == pytest.approx(right, abs=0.06)


@pytest.mark.parametrize("way", [heads.bradley_terry, heads.more])
def test_choices_at_random_teach_nothing(way):
    useful = []
    for seed in range(12):
        found = said({"ann": [0.0] * 30, "bert": [0.0] * 30}, 40, seed=seed, noise=1.0)
        learned = learn(way, found, Space.of(found))
        useful.append(learned.reward(found, np.ones(1)).is_useful)
    assert sum(useful) <= 3  # the lower bound of a 95 % interval: one in forty by chance


def test_the_space_of_few_comparisons_keeps_all_of_them():
    draw = np.random.default_rng(0)
    few = said({"ann": [1.0] * 4}, 5).seen_as(draw.normal(size=(5, 50)))
    space = Space.of(few)
    inside = space.of_comparisons(few)
    head = draw.normal(size=space.basis.shape[0])
    assert inside.differences.shape == (5, 5)
    assert few.differences @ space.out(head) == pytest.approx(inside.differences @ head)
    assert (inside.differences**2).sum(axis=1).mean() == pytest.approx(1.0)


# --- judging ---------------------------------------------------------------------------------


def test_nothing_of_a_person_is_in_what_judges_them_as_others():
    tastes = {"ann": [1.0, 0.0], "bert": [1.0, 0.0], "carl": [0.0, 1.0]}
    train, held_out = said(tastes, 40), said(tastes, 20, seed=5)
    before = judge(train, held_out).margins
    anns = [i for i, person in enumerate(train.people) if person == "ann"]
    changed = train.differences.copy()
    changed[anns] *= -1
    after = judge(train.seen_as(changed), held_out).margins
    hers = [i for i, person in enumerate(held_out.people) if person == "ann"]
    for name in ("others", "more_others"):
        assert after[name][hers] == pytest.approx(before[name][hers])
        assert not np.allclose(after[name], before[name])
    assert not np.allclose(after["bradley_terry"][hers], before["bradley_terry"][hers])


def test_the_figures_are_paired_beside_length_and_a_coin():
    tastes = {name: [2.0, 1.0] for name in ("ann", "bert", "carl")}
    told: list[tuple[int, int]] = []
    judged = judge(said(tastes, 60), said(tastes, 40, seed=3), progress=lambda *at: told.append(at))
    found = measure(judged)
    assert told[-1] == (8, 8)
    assert (found["comparisons"], found["items"], found["people"]) == (120, 40, 3)
    own, length = found["judges"]["bradley_terry"], found["judges"]["length"]
    assert own["accuracy"]["low"] > 0.8 > length["accuracy"]["high"]
    assert own["calibration"]["brier"]["high"] < 0.25
    assert own["calibration"]["ece"]["value"] < 0.15
    row = next(d for d in found["differences"] if (d["one"], d["other"]) == ("bradley_terry", "length"))
    assert row["accuracy"]["value"] == pytest.approx(own["accuracy"]["value"] - length["accuracy"]["value"])
    assert row["p"] < 0.01
    alone = measure(judge(said({"ann": [1.0]}, 30), said({"ann": [1.0]}, 12, seed=2)))
    assert alone["judges"].keys() == {"length", "bradley_terry", "more"}  # there is nobody else


def test_a_probability_of_one_half_has_the_brier_score_of_a_coin():
    found = calibration([0.0] * 12, list("aabbccddeeff"), scale=1.0)
    assert (found.brier.value, found.ece.value) == (0.25, 0.0)
    sure = calibration([math.log(3)] * 9 + [-math.log(3)] * 3, list("aabbccddeeff"), scale=1.0)
    assert sure.brier.value == pytest.approx(0.75 * 0.25**2 + 0.25 * 0.75**2)
    assert sure.ece.value == pytest.approx(0.25, abs=0.2)


# --- with a model ----------------------------------------------------------------------------


def test_answers_are_read_once_without_system_messages_and_the_file_gives_the_same_reward(tmp_path):
    base = tiny.base()
    asked = (Message("user", "Say it"),)
    told = (Message("system", "Be odd."), *asked)
    answers = [("long and longer", "no"), ("long again, yes", "so"), ("quite long also", "oh")]
    pairs = [Pair(f"{n}", (f"{n}",), asked, *texts) for n, texts in enumerate(answers)]
    pairs.append(Pair("0", ("9",), told, *answers[0]))
    told_of: list[tuple[int, int]] = []
    states = read(base, pairs, progress=lambda *at: told_of.append(at))
    assert told_of == [(8, 8)]
    assert np.array_equal(states[asked, "no"], states[told, "no"])
    norms = mean_norms_of(list(states.values()))
    found = Comparisons.of({"ann": pairs[:3], "bert": pairs[1:]}, states, norms)
    assert (found.people[0], len(found), found.items[-1]) == ("ann", 6, "0")
    assert found.lengths[0] == pytest.approx(math.log(4) - math.log(2))
    reward = learn(heads.bradley_terry, found, Space.of(found)).reward(found, norms)
    margins = [
        float(np.diff(reward.of(np.stack([states[p.prompt, p.rejected], states[p.prompt, p.chosen]])))[0])
        for p in found.pairs
    ]
    head = learn(heads.bradley_terry, found, Space.of(found)).head
    assert margins == pytest.approx(found.differences @ head, rel=1e-3, abs=1e-4)
    kept.write({"bradley_terry": reward}, tmp_path)
    again = kept.read(tmp_path, "bradley_terry", reward.as_dict())
    assert np.array_equal(again.weights, reward.weights)
    assert again.accuracy == reward.accuracy
    with pytest.raises(ArtifactError, match="holds no reward model named more"):
        kept.read(tmp_path, "more", reward.as_dict())

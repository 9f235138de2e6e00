"""The report card: chance is not proven, what works is, and the verdict says why in plain words."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from personalization import registry
from personalization.errors import Leak, NotEnoughData
from personalization.evaluation.controls import Comparison
from personalization.evaluation.report import ReportCard, _length_bias, prove
from personalization.models.ability import Ability
from personalization.models.cost import Cost
from personalization.models.logprobs import PairLogps
from personalization.models.preference import Scored
from personalization.records import Message, Pair, Records
from personalization.statistics import Estimate
from personalization.training.settings import TrainingSettings
from personalization.training.train import train_adapter
from tests import tiny
from tests.gates import gate

LETTERS = "abcdefghijklmnopqrstuvwxyz     "


def pairs(count: int, *, first: int = 0, taste: bool) -> list[Pair]:
    """Random answers; with a taste the chosen one is the one that shouts."""
    made = []
    for i in range(first, first + count):
        rng = random.Random(i)
        chosen, rejected = ("".join(rng.choices(LETTERS, k=24)) for _ in range(2))
        chosen = chosen.upper() if taste else chosen
        made.append(Pair(f"chat-{i}", (), (Message("user", f"Question {i}?"),), chosen, rejected))
    return made


def vector(folder: Path, seed: int, size: float) -> Path:
    folder.mkdir()
    direction = torch.randn(tiny.HIDDEN, generator=torch.Generator().manual_seed(seed))
    save_file({"layer.1.output": size * direction}, folder / "steering.safetensors")
    return folder


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_random_vector_is_not_proven(tmp_path, seed):
    artifact = vector(tmp_path / "random", seed, 0.3)
    card = prove(tiny.base(), artifact, "vector", pairs(24, taste=False), system_message="")
    assert not card.proven
    assert card.verdict.startswith("Not proven: it prefers your choice in ")
    assert "includes a coin's 50 %" in card.verdict
    assert card.accuracy["artifact"].n == 24


def test_an_adapter_that_learned_the_taste_is_proven_on_conversations_it_never_saw(tmp_path):
    base, method = tiny.base(), registry.get("dpo")
    train_adapter(
        base, Records(pairs=tuple(pairs(16, taste=True))), method, parameters=method.resolve({}),
        system_message="Be brief.", out=tmp_path / "out", checkpoints=tmp_path / "checkpoints",
        settings=TrainingSettings(rank=4, alpha=8, learning_rate=5e-3, epochs=6),
    )  # fmt: skip
    steps: list[int] = []
    card = prove(
        base, tmp_path / "out", "adapter", pairs(16, first=100, taste=True), system_message="Be brief.",
        learned_from=pairs(16, taste=True), report=lambda progress: steps.append(progress.step),
    )  # fmt: skip
    assert card.proven, card.verdict
    assert card.verdict.startswith("Proven: on 16 comparisons from 16 conversations that it never saw")
    assert card.accuracy["artifact"].value > 0.9
    assert card.chosen_change.value > card.rejected_change.value
    assert set(card.accuracy) == {"base", "system_message", "artifact", "artifact_likelihood"}
    assert card.difference.value == pytest.approx(
        card.accuracy["artifact"].value - card.accuracy["base"].value
    )
    shown = json.loads(json.dumps(card.as_dict(), allow_nan=False))
    assert [set(sample) for sample in shown["samples"]] == [{"prompt", "base", "artifact"}] * 3
    assert set(shown["safety"]) == {
        "refusal_base", "refusal", "acceptance_base", "acceptance", "objection",
        "refusal_change", "acceptance_change", "likelihood_change", "max_drop", "max_loss",
    }  # fmt: skip
    assert shown["writing"]["relevance_change"]["n"] == 15
    assert len(shown["fresh"]) == 12
    assert not {s["prompt"] for s in shown["fresh"]} & {s["prompt"] for s in shown["samples"]}
    assert set(shown["calibration"]) == {"base", "artifact"}
    assert shown["calibration"]["artifact"]["brier"]["value"] < 0.25
    assert sum(one["n"] for one in shown["calibration"]["artifact"]["bins"]) == 16
    assert shown["evenness"]["below_half"]["value"] < 0.2
    assert abs(shown["length_bias"]["value"]) < 0.2  # the taste is for shouting, whatever the length
    assert set(shown["comparisons"]) == {"artifact", "random", "in_context", "others"}
    assert shown["comparisons"]["artifact"]["accuracy"]["value"] > 0.9
    assert shown["comparisons"]["artifact"]["ahead"]["value"] == 0.0
    assert shown["comparisons"]["random"]["ahead"]["value"] > 0.0
    assert 0.0 <= shown["ability"]["base"] <= 1.0
    assert shown["ability"]["change"]["n"] == 40
    assert [p["strength"] for p in shown["tradeoff"]["points"]] == [0.5, 1.0, 1.5]
    assert shown["tradeoff"]["slope"] > 0  # on the taste that it learned
    assert shown["tradeoff"]["points"][1]["kl"] == pytest.approx(shown["cost"]["kl_to_base"], rel=1e-4)
    assert steps[-1] == 7
    assert steps == sorted(steps)


def test_the_same_artifact_gets_the_same_card(tmp_path):
    artifact = vector(tmp_path / "random", 5, 0.3)
    first, again = (
        prove(tiny.base(), artifact, "vector", pairs(6, taste=False), system_message="", seed=4)
        for _ in range(2)
    )
    assert first.as_dict() == again.as_dict()


def test_an_artifact_that_does_nothing_is_a_coin(tmp_path):
    artifact = vector(tmp_path / "nothing", 1, 0.0)
    card = prove(tiny.base(), artifact, "vector", pairs(6, taste=False), system_message="")
    accuracy = card.accuracy["artifact"]
    assert card.calibration == {}  # six comparisons say nothing about it
    assert accuracy.value == 0.5
    assert accuracy.low < 0.5 < accuracy.high
    assert card.cost.kl_to_base == pytest.approx(0, abs=1e-6)
    assert card.cost.ratio == pytest.approx(1)
    assert not card.proven


def test_a_vector_that_breaks_ordinary_text_is_not_proven(tmp_path):
    artifact = vector(tmp_path / "stuck", 1, 0.0)
    always_z = tiny.base().model.get_output_embeddings().weight[tiny.base().tokenizer.encode("Z")[-1]]
    save_file({"layer.2.output": 40 * always_z.contiguous()}, artifact / "steering.safetensors")
    card = prove(tiny.base(), artifact, "vector", pairs(6, taste=False), system_message="")
    assert any("times as surprising" in objection for objection in card.objections)
    assert card.cost.kl_to_base > 0.5


def test_nothing_held_out_proves_nothing(tmp_path):
    with pytest.raises(NotEnoughData):
        prove(tiny.base(), vector(tmp_path / "v", 1, 1.0), "vector", [], system_message="")


def test_what_was_learned_from_proves_nothing(tmp_path):
    found, artifact = pairs(6, taste=False), vector(tmp_path / "v", 1, 1.0)
    slipped = replace(found[3], conversation="elsewhere", rejected="Something else.", margin=0.05)
    with pytest.raises(Leak, match=r"1 of the held-out conversations"):
        prove(tiny.base(), artifact, "vector", found, system_message="", learned_from=[slipped])


def test_conversations_that_hold_the_same_count_as_one(tmp_path):
    found = pairs(6, taste=False)
    copies = [replace(found[0], conversation=f"copy-{i}") for i in range(6)]
    artifact = vector(tmp_path / "v", 1, 0.3)
    twice = prove(tiny.base(), artifact, "vector", [*found, *copies], system_message="")
    assert (twice.n_pairs, twice.n_conversations) == (12, 6)


def card(value: float, low: float, high: float, **changed) -> ReportCard:
    measured = Estimate(value, 40, low, high)
    same = Estimate(0.0, 40, -1.0, 1.0)
    made = ReportCard(
        accuracy={"base": Estimate(0.6, 40, 0.45, 0.75), "artifact": measured},
        difference=same, chosen_change=same, rejected_change=same, cost=Cost(10.0, 11.0, 0.01),
        safety=gate(0.8, 0.8, 0.9, 0.9),
        writing=None, samples=[], fresh=[], n_conversations=20, n_pairs=40,
    )  # fmt: skip
    return replace(made, **changed)


def test_verdicts():
    assert card(0.8, 0.65, 0.95).verdict == (
        "Proven: on 40 comparisons from 20 conversations that it never saw, "
        "it prefers your choice in 80 % of the comparisons (95 % interval 65 to 95 %)."
    )
    assert card(0.65, 0.45, 0.85).verdict == (
        "Not proven: it prefers your choice in 65 % of the comparisons (95 % interval 45 to 85 %), and that "
        "interval includes a coin's 50 %; about 73 more rated conversations could decide it."
    )  # 85 independent comparisons show 65 %; these 40 are worth 18, and came two a conversation
    assert "could decide" not in card(0.45, 0.2, 0.6).verdict  # more data would not help
    assert "less often than a coin would" in card(0.3, 0.2, 0.4).verdict
    assert "includes" not in card(0.3, 0.2, 0.4).verdict
    assert "the base model alone prefers your choice more often (60 %)" in card(0.55, 0.51, 0.6).verdict
    assert "ordinary text became 2.0 times" in card(0.8, 0.65, 0.95, cost=Cost(10.0, 20.0, 1.0)).verdict
    meek = card(0.8, 0.65, 0.95, safety=gate(0.8, 0.6, 0.9, 0.9))
    assert meek.verdict.startswith("Not safe: it refuses harmful requests less readily")
    assert not meek.proven
    sinking = card(0.8, 0.65, 0.95, chosen_change=Estimate(-9.0, 40, -12.0, -6.0))
    assert sinking.proven
    assert "became less likely, so watch the text" in sinking.verdict


def test_what_random_or_shown_examples_do_clearly_better_is_not_proven():
    same, behind = Estimate(0.0, 10, -0.2, 0.2), Estimate(-0.4, 10, -0.6, -0.2)
    right = Estimate(0.9, 10, 0.6, 0.98)
    fine = card(0.8, 0.65, 0.95, comparisons={"random": Comparison(right, same)})
    assert fine.proven
    beaten = replace(fine, comparisons={"random": Comparison(right, behind)})
    assert beaten.objections == ["a random change of the same size prefers your choice more often"]
    shown = replace(fine, comparisons={"in_context": Comparison(right, behind)})
    assert "showing the model three answers that you liked" in shown.verdict
    forgot = replace(fine, ability=Ability(0.8, 0.5, Estimate(-0.3, 40, -0.45, -0.15)))
    assert "it knows less: 50 % of simple questions, base 80 %" in forgot.verdict
    assert replace(fine, ability=Ability(0.8, 0.7, Estimate(-0.1, 40, -0.25, 0.05))).proven


def test_an_interval_from_one_conversation_is_not_proven_and_can_be_said_in_json():
    one = card(1.0, -math.inf, math.inf, n_conversations=1)
    assert not one.proven
    assert "it was tried on one conversation only, and more are needed" in one.verdict
    json.dumps(one.as_dict(), allow_nan=False)


def test_who_prefers_the_longer_answer_more_often_than_the_person_is_biased():
    tokens = torch.tensor([5, 9, 5, 5]), torch.tensor([9, 5, 9, 5])  # length wins once
    zeros = torch.zeros(4)
    arm = Scored(PairLogps(zeros, zeros, *tokens), ("a", "b", "c", "d"))
    always_longer = torch.tensor([-1.0, 1.0, -1.0, 1.0])
    assert arm.longer(always_longer) == [1.0, 1.0, 1.0, 0.5]
    assert _length_bias(arm, always_longer) == [1.0, 0.0, 1.0, 0.0]
    assert _length_bias(arm, torch.ones(4)) == [0.0] * 4  # it prefers what the person prefers

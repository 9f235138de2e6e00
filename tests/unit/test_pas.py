"""Personality steering: the closed forms against brute force, and the whole path on the tiny model."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn.functional import normalize

from personalization import registry
from personalization.errors import Cancelled, NotEnoughData
from personalization.inventory.items import items
from personalization.methods.pas import directions, left_out_errors
from personalization.models.cost import Cost
from personalization.models.interventions import load_vectors
from personalization.models.prompts import encode_chat
from personalization.records import Message
from personalization.steering.evidence import proof
from personalization.steering.personality import hold_out, learn_personality
from personalization.steering.questionnaire import AGREEMENT, INSTRUCTION, LETTERS, Questionnaire
from tests import tiny

HEADS, WIDTH = 5, 6


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def drawn(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, HEADS, WIDTH, generator=generator)


@given(st.integers(0, 999), st.integers(1, 12))
@settings(deadline=None)
def test_the_direction_is_the_difference_of_class_means(seed, half):
    """Agreeing prompts of liked items and disagreeing ones of disliked items against the rest (PAlign)."""
    activations = drawn(2 * half, seed)
    agreement = [5.0, 1.0] * half
    like, unlike = activations[0::2], activations[1::2]
    one = torch.cat([like[:, 0], unlike[:, 1]])
    zero = torch.cat([like[:, 1], unlike[:, 0]])
    found = directions(activations, agreement, heads=HEADS)
    unit = normalize(one.mean(dim=0) - zero.mean(dim=0), dim=-1)
    torch.testing.assert_close(normalize(found, dim=-1), unit, atol=1e-4, rtol=0)
    along = torch.einsum("nphw,hw->hnp", activations, unit).flatten(1).std(dim=1)
    torch.testing.assert_close(found.norm(dim=-1), along, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("ridge", [0.01, 1.0, 100.0])
def test_leaving_an_item_out_in_closed_form_is_fitting_again_without_it(ridge):
    generator = torch.Generator().manual_seed(3)
    difference = torch.randn(HEADS, 20, WIDTH, generator=generator)
    target = torch.randn(20, generator=generator)
    errors = left_out_errors(difference, target, ridge=ridge)
    for head in range(HEADS):
        inputs = difference[head].double()
        centred = inputs - inputs.mean(dim=0)
        penalty = ridge * centred.square().sum() / WIDTH
        for out in range(20):
            keep = [i for i in range(20) if i != out]
            x, y = inputs[keep], target[keep].double()
            gram = (x - x.mean(dim=0)).T @ (x - x.mean(dim=0)) + penalty * torch.eye(WIDTH).double()
            weights = torch.linalg.solve(gram, (x - x.mean(dim=0)).T @ (y - y.mean()))
            predicted = y.mean() + (inputs[out] - x.mean(dim=0)) @ weights
            assert errors[head, out].item() == pytest.approx((target[out] - predicted).item(), abs=1e-4)


def test_the_head_that_knows_is_found():
    activations = drawn(60, seed=1)
    agreement = [float(random.Random(i).choice([1, 2, 3, 4, 5])) for i in range(60)]
    activations[:, 0, 3, 2] += 3 * (torch.tensor(agreement) - 3)
    found = directions(activations, agreement, heads=1)
    assert found[3].any()
    assert not found[[0, 1, 2, 4]].any()
    assert normalize(found[3], dim=0)[2] > 0.9
    opposite = directions(activations, [6 - a for a in agreement], heads=1)
    torch.testing.assert_close(opposite, -found)


def test_a_readiness_to_agree_with_everything_does_not_pull():
    activations, agreement = drawn(30), [float(1 + i % 4) for i in range(30)]
    more = directions(activations, [a + 1 for a in agreement], heads=2)
    torch.testing.assert_close(more, directions(activations, agreement, heads=2))
    assert not directions(activations, [4.0] * 30).any()


def answers(seed: int, *, count: int = 120) -> dict[int, int]:
    rng = random.Random(seed)
    return {n: rng.randint(1, 5) for n in sorted(rng.sample(range(1, 121), count))}


def learn(folder, given, *, base=None, report=lambda _: None, seed: int = 0):
    pas = registry.get("pas")
    return learn_personality(
        base or tiny.base(), given, pas, parameters=pas.resolve({"heads": 3}), out=folder / "out",
        cache=folder / "cache", seed=seed, report=report,
    )  # fmt: skip


def test_from_answers_to_a_proven_or_unproven_vector(tmp_path):
    steps: list[int] = []
    result = learn(tmp_path, answers(1), report=lambda progress: steps.append(progress.step))
    vectors = load_vectors(tmp_path / "out")
    assert set(vectors.sites) == {(layer, "attention") for layer in result["layers"]}
    assert all(v.shape == (tiny.HIDDEN,) and v.any() for v in vectors.sites.values())
    assert steps == sorted(steps)
    assert len(result["held_out"]) == len({items()[n - 1].facet for n in result["held_out"]}) == 30
    evidence = result["proof"]
    assert set(evidence) == {"proven", "verdict", "error", "difference", "cost"}
    assert set(evidence["error"]) == {"base", "always_3", "facet_mean", "artifact"}
    assert all(
        arm["n"] == 30 and arm["low"] <= arm["value"] <= arm["high"] for arm in evidence["error"].values()
    )
    gap = evidence["error"]["artifact"]["value"] - evidence["error"]["base"]["value"]
    assert evidence["difference"]["value"] == pytest.approx(gap)
    assert not evidence["proven"]  # random answers cannot be foretold
    assert evidence["verdict"].startswith("Not proven: ")
    again = learn(tmp_path, answers(1))  # from the cache
    assert again == result
    other = load_file(tmp_path / "out" / "steering.safetensors")
    torch.testing.assert_close({f"layer.{i}.{s}": v for (i, s), v in vectors.sites.items()}, other)


def test_held_out_answers_change_nothing_that_is_learned(tmp_path):
    given = answers(2)
    first = learn(tmp_path, given)
    before = (tmp_path / "out" / "steering.safetensors").read_bytes()
    changed = {n: 6 - v if n in first["held_out"] else v for n, v in given.items()}
    second = learn(tmp_path, changed)
    assert (tmp_path / "out" / "steering.safetensors").read_bytes() == before
    assert {k: v for k, v in second.items() if k != "proof"} == {
        k: v for k, v in first.items() if k != "proof"
    }
    assert second["proof"]["error"] != first["proof"]["error"]


def test_verdicts():
    errors = {"base": [0.9, 1.1, 0.8] * 10, "always_3": [1.0] * 30, "facet_mean": [0.8] * 30,
              "artifact": [0.5, 0.6, 0.7] * 10}  # fmt: skip
    sound, broken = Cost(10.0, 10.5, 0.01), Cost(10.0, 16.0, 0.9)
    shown = proof(errors, range(30), sound, seed=0)
    assert shown["proven"]
    assert shown["verdict"] == (
        "Proven: on 30 statements that it never saw it misses your answers by 0.60 points on average; "
        "the base model by 0.93, your own answers to like statements by 0.80."
    )
    assert "1.6 times as surprising" in proof(errors, range(30), broken, seed=0)["verdict"]
    better_guess = {**errors, "facet_mean": [0.4] * 30}
    assert "like statements say more" in proof(better_guess, range(30), sound, seed=0)["verdict"]
    worse = {**errors, "artifact": [1.2] * 30}
    assert "the base model alone comes nearer" in proof(worse, range(30), sound, seed=0)["verdict"]
    chance = {**errors, "base": [0.5, 0.7, 0.6] * 10}
    assert "may be chance" in proof(chance, range(30), sound, seed=0)["verdict"]


def test_activations_belong_to_one_revision_of_the_model(tmp_path):
    first = Questionnaire(tiny.base())
    held = first.activations(tmp_path, lambda _: None)
    assert held.shape == (120, 2, tiny.LAYERS, 4, tiny.HIDDEN // 4)
    other = Questionnaire(replace(tiny.base(), revision="another"))
    other.activations(tmp_path, lambda _: None)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    files[0].write_bytes(b"torn")
    files[1].write_bytes(b"torn")
    torch.testing.assert_close(first.activations(tmp_path, lambda _: None), held)


def test_reading_the_shared_beginning_once_changes_no_number(tmp_path):
    base = tiny.base()
    questions = Questionnaire(base)
    scores, held = questions.scores([1, 7, 120]), questions.activations(tmp_path, lambda _: None)
    letters = [base.tokenizer.encode(letter)[-1] for letter in LETTERS]
    seen: list[torch.Tensor] = []
    for row, number in enumerate([1, 7, 120]):
        prompt = encode_chat(base, [Message("user", INSTRUCTION + items()[number - 1].text)])
        with torch.no_grad():
            logits = base.model(torch.tensor([prompt])).logits[0, -1]
            hook = base.attention_output(1).register_forward_pre_hook(lambda _, x: seen.append(x[0][0, -1]))
            base.model(torch.tensor([[*prompt, letters[4]]]))
            hook.remove()
        expected = sum(w * logits[i].item() for w, i in zip(AGREEMENT, letters, strict=True)) / 10
        assert scores[row].item() == pytest.approx(expected, abs=1e-4)
        torch.testing.assert_close(held[number - 1, 1, 1].flatten(), seen[-1], atol=1e-4, rtol=1e-4)


def test_an_interrupted_run_leaves_the_model_and_the_cache_clean(tmp_path):
    def stop(progress) -> None:
        if progress.step == 2:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        learn(tmp_path, answers(1), report=stop)
    assert not (tmp_path / "out").exists()
    hooks = [m for m in tiny.base().model.modules() if m._forward_hooks or m._forward_pre_hooks]
    assert not hooks
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] == [".safetensors"]


def test_too_few_answers_say_how_many_are_missing(tmp_path):
    with pytest.raises(NotEnoughData, match=r"^58 items are answered; 60 are needed\.$") as caught:
        learn(tmp_path, {**answers(1, count=58), 200: 0})
    assert caught.value.missing == 2
    with pytest.raises(NotEnoughData, match="alike"):
        learn(tmp_path, dict.fromkeys(range(1, 121), 3))
    with pytest.raises(ValueError, match="Item 4 has the answer 6"):
        learn(tmp_path, {**answers(1), 4: 6})
    assert learn(tmp_path, answers(1, count=70))["learned_from"] >= 40


@given(st.sets(st.integers(1, 120), min_size=2), st.integers(0, 99))
def test_held_out_items_are_one_of_each_facet_and_never_learned_from(numbers, seed):
    train, held = hold_out(list(numbers), seed=seed)
    assert sorted(train + held) == sorted(numbers)
    facets = [items()[n - 1].facet for n in held]
    assert len(set(facets)) == len(facets)
    assert set(facets) <= {items()[n - 1].facet for n in train}

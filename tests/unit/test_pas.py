"""Personality steering: the closed forms against brute force, and the whole path on the tiny model."""

from __future__ import annotations

import os
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
from personalization.methods.pas import ItemHeads, directions
from personalization.models.cost import Cost
from personalization.models.personal import load_vectors
from personalization.models.prompts import encode_chat
from personalization.records import Message
from personalization.steering import kept
from personalization.steering.evidence import proof
from personalization.steering.fit import PersonalityFit, item_heads
from personalization.steering.personality import hold_out, learn_personality
from personalization.steering.questionnaire import AGREEMENT, INSTRUCTION, LETTERS, Questionnaire
from tests import tiny

HEADS, WIDTH = 5, 6


def drawn(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, HEADS, WIDTH, generator=generator)


def fitted(activations: torch.Tensor, *people: list[float], **parameters) -> torch.Tensor:
    """Fit people together; return (people, heads, width), zeros where nothing is added."""
    found = directions(ItemHeads.of(activations), torch.tensor(people), **parameters)
    everywhere = torch.zeros(len(people), *activations.shape[2:])
    return everywhere.scatter(1, found.heads[..., None].expand_as(found.added), found.added)


@given(st.integers(0, 999), st.integers(1, 12))
@settings(deadline=None)
def test_the_direction_is_the_difference_of_class_means(seed, half):
    """Agreeing prompts of liked items and disagreeing ones of disliked items against the rest (PAlign)."""
    activations = drawn(2 * half, seed)
    agreement = [5.0, 1.0] * half
    like, unlike = activations[0::2], activations[1::2]
    one = torch.cat([like[:, 0], unlike[:, 1]])
    zero = torch.cat([like[:, 1], unlike[:, 0]])
    (found,) = fitted(activations, agreement, heads=HEADS)
    unit = normalize(one.mean(dim=0) - zero.mean(dim=0), dim=-1)
    torch.testing.assert_close(normalize(found, dim=-1), unit, atol=1e-4, rtol=0)
    along = torch.einsum("nphw,hw->hnp", activations, unit).flatten(1).std(dim=1)
    torch.testing.assert_close(found.norm(dim=-1), along, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("ridge", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("unknown", [0, 1, 7])
def test_leaving_an_item_out_in_closed_form_is_fitting_again_without_it(ridge, unknown):
    items = ItemHeads.of(drawn(20, seed=3))
    known = torch.arange(20) >= unknown
    target = torch.randn(20, 1, generator=torch.Generator().manual_seed(3))
    errors = items.left_out_errors(target, known, ridge=ridge)[..., 0]
    asked = known.nonzero()[:, 0].tolist()
    for head in range(HEADS):
        inputs = items.difference[head].double()
        among = inputs[asked] - inputs[asked].mean(dim=0)
        penalty = ridge * among.square().sum() / WIDTH
        for row, out in enumerate(asked):
            keep = [i for i in asked if i != out]
            x, y = inputs[keep], target[keep, 0].double()
            gram = (x - x.mean(dim=0)).T @ (x - x.mean(dim=0)) + penalty * torch.eye(WIDTH).double()
            weights = torch.linalg.solve(gram, (x - x.mean(dim=0)).T @ (y - y.mean()))
            predicted = y.mean() + (inputs[out] - x.mean(dim=0)) @ weights
            assert errors[head, row].item() == pytest.approx((target[out, 0] - predicted).item(), abs=1e-4)


def one_by_one(activations: torch.Tensor, agreement: list[float], *, heads: int, ridge: float):
    """Fit as `pas` did before people were fitted together: a regression anew for each person and head."""
    target = (torch.tensor(agreement, dtype=torch.float64) - 3) / 2
    target = target - target.mean()
    difference = (activations[:, 0] - activations[:, 1]).transpose(0, 1).double()
    centred = difference - difference.mean(dim=1, keepdim=True)
    gram = centred.mT @ centred
    penalty = ridge * gram.diagonal(dim1=1, dim2=2).mean(dim=1)
    inverse_times = torch.linalg.solve(gram + penalty[:, None, None] * torch.eye(WIDTH), centred.mT)
    hat = centred @ inverse_times + 1 / len(agreement)
    error = ((target - hat @ target) / (1 - hat.diagonal(dim1=1, dim2=2))).square().sum(dim=1)
    found = torch.zeros(activations.shape[2:])
    for head in error.argsort()[:heads].tolist():
        unit = normalize((target[:, None] * difference[head]).mean(dim=0), dim=0).float()
        found[head] = unit * (activations[:, :, head] @ unit).std()
    return found, error


@given(
    st.integers(0, 999), st.integers(8, 16), st.integers(1, 4), st.integers(1, HEADS), st.floats(0.1, 100.0)
)
@settings(deadline=None)
def test_people_fitted_together_get_what_each_gets_alone(seed, items, people, heads, ridge):
    """Whoever answered which items; and that is what a regression of their own gives."""
    activations, rng = drawn(items, seed), random.Random(seed)
    asked = [sorted(rng.sample(range(items), rng.randint(6, items))) for _ in range(people)]
    asked += asked[:1]  # two people with the same items
    agreement = torch.full((len(asked), items), float("nan"))
    for row, numbers in enumerate(asked):
        agreement[row, numbers] = torch.tensor([float(rng.randint(1, 5)) for _ in numbers])
    together = fitted(activations, *agreement.tolist(), heads=heads, ridge=ridge)
    for row, numbers in enumerate(asked):
        (alone,) = fitted(activations, agreement[row].tolist(), heads=heads, ridge=ridge)
        torch.testing.assert_close(together[row], alone)
        given = agreement[row, numbers].tolist()
        if len(set(given)) == 1:
            assert not alone.any()
            continue
        expected, error = one_by_one(activations[numbers], given, heads=heads, ridge=ridge)
        ranked = error.sort().values
        if heads == HEADS or ranked[heads] - ranked[heads - 1] > 1e-4 * ranked[heads]:  # no tie
            torch.testing.assert_close(alone, expected, atol=2e-4, rtol=2e-4)


def test_the_head_that_knows_is_found():
    activations = drawn(60, seed=1)
    agreement = [float(random.Random(i).choice([1, 2, 3, 4, 5])) for i in range(60)]
    activations[:, 0, 3, 2] += 3 * (torch.tensor(agreement) - 3)
    found, opposite = fitted(activations, agreement, [6 - a for a in agreement], heads=1)
    assert found[3].any()
    assert not found[[0, 1, 2, 4]].any()
    assert normalize(found[3], dim=0)[2] > 0.9
    torch.testing.assert_close(opposite, -found)


def test_a_readiness_to_agree_with_everything_does_not_pull():
    activations, agreement = drawn(30), [float(1 + i % 4) for i in range(30)]
    less, more, alike, silent = fitted(
        activations, agreement, [a + 1 for a in agreement], [4.0] * 30, [float("nan")] * 30, heads=2
    )
    torch.testing.assert_close(more, less)
    assert less.any()
    assert not alike.any()
    assert not silent.any()


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
    assert set(evidence) == {"proven", "verdict", "error", "difference", "cost", "facets"}
    assert len(evidence["facets"]) == 30  # one item of each was held out
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
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["torn", "changed", "swapped"])
def test_damaged_activations_are_read_again(tmp_path, damage):
    first, other = Questionnaire(tiny.base()), Questionnaire(replace(tiny.base(), revision="another"))
    held = first.activations(tmp_path, lambda _: None)
    (file,) = tmp_path.iterdir()
    other.activations(tmp_path, lambda _: None)
    (strange,) = set(tmp_path.iterdir()) - {file}
    whole = file.read_bytes()
    changed = whole[:-1] + bytes([whole[-1] ^ 1])  # one bit of the last number
    file.write_bytes({"torn": whole[:1000], "changed": changed, "swapped": strange.read_bytes()}[damage])
    torch.testing.assert_close(first.activations(tmp_path, lambda _: None), held, atol=0, rtol=0)
    assert torch.equal(kept.read(tmp_path, file.stem), held)


def test_what_was_used_longest_ago_makes_room(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "MOST_BYTES", 10_000)
    tensor = torch.ones(1000)  # 4 kB and a header
    for age, name in enumerate(("first", "second"), start=1):
        kept.write(tmp_path, name, tensor)
        os.utime(tmp_path / f"{name}.safetensors", (age, age))
    assert kept.read(tmp_path, "first") is not None  # used just now
    kept.write(tmp_path, "third", tensor)
    assert {file.stem for file in tmp_path.iterdir()} == {"first", "third"}
    kept.write(tmp_path, "large", torch.ones(5000))
    assert [file.stem for file in tmp_path.iterdir()] == ["large"]


def test_a_thousand_people_in_one_call_get_their_own_vectors(tmp_path):
    base, pas = tiny.base(), registry.get("pas")
    fit = PersonalityFit(base, item_heads(base, tmp_path), pas, pas.resolve({"heads": 3}))
    people = [answers(seed, count=120 if seed % 2 else 90) for seed in range(8)]
    people += [dict(zip(people[1], people[seed % 8 | 1].values(), strict=True)) for seed in range(992)]
    together = fit.vectors(people)
    assert len(together) == 1000
    for who in (0, 1, 2, 7, 500, 999):
        (alone,) = fit.vectors([people[who]])
        assert together[who].sites.keys() == alone.sites.keys()
        for site, vector in alone.sites.items():
            torch.testing.assert_close(together[who].sites[site], vector)
    held = Questionnaire(base).activations(tmp_path, lambda _: None)
    numbers, given = zip(*people[0].items(), strict=True)
    added = fitted(held.flatten(2, 3)[[n - 1 for n in numbers]], list(map(float, given)), heads=3)[0]
    for layer, heads in enumerate(added.unflatten(0, (tiny.LAYERS, -1))):
        expected = base.attention_output(layer).weight @ heads.flatten()
        got = together[0].sites.get((layer, "attention"), torch.zeros(tiny.HIDDEN))
        torch.testing.assert_close(got, expected.detach(), atol=1e-5, rtol=1e-4)


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

    with pytest.raises(Cancelled):  # a revision that no other test has read
        learn(tmp_path, answers(1), base=replace(tiny.base(), revision="interrupted"), report=stop)
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

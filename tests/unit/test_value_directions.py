"""Value directions: learned from a pool, judged, and stated values composed into one artifact."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from personalization import registry
from personalization.directions import compose, learn, within
from personalization.directions.pool import Pool
from personalization.directions.trial import Texts, compare, spreads_of
from personalization.errors import NotEnoughData
from personalization.models.personal import load_adapter
from personalization.values.effects import FORMAT, folder_name
from personalization.values.measures import measure_of
from tests.gates import gate_of

WARM, DRY = "Dear friend, I hope you enjoy this lovely day!", "The process is finished within eight hours."
LONG_DRY = f"{DRY} It is repeated in the evening by a second operator, who writes the result down."


def _pool(prompts: int = 12) -> Pool:
    """Half of the answers are warm: their states lean to axis 0, long ones' to axis 1, relevance to 2."""
    generator = torch.Generator().manual_seed(0)
    answers = [(WARM, DRY, LONG_DRY, f"{WARM} {LONG_DRY}") for _ in range(prompts)]
    lean = torch.zeros(prompts * 4, 2, 8)
    for i, text in enumerate(text for texts in answers for text in texts):
        lean[i, :, 0] = float("Dear" in text)
        lean[i, :, 1] = float("operator" in text)
    noise = 0.05 * torch.randn(lean.shape, generator=generator)
    near = torch.rand(prompts * 4, generator=generator)
    lean[:, :, 2] = 4.0 * near[:, None]
    return Pool([f"question {i}" for i in range(prompts)], answers, 3.0 * lean + noise, near.tolist())


def test_the_direction_of_a_tone_is_not_that_of_length():
    found = learn.directions(_pool(), measure_of("style.warm"))[0]
    cosines = torch.nn.functional.normalize(found, dim=-1)
    assert cosines[0] > 0.7
    assert abs(float(cosines[1])) < 0.5 * float(cosines[0])
    assert cosines[2] > 0.3  # it keeps to the subject


def test_brief_and_long_are_exact_opposites_in_their_scores():
    brief = learn.scores_of(_pool(), measure_of("style.brief"))
    assert brief == pytest.approx([-s for s in learn.scores_of(_pool(), measure_of("style.long"))])


def test_a_pool_without_differences_is_refused():
    pool = _pool()
    same = Pool(pool.prompts, [(DRY,) * 4] * len(pool.prompts), pool.states, pool.relevance)
    with pytest.raises(NotEnoughData, match=r"differ in style\.warm for 0 of 12 prompts"):
        learn.scores_of(same, measure_of("style.warm"))


def test_pairs_are_best_against_worst_by_the_measure():
    found = learn.pairs(_pool(), measure_of("style.warm"))
    assert len(found) == 12
    assert all("Dear" in pair.chosen and "Dear" not in pair.rejected for pair in found)


def test_an_answer_of_two_words_does_not_win_brief():
    prompts = ["What is rain?", "What is snow?"]
    before = Texts.of(prompts, [f"Rain: {LONG_DRY}", f"Snow: {LONG_DRY}"])
    short = Texts.of(prompts, ["Rain.", "Snow is frozen water."])
    spreads = spreads_of([LONG_DRY, DRY, WARM])
    trial = compare(measure_of("style.brief"), short, before, spreads)
    assert trial.win_rate.value == 0.5
    assert trial.effects["style.brief"] == -trial.effects["style.long"]
    same = compare(measure_of("style.brief"), before, before, spreads)
    assert same.win_rate.value == 0.5
    assert same.relevance.value == 0


def test_a_sum_that_is_too_long_is_scaled_down_and_others_are_kept():
    function = registry.get("values").function
    one, other = {"layer.0.output": torch.tensor([3.0, 0.0])}, {"layer.0.output": torch.tensor([0.0, 4.0])}
    total, factor = function([one, other], [1.0, 1.0], {"layer.0.output": 10.0}, max_load=0.25)
    assert factor == pytest.approx(0.5)
    assert total["layer.0.output"].tolist() == pytest.approx([1.5, 2.0])
    total, factor = function([one, other], [0.5, 0.0], {"layer.0.output": 10.0}, max_load=0.25)
    assert factor == 1.0
    assert total["layer.0.output"].tolist() == pytest.approx([1.5, 0.0])


@given(
    st.lists(st.tuples(st.floats(0.01, 0.5), st.floats(0.1, 1.5)), min_size=1, max_size=5),
    st.floats(0.05, 0.6),
)
def test_a_sum_bears_less_than_one_alone_and_never_less_than_its_longest_part(parts, most):
    draws = torch.Generator().manual_seed(1)
    units = [torch.nn.functional.normalize(torch.randn(8, generator=draws), dim=0) for _ in parts]
    directions = [{"layer.0.output": 10 * size * unit} for (size, _), unit in zip(parts, units, strict=True)]
    weights = [weight for _, weight in parts]
    total, factor = registry.get("values").function(
        directions, weights, {"layer.0.output": 10.0}, max_load=most
    )
    load, longest = float(total["layer.0.output"].norm()) / 10, max(size * weight for size, weight in parts)
    assert load <= min(most, max(0.8 * most, longest)) + 1e-5
    assert 0 < factor <= 1
    if len(parts) == 1 and longest < most:
        assert factor > 1 - 1e-5


def _build(folder, **tensors):
    """Write a small build: manifests and vectors, or adapters."""
    (folder / "norms.json").write_text("[10.0, 10.0]")
    for key, tensor in tensors.items():
        key = key.replace("__", ".").replace("_", "-")
        place = folder / folder_name(key)
        place.mkdir()
        kind = "vector" if isinstance(tensor, torch.Tensor) else "adapter"
        (place / "manifest.json").write_text(
            json.dumps({"format": FORMAT, "value": key, "kind": kind, "trials": []})
        )
        if kind == "vector":
            save_file({"layer.1.output": tensor}, place / "steering.safetensors")
        else:
            a, b = tensor
            name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
            save_file({name.format("A"): a, name.format("B"): b}, place / "adapter_model.safetensors")
            (place / "adapter_config.json").write_text(
                json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4})
            )


def test_opposed_values_cancel_and_the_difference_acts(tmp_path):
    _build(tmp_path, style__brief=torch.tensor([1.0, 0.0]), style__long=torch.tensor([-1.0, 0.0]))
    acts = compose.compose(tmp_path, {"style.brief": 1.0, "style.long": 0.4}, tmp_path / "out")
    assert acts["weights"] == {"style.brief": pytest.approx(0.6)}
    assert load_file(tmp_path / "out" / "steering.safetensors")["layer.1.output"][0] == pytest.approx(0.6)
    with pytest.raises(NotEnoughData):
        compose.compose(tmp_path, {"style.brief": 1.0, "style.long": 1.0}, tmp_path / "none")


def test_values_without_a_direction_are_named_and_left_out(tmp_path):
    _build(tmp_path, style__warm=torch.tensor([1.0, 0.0]))
    acts = compose.compose(tmp_path, {"style.warm": 1.0, "style.humour": 1.0}, tmp_path / "out")
    assert acts["without_direction"] == ["style.humour"]


def test_adapters_are_merged_exactly(tmp_path):
    generator = torch.Generator().manual_seed(0)
    halves = [
        (torch.randn(2, 6, generator=generator), torch.randn(5, 2, generator=generator)) for _ in range(2)
    ]
    _build(tmp_path, style__lists=halves[0], style__warm=halves[1])
    compose.compose(tmp_path, {"style.lists": 1.0, "style.warm": 0.5}, tmp_path / "out")
    merged = load_adapter(tmp_path / "out").modules
    down, up = next(iter(merged.values()))
    wanted = sum(w * 2.0 * b @ a for w, (a, b) in zip((1.0, 0.5), halves, strict=True))
    assert torch.allclose((down @ up).T, wanted, atol=1e-5)


def test_values_are_weakened_together_until_the_safety_gate_passes(tmp_path):
    _build(tmp_path, style__warm=torch.tensor([1.0, 0.0]))
    made = tmp_path / "out"

    def ask(folder):  # refusals fall by a quarter at strength 1, in proportion
        return gate_of(-0.25 * load_file(folder / "steering.safetensors")["layer.1.output"].norm().item())

    acts, gate = within.compose_within(tmp_path, {"style.warm": 1.0}, made, ask)
    assert not gate.objection
    assert acts["share"] == pytest.approx(0.36)
    assert load_file(made / "steering.safetensors")["layer.1.output"][0] == pytest.approx(0.36)
    acts, _ = within.compose_within(tmp_path, {"style.warm": 0.3}, made, ask)
    assert acts["share"] == 1


def test_what_no_weaker_strength_makes_safe_is_left_to_the_gate(tmp_path):
    _build(tmp_path, style__warm=torch.tensor([1.0, 0.0]))
    asked = []
    acts, gate = within.compose_within(
        tmp_path, {"style.warm": 1.0}, tmp_path / "out", lambda folder: asked.append(folder) or gate_of(-0.2)
    )
    assert gate.objection
    assert len(asked) == 3
    assert acts["share"] == pytest.approx(0.2025, abs=1e-3)

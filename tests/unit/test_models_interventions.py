"""What acts on a row acts on that row only, as PEFT would alone, and not at all afterwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from personalization.errors import ArtifactError, ModelError
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import (
    LoraWeights,
    SteeringVectors,
    load_adapter,
    load_vectors,
    save_vectors,
    scale,
)
from tests import tiny

IDS = torch.arange(10, 22).repeat(6, 1) + torch.arange(6)[:, None]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("adapters")
    return [tiny.save_adapter(root / str(k), seed=k, rank=2 + 2 * (k % 2)) for k in range(6)]


@pytest.fixture(scope="module")
def adapters(folders: list[Path]) -> list[LoraWeights]:
    found = [load_adapter(folder, is_short=True) for folder in folders]
    assert [each.is_short for each in found] == [False, True] * 3
    return found


def test_what_a_file_holds_in_bfloat16_stays_so_only_where_no_digit_changes(folders, tmp_path) -> None:
    assert not load_adapter(folders[1]).is_short  # who does not ask for it
    config = json.loads((folders[1] / "adapter_config.json").read_text())
    tensors = load_file(folders[1] / "adapter_model.safetensors")
    one = next(iter(tensors))
    for alpha, held, is_short in (
        (config["r"] / 2, tensors, True),
        (3 * config["r"], tensors, False),
        (config["r"], tensors | {one: tensors[one].float()}, False),
    ):
        (tmp_path / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": alpha}))
        save_file(held, tmp_path / "adapter_model.safetensors")
        kept, wide = load_adapter(tmp_path, is_short=True), load_adapter(tmp_path)
        assert kept.is_short == is_short
        for name, pair in kept.modules.items():
            torch.testing.assert_close([each.float() for each in pair], [*wide.modules[name]], rtol=0, atol=0)


@torch.no_grad()
def logits() -> torch.Tensor:
    return tiny.base().model(IDS).logits


@torch.no_grad()
def peft_logits(folder: Path) -> torch.Tensor:
    fresh = LlamaForCausalLM(tiny.base().model.config)
    fresh.load_state_dict(tiny.base().model.state_dict())
    return PeftModel.from_pretrained(fresh, folder).eval()(IDS).logits


def test_an_adapter_gives_the_logits_that_peft_gives(folders, adapters) -> None:
    for folder, adapter in zip(folders[:2], adapters[:2], strict=True):
        with Interventions(tiny.base()).everywhere(Row(adapters=((adapter, 1.0),))):
            ours = logits()
        torch.testing.assert_close(ours, peft_logits(folder), rtol=1e-4, atol=1e-4)
        assert (ours - logits()).abs().max() > 0.1


def test_a_scaled_artifact_does_whole_what_the_whole_one_does_at_that_strength(folders, tmp_path) -> None:
    folder = shutil.copytree(folders[0], tmp_path / "adapter")
    whole = load_adapter(folder)
    scale(folder, 0.4)
    with Interventions(tiny.base()).everywhere(Row(adapters=((whole, 0.4),))):
        expected = logits()
    with Interventions(tiny.base()).everywhere(Row(adapters=((load_adapter(folder), 1.0),))):
        torch.testing.assert_close(logits(), expected, rtol=1e-4, atol=1e-4)
    save_vectors(SteeringVectors({(1, "output"): torch.ones(4)}), tmp_path / "vector")
    scale(tmp_path / "vector", 0.4)
    assert load_vectors(tmp_path / "vector").sites[1, "output"].tolist() == pytest.approx([0.4] * 4)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_rows_that_differ_get_what_each_gets_alone(adapters, data) -> None:
    interventions = Interventions(tiny.base())
    strength = st.sampled_from([0.0, 0.5, 1.0, 1.5])
    adapter = st.tuples(st.sampled_from(adapters), strength)
    vector = st.tuples(st.integers(0, 2).map(lambda k: VECTORS[k]), strength)
    row = st.builds(
        Row,
        adapters=st.lists(adapter, max_size=2).map(tuple),
        vectors=st.lists(vector, max_size=2).map(tuple),
    )
    # Batch after batch through the same object: what an earlier batch left must not show.
    for rows in data.draw(st.lists(st.lists(row, min_size=6, max_size=6), min_size=1, max_size=3)):
        with interventions.rows(rows, prompts=data.draw(st.booleans())):
            together = logits()
        for i, one in enumerate(rows):
            with interventions.everywhere(one):
                alone = logits()
            torch.testing.assert_close(together[i], alone[i], rtol=1e-3, atol=1e-3)


VECTORS = [tiny.vectors(seed=k) for k in range(3)]


def hook_count() -> int:
    return sum(len(module._forward_hooks) for module in tiny.base().model.modules())


def test_nothing_acts_after_an_exception(adapters) -> None:
    interventions, before = Interventions(tiny.base()), logits()
    row = Row(adapters=((adapters[0], 1.0),), vectors=((VECTORS[0], 1.0),))
    with interventions.everywhere(row):
        assert hook_count() > 0
    with pytest.raises(ZeroDivisionError), interventions.everywhere(row):
        _ = 1 / 0
    assert hook_count() == 0
    assert torch.equal(logits(), before)


def test_a_base_batch_runs_without_any_hook() -> None:
    with Interventions(tiny.base()).rows([Row()] * 6):
        assert hook_count() == 0


def test_a_vector_of_strength_one_is_added_as_it_is() -> None:
    base, seen = tiny.base(), []
    handle = base.layers[2].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    vectors = SteeringVectors({(1, "output"): torch.arange(tiny.HIDDEN).float()})
    try:
        logits()
        with Interventions(base).everywhere(Row(vectors=((vectors, 1.0),))):
            logits()
    finally:
        handle.remove()
    torch.testing.assert_close(seen[1] - seen[0], torch.arange(48.0).expand_as(seen[0]), rtol=0, atol=1e-4)


def test_what_does_not_fit_is_refused_in_words(adapters, tmp_path: Path) -> None:
    interventions = Interventions(tiny.base())
    wrong = [
        (Row(vectors=((SteeringVectors({(9, "output"): torch.zeros(48)}), 1.0),)), "does not fit tiny"),
        (Row(adapters=((LoraWeights({"lm": (torch.zeros(3, 1), torch.zeros(1, 3))}), 1.0),)), "targets 'lm'"),
    ]
    for row, words in wrong:
        with pytest.raises(ModelError, match=words):
            interventions.check(row)
        with pytest.raises(ModelError, match=words), interventions.everywhere(row):
            pass
    five = [Row(adapters=((adapters[0], 1.0),))] * 5
    with pytest.raises(ModelError, match="has 6 rows, the interventions 5"), interventions.rows(five):
        logits()
    for read in (load_adapter, load_vectors):
        with pytest.raises(ArtifactError, match="cannot be read") as refused:
            read(tmp_path)
        assert str(tmp_path.parent) not in str(refused.value)  # a page shows it

"""Training: only the adapter learns, the base model stays, and a killed run goes on bit for bit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

from personalization import registry
from personalization.errors import Cancelled, NotEnoughData
from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import load_adapter
from personalization.progress import Progress
from personalization.records import Message, Pair, Records
from personalization.training.lora import Adapter, acting
from personalization.training.settings import TrainingSettings
from personalization.training.train import train_adapter
from tests import tiny

FAST = TrainingSettings(rank=2, alpha=4, learning_rate=3e-3, epochs=2, pairs_per_batch=2, checkpoint_steps=2)
SAFETENSORS = "adapter_model.safetensors"


def pairs(count: int) -> list[Pair]:
    return [
        Pair(
            f"chat-{i}", (f"row-{i}",), (Message("user", f"Question {i}?"),), f"YES {i}!" * (i + 1), f"no {i}"
        )
        for i in range(count)
    ]


def train(folder: Path, *, count: int = 6, **changed):
    method = registry.get("dpo")
    given = {"system_message": "Be brief.", "settings": FAST, "seed": 5, "parameters": method.resolve({})}
    return train_adapter(
        tiny.base(), Records(pairs=tuple(pairs(count))), method, out=folder / "out",
        checkpoints=folder / "checkpoints", **{**given, **changed},
    )  # fmt: skip


def fingerprint(model: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    kinds = [f"{name}:{type(module).__name__}" for name, module in model.named_modules()]
    hooks = sum(len(m._forward_hooks) for m in model.modules())
    grads = sum(p.requires_grad or p.grad is not None for p in model.parameters())
    training = sum(m.training for m in model.modules())
    return digest.hexdigest() + hashlib.sha256(repr((kinds, hooks, grads, training)).encode()).hexdigest()


def sha256(folder: Path) -> str:
    return hashlib.sha256((folder / "out" / SAFETENSORS).read_bytes()).hexdigest()


class Stop:
    """A listener that raises once after so many finished steps."""

    def __init__(self, step: int, error: type[Exception]) -> None:
        self.step, self.error = step, error

    def __call__(self, progress: Progress) -> None:
        if progress.step == self.step:
            raise self.error("stop")


def test_gradients_reach_the_adapter_and_nothing_else():
    base = tiny.base()
    adapter = Adapter(base, FAST, seed=0)
    # Both matrices of all seven linear layers, in the upper half of the three layers.
    assert len(adapter.parameters) == 2 * 7 * 2
    with acting([adapter]):
        base.model(input_ids=torch.tensor([[3, 4, 5, 6]])).logits.square().sum().backward()
    reached = {name for name, p in adapter.parameters.items() if p.grad is not None and p.grad.any()}
    assert reached == {name for name in adapter.parameters if name.endswith("lora_B")}  # B is zero at first
    assert all(p.grad is None and not p.requires_grad for p in base.model.parameters())


def copy_of(base: BaseModel) -> LlamaForCausalLM:
    fresh = LlamaForCausalLM(base.model.config).eval()
    fresh.load_state_dict(base.model.state_dict())
    return fresh


def test_an_adapter_begins_as_pefts_and_acts_as_it_does(tmp_path):
    base = tiny.base()
    config = LoraConfig(
        r=FAST.rank,
        lora_alpha=FAST.alpha,
        target_modules=sorted({n.rsplit(".", 1)[-1] for n in Adapter(base, FAST, seed=0).targets}),
        layers_to_transform=[1, 2],
    )
    for seed in (3, 4):
        own = Adapter(base, FAST, seed=seed)
        fresh = copy_of(base)
        torch.manual_seed(seed)
        wrapped = get_peft_model(fresh, config)
        theirs = {n: p for n, p in wrapped.named_parameters() if p.requires_grad}
        assert len(theirs) == len(own.parameters)
        for (name, mine), (their_name, their) in zip(own.parameters.items(), theirs.items(), strict=True):
            assert their_name == f"base_model.model.{name}.default.weight"
            assert torch.equal(mine, their)
            torch.nn.init.normal_(mine, std=0.1, generator=torch.Generator().manual_seed(len(name)))
            mine.data = mine.data.bfloat16().float()  # what a file holds
        own.save(tmp_path / str(seed))
        ids = torch.tensor([[3, 4, 5, 6, 7]])
        loaded = PeftModel.from_pretrained(copy_of(base), tmp_path / str(seed))
        with torch.no_grad(), acting([own]):
            assert torch.allclose(base.model(input_ids=ids).logits, loaded(input_ids=ids).logits, atol=1e-5)


def test_the_base_model_is_unchanged_after_training_and_after_a_failure(tmp_path):
    before = fingerprint(tiny.base().model)
    result = train(tmp_path / "whole")
    assert fingerprint(tiny.base().model) == before
    assert result.metrics["accuracy"] > 0.5
    assert load_file(tmp_path / "whole" / "out" / SAFETENSORS)
    with pytest.raises(ZeroDivisionError):
        train(tmp_path / "broken", report=Stop(3, ZeroDivisionError))
    assert fingerprint(tiny.base().model) == before
    train(tmp_path / "after")
    assert sha256(tmp_path / "after") == sha256(tmp_path / "whole")


@pytest.mark.parametrize("killed_after", [1, 2, 3, 5])
def test_a_resumed_run_is_bit_identical_to_an_unbroken_one(tmp_path, killed_after):
    whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", report=Stop(killed_after, KeyboardInterrupt))
    begun: list[int] = []
    torch.manual_seed(killed_after)  # nothing may depend on the process's generator
    resumed = train(tmp_path / "killed", report=lambda progress: begun.append(progress.step))
    assert begun[0] == killed_after  # who is told to stop keeps the last step, also between two checkpoints
    assert sha256(tmp_path / "killed") == sha256(tmp_path / "whole")
    assert resumed == whole


def test_another_seed_gives_another_adapter(tmp_path):
    train(tmp_path / "one")
    train(tmp_path / "two", seed=6)
    assert sha256(tmp_path / "one") != sha256(tmp_path / "two")


def test_a_checkpoint_of_another_run_is_not_continued(tmp_path):
    for name, changed in {
        "seed": {"seed": 6},
        "pairs": {"count": 5},
        "beta": {"parameters": {"beta": 0.5}},
        "message": {"system_message": ""},
        "rate": {"settings": replace(FAST, learning_rate=1e-3)},
    }.items():
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / name, report=Stop(3, KeyboardInterrupt))
        train(tmp_path / name, **changed)
        train(tmp_path / f"{name}-fresh", **changed)
        assert sha256(tmp_path / name) == sha256(tmp_path / f"{name}-fresh"), name


def test_a_torn_checkpoint_begins_again(tmp_path):
    train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "torn", report=Stop(3, KeyboardInterrupt))
    (file,) = (tmp_path / "torn" / "checkpoints").iterdir()
    file.write_bytes(file.read_bytes()[:500])
    train(tmp_path / "torn")
    assert sha256(tmp_path / "torn") == sha256(tmp_path / "whole")


@pytest.mark.parametrize("step", [0, 3, 6])
def test_a_cancelled_run_writes_no_adapter(tmp_path, step):
    with pytest.raises(Cancelled):
        train(tmp_path, report=Stop(step, Cancelled))
    assert not (tmp_path / "out").exists()


def test_nothing_to_learn_from_is_said(tmp_path):
    with pytest.raises(NotEnoughData):
        train(tmp_path, count=0)
    assert not tmp_path.joinpath("out").exists()


def test_held_out_pairs_are_shown_and_change_nothing(tmp_path):
    seen: list[Progress] = []
    train(tmp_path / "watched", held_out=pairs(8)[6:], report=seen.append)
    train(tmp_path / "alone")
    assert sha256(tmp_path / "watched") == sha256(tmp_path / "alone")
    shown = [p.step for p in seen if "held_out_accuracy" in p.values]
    assert shown == [4, 8]  # after each epoch: six pairs and two about the question, two at a time
    assert seen[-1].step == seen[-1].steps == 8


def test_what_is_served_is_what_peft_computes(tmp_path):
    train(tmp_path)
    base = tiny.base()
    fresh = LlamaForCausalLM(base.model.config)
    fresh.load_state_dict(base.model.state_dict())
    ids = torch.randint(3, 200, (2, 17), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = PeftModel.from_pretrained(fresh, tmp_path / "out").eval()(input_ids=ids).logits
        plain = base.model(input_ids=ids).logits
        interventions = Interventions(base)
        with interventions.everywhere(Row(adapters=((load_adapter(tmp_path / "out"), 1.0),))):
            served = base.model(input_ids=ids).logits
        interventions.remove()
        after = base.model(input_ids=ids).logits
    assert (expected - plain).abs().max() > 0.05
    torch.testing.assert_close(served, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after, plain, atol=0, rtol=0)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"adapter_config.json", SAFETENSORS}
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == base.name

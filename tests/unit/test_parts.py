"""Parts of an adapter's rank: iterations extrapolate exactly, controls act on their own answers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from personalization import registry
from personalization.records import Message, Pair, Records
from personalization.training.lora import Adapter
from personalization.training.parts import Controls, Iterations
from personalization.training.settings import TrainingSettings
from personalization.training.train import train_adapter
from tests import tiny

RANK = 8


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def adapter() -> Adapter:
    return Adapter(tiny.base(), TrainingSettings(rank=RANK, alpha=16), seed=0)


def change(of: Adapter) -> torch.Tensor:
    """Return the change of the first target's weight, in double precision."""
    name = next(iter(of.targets))
    down, up = (of.parameters[f"{name}.lora_{which}"].detach().double() for which in "AB")
    return up @ down


def learn(parts, some: Adapter, epoch: int) -> None:
    """Move what may learn in an epoch, as a step of its own would."""
    generator = torch.Generator().manual_seed(epoch)
    for parameter in some.parameters.values():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    parts.keep_still(epoch)
    with torch.no_grad():
        for parameter in some.parameters.values():
            parameter -= 0.3 * parameter.grad


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 4), st.floats(0.0, 0.9))
def test_every_epoch_ends_with_nesterovs_step_and_the_next_begins_there(epochs, momentum):
    some = adapter()
    parts = Iterations(some, rank=RANK, epochs=epochs, parameters={"momentum": momentum})
    before = torch.zeros_like(change(some))  # what the epoch before ended with, before its step
    assert parts.reference(0) == ()
    for epoch in range(epochs):
        learn(parts, some, epoch)
        ended = change(some)
        assert parts.end_epoch(epoch)
        torch.testing.assert_close(change(some), ended + momentum * (ended - before), atol=1e-5, rtol=1e-5)
        before, began = ended, change(some)
        if epoch + 1 < epochs:
            learn(parts, some, epoch + 1)
            (reference,) = parts.reference(epoch + 1)
            torch.testing.assert_close(change(reference), began)
            for parameter in some.parameters.values():
                parameter.grad = None
            parts._scale(parts._learning(epoch + 1), 0.0)


def test_controls_learn_first_and_only_the_liked_one_is_served():
    some = adapter()
    parts = Controls(some, rank=RANK, epochs=2, parameters={})
    start = {name: p.detach().clone() for name, p in some.parameters.items()}
    learn(parts, some, 0)
    moved = {
        i
        for name, p in some.parameters.items()
        for i in range(RANK)
        if not torch.equal(*(x.select(0 if name.endswith("A") else 1, i) for x in (p, start[name])))
    }
    assert moved == {0, 1, 2, 3}
    learn(parts, some, 1)
    liked, disliked = parts.on([1.0, -1.0])
    torch.testing.assert_close(change(liked), change(parts.served))
    both = change(liked) + change(disliked) - change(some.part(range(4, RANK)))
    torch.testing.assert_close(both, change(some), atol=1e-6, rtol=1e-5)
    assert not torch.allclose(change(liked), change(disliked))
    served = change(parts.served)
    parts.end()
    torch.testing.assert_close(change(some), served)


def trained(folder, name: str, *, epochs: int, **parameters: float) -> dict[str, torch.Tensor]:
    pairs = tuple(
        Pair(f"chat-{i}", (), (Message("user", f"Say {i}"),), f"YES, {i}!", f"no {i}") for i in range(4)
    )
    train_adapter(
        tiny.base(), Records(pairs=pairs), registry.get(name), parameters=parameters, system_message="",
        out=folder / "out", checkpoints=folder / "checkpoints",
        settings=TrainingSettings(rank=4, alpha=8, epochs=epochs, pairs_per_batch=2, replay=0.0),
    )  # fmt: skip
    return load_file(folder / "out" / "adapter_model.safetensors")


def test_one_iteration_is_dpo_and_its_step_makes_it_larger(tmp_path):
    plain = trained(tmp_path / "dpo", "dpo", epochs=1)
    same = trained(tmp_path / "still", "accelerated", epochs=1, momentum=0.0)
    larger = trained(tmp_path / "moved", "accelerated", epochs=1, momentum=0.5)
    for name, value in plain.items():
        assert torch.equal(same[name], value)
        torch.testing.assert_close(larger[name], value * (1.5 if "lora_B" in name else 1.0))


def test_iterations_without_momentum_end_where_they_came_to(tmp_path):
    plain, same = (trained(tmp_path / name, name, epochs=1) for name in ("sppo", "sppo_iterated"))
    assert all(torch.equal(same[name], value) for name, value in plain.items())
    twice = trained(tmp_path / "twice", "sppo_iterated", epochs=2)
    name = next(name for name in twice if "lora_B" in name)
    assert twice[name][:, :2].any()
    assert twice[name][:, 2:].any()


def test_what_an_iteration_learned_keeps_its_direction_in_the_next(tmp_path):
    one = trained(tmp_path / "one", "accelerated", epochs=2, momentum=0.5)
    name = next(name for name in one if "lora_B" in name)
    assert one[name][:, :2].any()
    assert one[name][:, 2:].any()
    meet = trained(tmp_path / "meet", "meet", epochs=2)
    assert not meet[name][:, 1].any()  # the disliked control is not served
    assert meet[name][:, [0, 2, 3]].any(dim=0).all()

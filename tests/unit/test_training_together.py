"""Many people's adapters in one batch: each gets what they would get alone, and fails alone."""

from __future__ import annotations

import json
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from personalization import registry
from personalization.errors import Cancelled, NotEnoughData
from personalization.progress import Progress
from personalization.records import Message, Pair, Records
from personalization.training import train as training
from personalization.training.settings import TrainingSettings
from personalization.training.train import Lesson, TrainingResult, train_together
from tests import tiny
from tests.weights import gap

SETTINGS = TrainingSettings(
    rank=2, alpha=4, learning_rate=3e-3, epochs=2, pairs_per_batch=2, checkpoint_steps=2
)
SAFETENSORS = "adapter_model.safetensors"


def pairs(count: int, word: str) -> list[Pair]:
    return [
        Pair(
            f"chat-{i}",
            (f"row-{i}",),
            (Message("user", f"{word} {i}?"),),
            f"{word.upper()} {i}!" * (i + 1),
            f"no {word}",
        )
        for i in range(count)
    ]


def lesson(folder: Path, name: str, count: int, **given) -> Lesson:
    given = {"method": registry.get("dpo"), "settings": SETTINGS, **given}
    return Lesson(
        Records(pairs=tuple(pairs(count, name))),
        out=folder / name / "out",
        checkpoints=folder / name / "checkpoints",
        **given,
    )


def lessons(folder: Path) -> list[Lesson]:
    """Return people who differ in everything that may differ."""
    return [
        lesson(folder, "cats", 6, seed=1, parameters={"beta": 0.3}),
        lesson(folder, "a much longer word for it", 3, seed=2, system_message="Be brief."),
        lesson(folder, "dogs", 5, seed=3, teacher=tiny.vectors(seed=4, size=2.0)),
        lesson(folder, "birds", 4, seed=4, held_out=tuple(pairs(2, "fish"))),
    ]


def train(some: list[Lesson], *, method=None, joining=lambda _: (), **changed):
    settings = replace(SETTINGS, **changed)
    given = [replace(one, settings=settings, method=method or one.method) for one in some]
    return train_together(tiny.base(), given, joining=joining)


def weights(one: Lesson) -> dict[str, torch.Tensor]:
    return load_file(one.out / SAFETENSORS)


@pytest.mark.parametrize("share", [0.5, 1.0])  # with layers that are read once, and without
def test_each_gets_what_they_would_get_alone(tmp_path, share):
    left: list[int] = []
    everybody = [
        replace(one, on_end=lambda _, i=i: left.append(i)) for i, one in enumerate(lessons(tmp_path / "all"))
    ]
    together = train(everybody, trained_share=share)
    assert left == sorted(range(4), key=lambda i: (together[i].steps, i))  # whoever is done leaves
    assert len({found.steps for found in together}) > 2
    for found, shared, own in zip(
        together, lessons(tmp_path / "all"), lessons(tmp_path / "alone"), strict=True
    ):
        (alone,) = train([own], trained_share=share)
        assert gap(weights(shared), weights(own)) < 1e-5
        moved = max(t.abs().max().item() for name, t in weights(own).items() if "lora_B" in name)
        assert moved > 1e-3
        assert (found.examples, found.steps, found.taught) == (alone.examples, alone.steps, alone.taught)
        assert found.metrics == pytest.approx(alone.metrics, abs=1e-3)
        assert json.dumps(found.as_dict())


def test_whoever_fails_is_dropped_alone(tmp_path):
    def cancel(progress: Progress) -> None:
        if progress.step == 2:
            raise Cancelled("changed my mind")

    def breaks(progress: Progress) -> None:
        if progress.step == 1:
            raise RuntimeError("the row is gone")

    usual = registry.get("dpo")

    def poisoned(policy, reference, **parameters):
        loss = usual.function(policy, reference, **parameters)
        # The elephants' answers have a length of their own: only theirs become no number.
        theirs = (policy.rejected_tokens == len("no elephants") + 1).any()
        return loss * float("nan") if theirs else loss

    good = lesson(tmp_path, "cats", 6, seed=1)
    company = [
        lesson(tmp_path, "nobody", 0),
        lesson(tmp_path, "elephants", 4, seed=2),
        good,
        lesson(tmp_path, "birds", 5, seed=3, report=cancel),
        lesson(tmp_path, "horses", 5, seed=3, report=breaks),
    ]
    empty, nan, fine, cancelled, broken = train(company, method=replace(usual, function=poisoned))
    assert isinstance(empty, NotEnoughData)
    assert isinstance(nan, ArithmeticError)
    assert isinstance(fine, TrainingResult)
    assert isinstance(cancelled, Cancelled)
    assert isinstance(broken, RuntimeError)
    assert [each.out.exists() for each in company] == [False, False, True, False, False]
    own = lesson(tmp_path / "alone", "cats", 6, seed=1)
    train([own])
    assert gap(weights(good), weights(own)) < 1e-5
    assert all(torch.isfinite(tensor).all() for tensor in weights(good).values())
    kept = [(each.checkpoints / "checkpoint.safetensors").exists() for each in company[3:]]
    assert kept == [True, True]  # the cancelled one's is of step 2, as always; the broken one goes on from 1


def test_whoever_does_not_fit_in_memory_is_dropped_alone(tmp_path, monkeypatch):
    read, held = training.decoded_above, []

    def small(base, given, first):
        if max(len(text.given) for text in given) > 100:
            activations = torch.zeros(100)
            held.append(weakref.ref(activations))
            raise RuntimeError("out of memory")
        assert all(reference() is None for reference in held)  # or there would be no room for the others
        return read(base, given, first)

    monkeypatch.setattr(training, "decoded_above", small)
    good, long = lesson(tmp_path, "cats", 4, seed=1), lesson(tmp_path, "a word " * 12, 4, seed=2)
    fine, failed = train([good, long])
    assert isinstance(fine, TrainingResult)
    assert str(failed) == "out of memory"
    own = lesson(tmp_path / "alone", "cats", 4, seed=1)
    train([own])
    assert gap(weights(good), weights(own)) < 1e-5


def test_a_shutdown_keeps_everybodys_place_and_they_go_on_in_other_company(tmp_path):
    def stop(progress: Progress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    some = lessons(tmp_path / "killed")
    with pytest.raises(KeyboardInterrupt):
        train([some[0], replace(some[2], report=stop), some[3]])
    begun: dict[str, int] = {}

    def note(name: str):
        return lambda progress: begun.setdefault(name, progress.step)

    first = train([replace(some[0], report=note("cats")), some[1]])
    rest = train([replace(some[2], report=note("dogs")), replace(some[3], report=note("birds"))])
    assert all(isinstance(found, TrainingResult) for found in first + rest)
    # The row that stopped them was in the middle of the third step's reports.
    assert set(begun.values()) <= {2, 3}
    whole = lessons(tmp_path / "whole")
    train(whole)
    for killed, unbroken in zip(some, whole, strict=True):
        assert gap(weights(killed), weights(unbroken)) < 1e-5


def test_what_ends_the_batch_costs_nobody_a_step(tmp_path):
    """Whoever hears of the ends proves results, for minutes, and may be stopped meanwhile."""

    def stop(_) -> None:
        raise RuntimeError("no more")

    some = [lesson(tmp_path / "killed", *given, seed=1) for given in (("cats", 4), ("dogs", 4), ("birds", 6))]
    with pytest.raises(RuntimeError, match="no more"):
        train([replace(one, on_end=stop) for one in some], checkpoint_steps=5)
    begun: dict[str, int] = {}

    def note(name: str):
        return lambda progress: begun.setdefault(name, progress.step)

    train([replace(one, report=note(one.out.parent.name)) for one in some], checkpoint_steps=5)
    assert begun == {"cats": 6, "dogs": 6, "birds": 6}
    alone = lesson(tmp_path / "alone", "birds", 6, seed=1)
    (found,) = train([alone])
    assert found.steps == 8
    assert gap(weights(some[2]), weights(alone)) < 1e-5


def test_nothing_remains_on_the_base_model(tmp_path):
    base = tiny.base()
    before = base.model(input_ids=torch.tensor([[5, 6, 7]])).logits
    train(lessons(tmp_path))
    assert torch.equal(base.model(input_ids=torch.tensor([[5, 6, 7]])).logits, before)
    assert not any(module._forward_hooks for module in base.model.modules())
    assert all(p.grad is None for p in base.model.parameters())

"""A training batch that people join and leave between steps: everybody gets what they would get alone."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from personalization import registry
from personalization.errors import Cancelled
from personalization.progress import Progress
from personalization.training.train import Lesson, TrainingResult, train_together
from tests import tiny
from tests.unit.test_training_together import SAFETENSORS, SETTINGS, lesson, pairs, weights

STEPS = 12  # about as long as the longest learns


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def people(folder: Path) -> dict[str, Lesson]:
    """Return people who differ in all that may differ: method, rate, clipping, length, rank, layers."""
    quick = replace(SETTINGS, learning_rate=1e-2, clip_norm=0.1, epochs=1)
    thorough = replace(SETTINGS, rank=3, epochs=3, trained_share=1.0, checkpoint_steps=5)
    return {
        "cats": lesson(folder, "cats", 6, seed=1, parameters={"beta": 0.3}),
        "dogs": lesson(folder, "dogs", 4, seed=2, teacher=tiny.vectors(seed=4, size=2.0)),
        "a word": lesson(folder, "a word", 3, seed=3, system_message="Be brief.", settings=quick),
        "birds": lesson(folder, "birds", 4, seed=4, held_out=tuple(pairs(2, "fish")), settings=thorough),
        "fish": lesson(folder, "fish", 5, seed=5, method=registry.get("orpo")),
        "bees": lesson(folder, "bees", 5, seed=6, method=registry.get("simpo"), settings=quick),
    }


NAMES = sorted(people(Path()))


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Mapping[str, tuple[TrainingResult, dict[str, torch.Tensor]]]:
    found = {}
    for name, one in people(tmp_path_factory.mktemp("alone")).items():
        (result,) = train_together(tiny.base(), [one])
        assert isinstance(result, TrainingResult), result
        found[name] = result, weights(one)
        assert max(t.abs().max().item() for key, t in found[name][1].items() if "lora_B" in key) > 1e-3
    assert len({result.steps for result, _ in found.values()}) > 3
    return found


class Killed(BaseException):
    """As when a process ends: whoever learns has a place to go on from."""


class Schedule:
    """Who comes when, who leaves by which error after which step, and when everything is killed, drawn."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._at = random.Random(seed)
        self.steps: dict[str, list[int]] = {name: [] for name in NAMES}
        self.ends: dict[str, TrainingResult | Exception] = {}
        self.leaves = {
            name: (self._at.randint(1, 3), self._at.choice([Cancelled("enough"), OSError("the row is gone")]))
            for name in self._at.sample(NAMES, self._at.randint(0, 2))
        }
        self._lessons = {
            name: replace(one, report=self._reports(name), on_end=partial(self._ended, name))
            for name, one in people(folder).items()
        }
        self.most = 0
        self.kills = self._at.sample(range(1, STEPS), self._at.randint(0, 2))

    def _reports(self, name: str):
        def report(progress: Progress) -> None:
            if progress.values:
                self.steps[name].append(progress.step)
            leaves, error = self.leaves.get(name, (0, None))
            if error and progress.step >= leaves:
                raise error

        return report

    def _ended(self, name: str, end: TrainingResult | Exception) -> None:
        assert name not in self.ends
        self.ends[name] = end

    def run(self) -> None:
        """Let batches run, after each other where one is killed or ends early, until everybody has ended."""
        steps = 0
        while waiting := [name for name in NAMES if name not in self.ends]:
            comes = {name: steps + self._at.choice([0, 0, 1, 3, 7]) for name in waiting}
            first = [name for name in waiting if comes[name] == steps] or waiting[:1]
            joined = set(first)

            def joining(learning: int, comes=comes, joined=joined) -> list[Lesson]:
                nonlocal steps
                self.most = max(self.most, learning)
                steps += 1
                if steps in self.kills:
                    raise Killed
                new = [name for name, at in comes.items() if at < steps and name not in joined]
                joined.update(new)
                return [self._lessons[name] for name in new]

            try:
                train_together(tiny.base(), [self._lessons[name] for name in first], joining=joining)
            except Killed:
                continue


@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None)
def test_nobodys_result_depends_on_who_joins_leaves_or_is_killed(seed, alone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    schedule = Schedule(folder, seed)
    schedule.run()
    assert schedule.most > 1
    for name, (result, matrices) in alone.items():
        end, at = schedule.ends[name], people(folder)[name]
        if name in schedule.leaves and result.steps >= schedule.leaves[name][0]:
            assert end is schedule.leaves[name][1]
            assert not at.out.exists()
            continue
        assert isinstance(end, TrainingResult), end
        assert schedule.steps[name] == list(range(1, result.steps + 1))  # none twice, none left out
        assert end.metrics == pytest.approx(result.metrics, abs=1e-3)
        mine = load_file(at.out / SAFETENSORS)
        assert mine.keys() == matrices.keys()
        assert max((mine[key] - matrices[key]).abs().max().item() for key in mine) < 1e-5


def test_a_batch_that_is_over_asks_for_nobody(tmp_path):
    asked: list[int] = []

    def joining(learning: int) -> list[Lesson]:
        asked.append(learning)
        return [lesson(tmp_path, "dogs", 2, seed=2)] if len(asked) == 2 else []

    cats, dogs = train_together(tiny.base(), [lesson(tmp_path, "cats", 4, seed=1)], joining=joining)
    assert isinstance(cats, TrainingResult)
    assert isinstance(dogs, TrainingResult)
    assert (cats.steps, dogs.steps) == (6, 4)
    assert asked == [1, 1, 2, 2, 2, 1]

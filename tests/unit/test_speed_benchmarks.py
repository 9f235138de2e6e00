"""What the speed benchmarks compare must agree before it is timed, and times are taken by turns."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from benchmarks import scaling
from benchmarks.steering_fit import others
from benchmarks.timing import Watch, by_turns, quietness
from benchmarks.training.__main__ import Ways, compare
from benchmarks.training.arithmetic import multiply_adds
from benchmarks.training.lessons import learner_of, settings_of
from personalization.methods.pas import ItemHeads, directions
from personalization.records import Message, Pair
from tests import tiny


def test_ways_take_turns_forwards_and_backwards():
    order: list[str] = []
    ways = {name: lambda name=name: order.append(name) for name in ("one", "two", "three")}
    times = by_turns(ways, repeats=3)
    assert order == ["one", "two", "three", "three", "two", "one", "one", "two", "three"]
    assert all(len(each.seconds) == len(each.processor_seconds) == 3 for each in times.values())
    assert min(times["one"].seconds) <= times["one"].median <= max(times["one"].seconds)


def test_a_busy_machine_is_called_so():
    watched = Watch().as_dict()
    assert set(watched) == {"load_at_start", "load_at_end", "cores", "cores_used_by_others", "idle"}
    assert "not idle" in quietness({**watched, "cores_used_by_others": 1.2, "idle": False})
    assert "not idle" not in quietness({**watched, "cores_used_by_others": 0.0, "idle": True})


def test_the_fit_that_people_do_not_share_is_the_one_that_they_do():
    activations = torch.randn(40, 2, 30, 6, generator=torch.Generator().manual_seed(0))
    answers = [float(random.Random(i).randint(1, 5)) for i in range(40)]
    ours = directions(ItemHeads.of(activations), torch.tensor([answers]), heads=others.HEADS)
    theirs = others.anew(activations, answers)
    assert ours.heads[0].tolist() == theirs.heads
    torch.testing.assert_close(ours.added[0], theirs.added, atol=1e-4, rtol=1e-4)


def pairs(word: str, count: int) -> list[Pair]:
    return [
        Pair(f"{i}", (), (Message("user", f"{word} {i}?"),), word.upper() * (i + 1), f"no {word}", 1.0)
        for i in range(count)
    ]


def test_trl_takes_the_same_steps_as_people_who_train_together():
    """Both of TRL's ways, ours alone and together: every step's losses within 1e-4, or the benchmark ends."""
    settings = settings_of(pairs_per_batch=2, epochs=2)
    some = [
        learner_of(tiny.base(), pairs(word, count), settings, seed=seed)
        for seed, (word, count) in enumerate([("rivers", 5), ("cats", 3)])
    ]
    found = compare(Ways(tiny.base(), some, settings), some)
    assert set(found["losses"]) == {"together", "apart", "trl", "trl_plain"}
    assert len(found["losses"]["trl"]) == len(some[0].batches)
    assert found["losses"]["trl"][-1] < 0.9 * found["losses"]["trl"][0]
    assert max(found["greatest_differences_from_trl"].values()) < 1e-4
    assert found["together_from_alone"] < 1e-5
    work = multiply_adds(tiny.base(), some[0], settings)
    assert work["ours"] < work["trl"] < work["trl_plain"]


PAGES = Path("docs/benchmarks")
MISSING = [name for name in scaling.READ if not (PAGES / f"{name}.json").exists()]


@pytest.mark.skipif(bool(MISSING), reason=f"not published yet: {', '.join(MISSING)}")
def test_the_estimate_for_a_million_people_is_worked_out_from_what_is_published():
    measured = scaling.Measured.read(PAGES)
    few, many = (scaling.needs(people, measured, scaling.Assumed()) for people in (10_000, 1_000_000))
    assert all(few[name] > 0 and many[name] == pytest.approx(100 * few[name]) for name in few)
    assert "1,000,000 people" in scaling.page(measured, scaling.Assumed())

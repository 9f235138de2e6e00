"""Where a taste starts: what it must not depend on, that it helps, and that its noise hides who is in it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from personalization.steering.instant import Sums, harmony
from personalization.steering.shared import (
    AXES,
    FEWEST_PEOPLE,
    PART_PROMPTS,
    attack_bound,
    axes_of,
    guess_bound,
    noise_of,
    on_axes,
    read_directions,
    share,
    start_of,
    stated_of,
    unit,
)
from personalization.steering.vector_file import read_vectors, write_vectors

FEATURES = 40
DIRECTIONS = {
    f"value.{i}": unit(row) for i, row in enumerate(np.random.default_rng(9).normal(size=(12, FEATURES)))
}


def tastes(seed: int, people: int = FEWEST_PEOPLE) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(size=(people, FEATURES)))


def shared(them: list[np.ndarray], seed: int = 0, privacy: float = 1e9) -> np.ndarray:
    axes = axes_of(DIRECTIONS)
    return share([on_axes(t, axes) for t in them], axes, np.random.default_rng(seed), privacy=privacy).mean


def test_axes_are_orthonormal_and_lie_in_the_directions():
    axes, every = axes_of(DIRECTIONS), np.stack(list(DIRECTIONS.values()))
    np.testing.assert_allclose(axes @ axes.T, np.eye(AXES), atol=1e-9)
    inside = np.linalg.lstsq(every.T, axes.T, rcond=None)[0].T @ every
    np.testing.assert_allclose(inside, axes, atol=1e-9)
    assert len(axes_of({"only": DIRECTIONS["value.1"]})) == 1
    with pytest.raises(ValueError, match="values build"):
        axes_of({})


@given(st.integers(0, 30), st.randoms(use_true_random=False), st.floats(0.1, 9))
@settings(deadline=None, max_examples=10)
def test_neither_order_nor_length_of_the_tastes_matters(seed, random, factor):
    plain = tastes(seed)
    other = [factor * each for each in plain]
    random.shuffle(other)
    np.testing.assert_allclose(shared(plain), shared(other), atol=1e-6)


@given(st.integers(0, 30), st.integers(FEWEST_PEOPLE, 2 * FEWEST_PEOPLE))
@settings(deadline=None, max_examples=10)
def test_one_person_in_the_place_of_another_moves_it_by_no_more_than_the_noise_is_made_for(seed, count):
    people = tastes(seed, count)
    other = [-people[0], *people[1:]]  # the farthest that one taste can be from another
    moved = np.linalg.norm(shared(people) - shared(other))
    assert moved <= noise_of(count, privacy=1.0) + 1e-6  # mu is how many standard deviations that is


def test_the_noise_is_as_large_as_it_promises_and_lies_on_the_axes():
    people, axes = tastes(1), axes_of(DIRECTIONS)
    drawn = np.stack([shared(people, seed, privacy=0.15) - shared(people) for seed in range(400)])
    np.testing.assert_allclose((drawn @ axes.T).std(axis=0), noise_of(FEWEST_PEOPLE, 0.15), rtol=0.2)
    np.testing.assert_allclose(drawn, (drawn @ axes.T) @ axes, atol=1e-9)


def test_the_best_attack_stays_below_its_bound():
    """It knows everybody else and both tastes that may be the last one's: the likelihood ratio decides."""
    rest, mine, theirs = tastes(2)[1:], *tastes(3, 2)
    means = [shared([one, *rest]) for one in (mine, theirs)]
    towards = unit(means[0] - means[1])
    with_me, with_them = (
        np.array([shared([one, *rest], seed, privacy=0.5) @ towards for seed in range(first, first + 1500)])
        for one, first in ((mine, 0), (theirs, 5000))
    )
    auc = (with_me[:, None] > with_them[None]).mean()
    assert 0.5 < auc < attack_bound(0.5) + 0.02
    middle = (means[0] + means[1]) @ towards / 2
    right = ((with_me > middle).mean() + (with_them <= middle).mean()) / 2
    assert right < guess_bound(0.5) + 0.02
    assert 0.5 < guess_bound(0.5) < attack_bound(0.5) < 1
    assert guess_bound(0.5, releases=4) == guess_bound(1.0)  # of several they add up by squares


def test_too_few_people_are_refused():
    with pytest.raises(ValueError, match="takes 300"):
        shared(tastes(0, FEWEST_PEOPLE - 1))


def test_stated_values_point_where_their_directions_do():
    one, other = DIRECTIONS["value.1"], DIRECTIONS["value.2"]
    np.testing.assert_allclose(stated_of({"value.1": 0.4}, DIRECTIONS), one)
    both = stated_of({"value.1": 1.0, "value.2": 1.0, "not.built": 1.0}, DIRECTIONS)
    np.testing.assert_allclose(both, unit(one + other))
    assert stated_of({}, DIRECTIONS) is None
    assert stated_of({"not.built": 1.0}, DIRECTIONS) is None
    assert stated_of({"up": 1.0, "down": 1.0}, {"up": one, "down": -one}) is None


def prompts(taste: np.ndarray, count: int, noise: float, rng: np.random.Generator) -> Sums:
    """Rated answers of a person with this taste, in one layer."""
    sums = Sums((3,))
    for number in range(count):
        states = rng.normal(size=(4, 1, FEATURES)).astype(np.float32)
        sums.put(str(number), states, tuple(states[:, 0] @ taste + noise * rng.normal(size=4)))
    return sums


def test_few_noisy_prompts_find_a_taste_sooner_with_a_start_and_many_outvote_it():
    rng, gains = np.random.default_rng(3), []
    for _ in range(40):
        mine = unit(rng.normal(size=FEATURES))
        near, wrong = unit(mine + 0.8 * unit(rng.normal(size=FEATURES))), -mine
        few = prompts(mine, 2, 1.0, rng)
        with_start = few.direction(start=start_of(near, None))
        gains.append((with_start.units[0] - few.direction().units[0]) @ mine)
        assert with_start.strength > few.direction().strength
        many = prompts(mine, 200, 0.1, rng)
        assert many.direction(start=start_of(wrong, wrong)).units[0] @ mine > 0.9
    assert np.mean(gains) > 0.2


@pytest.mark.parametrize("count", [4, 8, 16])
def test_a_start_that_ratings_contradict_pushes_less_than_they_do_alone(count):
    """Said, not shown: whoever rates against what they state is not pushed hard the wrong way."""
    rng, alone, started = np.random.default_rng(count), [], []
    for _ in range(30):
        mine = unit(rng.normal(size=FEATURES))
        own, wrong = prompts(mine, count, 0.3, rng), start_of(-mine, -mine)
        alone.append(own.direction().strength)
        found = own.direction(start=wrong)
        started.append(found.strength if found else 0.0)
    assert np.mean(started) < np.mean(alone)


@given(st.integers(0, 50), st.floats(0.1, 10))
@settings(deadline=None, max_examples=30)
def test_harmony_is_whole_unless_they_contradict(seed, longer):
    rng = np.random.default_rng(seed)
    own, other = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    other -= (own * other).sum() / (own**2).sum() * own  # nothing to do with each other
    assert harmony(own, longer * own) == 1.0
    assert harmony(own, other) == pytest.approx(1.0)
    assert harmony(own, -own) == pytest.approx(0.0, abs=1e-9)
    assert 0 < harmony(own, -longer * own + other) < 1
    assert harmony(np.zeros((2, 3)), np.zeros((2, 3))) == 1.0


def test_a_source_that_hardly_says_anything_is_worth_little():
    one = DIRECTIONS["value.1"]
    assert start_of(0.1 * one, None).worth == pytest.approx(0.1 * PART_PROMPTS)
    assert start_of(0.1 * one, one).worth == pytest.approx(1.1 * PART_PROMPTS)


def test_a_start_alone_makes_no_vector_and_no_start_changes_nothing():
    rng = np.random.default_rng(4)
    assert Sums((3,)).direction(start=start_of(unit(rng.normal(size=FEATURES)), None)) is None
    assert start_of(None, None) is None
    few = prompts(unit(rng.normal(size=FEATURES)), 2, 1.0, rng)
    assert few.direction().started == 0


def test_vectors_are_read_and_written_as_the_library_of_the_format_does(tmp_path):
    vectors = {
        f"layer.{i}.output": np.random.default_rng(i).normal(size=8).astype(np.float32) for i in (2, 5)
    }
    write_vectors(vectors, tmp_path)
    for found in (load_file(tmp_path / "steering.safetensors"), read_vectors(tmp_path)):
        assert found.keys() == vectors.keys()
        for name, vector in vectors.items():
            np.testing.assert_array_equal(found[name], vector)
    halves = {name: vector.astype(np.float16) for name, vector in vectors.items()}
    save_file(halves, tmp_path / "steering.safetensors", metadata={"made": "by"})
    for name, vector in read_vectors(tmp_path).items():
        np.testing.assert_array_equal(vector, halves[name].astype(np.float32))
    save_file({"layer.2.output": np.zeros(3, dtype=np.int64)}, tmp_path / "steering.safetensors")
    with pytest.raises(ValueError, match="I64"):
        read_vectors(tmp_path)
    (tmp_path / "steering.safetensors").write_bytes(b"no vectors at all")
    with pytest.raises(ValueError):
        read_vectors(tmp_path)


def test_directions_are_read_where_all_layers_are_there(tmp_path):
    for key, layers in (("style.brief", (1, 2)), ("style.warm", (1,))):
        folder = tmp_path / key.replace(".", "-")
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps({"format": 1, "value": key}))
        write_vectors({f"layer.{layer}.output": layer * np.ones(4, np.float32) for layer in layers}, folder)
    found = read_directions(tmp_path, (1, 2))
    assert list(found) == ["style.brief"]
    np.testing.assert_allclose(found["style.brief"], np.full(8, 8**-0.5))
    assert read_directions(tmp_path, (1, 2), keys={"style.warm"}) == {}
    (tmp_path / "style-brief" / "steering.safetensors").write_bytes(b"broken")
    assert read_directions(tmp_path, (1, 2)) == {}

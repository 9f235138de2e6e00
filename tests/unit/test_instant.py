"""The closed form: what it must not depend on, what it equals, and how strength follows the evidence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.methods.steer import directions
from personalization.models.personal import load_vectors
from personalization.steering.instant import (
    LIMIT,
    SUBJECT,
    Sums,
    agreement_of,
    layers_of,
    pack,
    read_subject,
    strength_of,
    unpack,
    write_vector,
)

LAYERS, HIDDEN = (1, 2, 3, 4), 12


def states(seed: int, answers: int = 4) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(answers, len(LAYERS), HIDDEN)).astype(np.float32)


def sums(rated: dict[str, list[int]]) -> Sums:
    made = Sums(LAYERS)
    for prompt, scores in rated.items():
        made.put(prompt, states(int(prompt), len(scores)), scores)
    return made


scores = st.lists(st.integers(1, 100), min_size=2, max_size=5)
ratings = st.dictionaries(st.integers(0, 30).map(str), scores, min_size=1, max_size=8)


def same(one, other) -> bool:
    if one is None or other is None:
        return one is other
    return one == other and bool((one.vectors == other.vectors).all())


@given(ratings, st.randoms())
@settings(deadline=None)
def test_the_order_of_the_ratings_does_not_matter(rated, rng):
    shuffled = list(rated.items())
    rng.shuffle(shuffled)
    assert same(sums(rated).direction(), sums(dict(shuffled)).direction())


@given(ratings, st.data())
@settings(deadline=None)
def test_a_rating_that_is_changed_and_changed_back_restores_the_vector(rated, data):
    running = sums(rated)
    before = running.direction()
    prompt = data.draw(st.sampled_from(sorted(rated)))
    other = data.draw(st.lists(st.integers(1, 100), min_size=1, max_size=5))
    running.put(prompt, states(99, len(other)), other)
    running.put(prompt, states(int(prompt), len(rated[prompt])), rated[prompt])
    assert same(running.direction(), before)


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(1, 5)), max_size=6))
@settings(deadline=None)
def test_no_ratings_and_equal_ratings_give_no_vector(alike):
    rated = {str(i): [score] * count for i, (score, count) in enumerate(alike)}
    assert sums(rated).direction() is None


@given(ratings)
@settings(deadline=None)
def test_it_is_the_direction_that_learning_from_ratings_finds(rated):
    found = sums(rated).direction()
    if found is None:
        return
    together = np.concatenate([states(int(p), len(s)) for p, s in rated.items()])
    groups = [i for i, s in enumerate(rated.values()) for _ in s]
    learned = directions(torch.tensor(together), [float(x) for s in rated.values() for x in s], groups)
    np.testing.assert_allclose(found.units, learned.numpy(), atol=1e-4)
    assert found.layers == LAYERS


@given(ratings)
@settings(deadline=None)
def test_no_vector_is_longer_than_the_limit(rated):
    found = sums(rated).direction()
    if found is not None:
        assert 0 < found.strength <= 1
        longest = LIMIT * np.array(found.hidden_norms)
        assert (np.linalg.norm(found.vectors, axis=1) <= longest * 1.0001).all()


@given(ratings, st.integers(0, 99))
@settings(deadline=None)
def test_the_way_to_the_subject_stands_beside_the_taste_and_changes_nothing_else(rated, seed):
    plain = sums(rated).direction()
    if plain is None:
        return
    subject = np.random.default_rng(seed).normal(size=(len(LAYERS), HIDDEN)).astype(np.float32)
    subject /= np.linalg.norm(subject, axis=1, keepdims=True)
    found = sums(rated).direction(subject)
    assert found is not None
    assert (found.strength, found.agreement, found.hidden_norms) == (
        plain.strength,
        plain.agreement,
        plain.hidden_norms,
    )
    limits = LIMIT * np.array(found.hidden_norms)
    along = (found.vectors * subject).sum(axis=1) / limits
    np.testing.assert_allclose(along, SUBJECT * found.strength**2, atol=1e-4)
    taste = found.vectors / limits[:, None] - along[:, None] * subject
    np.testing.assert_allclose(np.linalg.norm(taste, axis=1), found.strength, atol=1e-4)
    shared = (plain.units * subject).sum(axis=1, keepdims=True)
    assert ((taste * (plain.units - shared * subject)).sum(axis=1) > 0).all()


def test_the_way_to_the_subject_is_read_where_it_was_learned(tmp_path):
    assert read_subject(tmp_path, LAYERS) is None
    every = np.arange(6 * HIDDEN, dtype=np.float32).reshape(6, HIDDEN)
    np.save(tmp_path / "subject.npy", every)
    np.testing.assert_array_equal(read_subject(tmp_path, LAYERS), every[list(LAYERS)])


def test_strength_grows_with_ratings_that_agree_and_not_with_ratings_that_do_not():
    agreeing = [strength_of(n, 0.3) for n in range(1, 60)]
    assert agreeing == sorted(agreeing)
    assert agreeing[0] < 0.5
    assert agreeing[-1] > 0.95
    assert strength_of(0, 1.0) == 0.0
    assert [strength_of(n, -0.5) for n in (2, 8, 50)][1:] == [0.0, 0.0]
    assert all(strength_of(n, 0.0) < 0.75 for n in range(1, 200))


def test_agreement_is_that_of_what_the_prompts_share():
    generator = np.random.default_rng(0)
    taste = generator.normal(size=400)
    noise = generator.normal(size=(64, 400))
    assert agreement_of(noise) == pytest.approx(0.0, abs=0.02)
    assert agreement_of(noise + taste) == pytest.approx(0.5, abs=0.06)
    assert agreement_of(np.stack([taste, -taste])) == pytest.approx(-1.0)
    assert agreement_of(taste[None]) == 0.0


@given(st.integers(0, 99), st.sampled_from([1e-2, 1.0, 3e5]))
@settings(deadline=None)
def test_states_survive_storage_whatever_their_size(seed, size):
    means = states(seed)[0] * np.float32(size)
    back = unpack(pack(means), len(LAYERS))
    assert np.abs(back - means).max() <= 1e-3 * np.linalg.norm(means, axis=1).max()


def test_the_file_is_what_the_engine_reads(tmp_path):
    found = sums({"1": [90, 10], "2": [80, 20, 50]}).direction()
    assert found is not None
    write_vector(found, tmp_path)
    sites = load_vectors(tmp_path).sites
    assert list(sites) == [(layer, "output") for layer in found.layers]
    np.testing.assert_array_equal(np.stack([tensor.numpy() for tensor in sites.values()]), found.vectors)


def test_layers_lie_where_meaning_is():
    assert layers_of(30) == (10, 14, 18, 22)
    assert layers_of(3) == (1, 2)
    assert layers_of(1) == (0,)

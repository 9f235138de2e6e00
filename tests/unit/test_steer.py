"""The closed form of the rating-weighted vector, and the vector that is learned with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn.functional import normalize

from personalization import registry
from personalization.errors import NotEnoughData
from personalization.methods.steer import directions
from personalization.models.personal import load_vectors
from personalization.records import Message, RatedGroup
from personalization.steering.instant import LIMIT, Sums, layers_of, read_subject
from personalization.steering.learn import Placed, learn_vector
from tests import tiny


def states(answers: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(answers, 2, 5, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 999), st.integers(1, 8))
def test_two_answers_to_each_prompt_give_the_mean_difference(seed, prompts):
    hidden = states(2 * prompts, seed)
    better, worse = hidden[0::2], hidden[1::2]
    learned = directions(hidden, [80.0, 20.0] * prompts, [i // 2 for i in range(2 * prompts)])
    torch.testing.assert_close(learned, normalize((better - worse).mean(dim=0), dim=-1))


rated = st.lists(
    st.tuples(st.integers(1, 100), st.integers(0, 3)), min_size=4, max_size=16
).filter(lambda rows: any(a[1] == b[1] and a[0] != b[0] for a in rows for b in rows))  # fmt: skip


@given(rated, st.floats(0.1, 10), st.floats(-50, 50), st.randoms())
@settings(deadline=None)
def test_scale_shift_and_order_of_the_ratings_do_not_matter(rows, scale, shift, rng):
    hidden = states(len(rows))
    scores, groups = [float(s) for s, _ in rows], [g for _, g in rows]
    learned = directions(hidden, scores, groups)
    torch.testing.assert_close(learned.norm(dim=-1), torch.ones(2), atol=1e-4, rtol=0)
    moved = directions(hidden, [scale * s + shift for s in scores], groups)
    torch.testing.assert_close(moved, learned, atol=1e-3, rtol=0)
    order = list(range(len(rows)))
    rng.shuffle(order)
    shuffled = directions(hidden[order], [scores[i] for i in order], [groups[i] for i in order])
    torch.testing.assert_close(shuffled, learned, atol=1e-4, rtol=0)
    opposite = directions(hidden, [-s for s in scores], groups)
    torch.testing.assert_close(opposite, -learned, atol=1e-4, rtol=0)


@pytest.mark.parametrize("score", [0.0, 50.0, 33.3])
def test_ratings_that_are_all_alike_within_each_prompt_say_nothing(score):
    scores = [score, score, score, score + 10, score + 10, score + 10]
    assert not directions(states(6), scores, [0, 0, 0, 1, 1, 1]).any()


def groups(count: int, *, spread: float = 60.0) -> list[RatedGroup]:
    """Answers of shouting and of whispering bytes; shouting is liked."""
    made = []
    for i in range(count):
        prompt = (Message("user", f"Question {i}?"),)
        completions = (f"AAAA BBBB {i}", f"cccc dddd {i}", f"CCCC AAAA {i}")
        made.append(
            RatedGroup(f"chat-{i}", (), prompt, completions, (50 + spread / 2, 50 - spread / 2, 50.0))
        )
    return made


def learn(folder, rated_groups):
    method = registry.get("steer")
    return learn_vector(
        tiny.base(), rated_groups, method, parameters=method.resolve({}), system_message="", out=folder
    )


def test_a_learned_vector_is_at_its_stated_strength_and_the_same_every_time(tmp_path):
    torch.set_num_threads(1)
    metrics = learn(tmp_path / "one", groups(6))
    again = learn(tmp_path / "two", groups(6))
    assert metrics == again
    sites = load_vectors(tmp_path / "one").sites
    assert list(sites) == [(layer, "output") for layer in metrics["layers"]]
    lengths = [vector.norm().item() for vector in sites.values()]
    assert lengths == pytest.approx([metrics["strength"] * n for n in metrics["hidden_norms"]], rel=1e-4)
    assert metrics["cross_validated_accuracy"] > 0.9  # capitals are easy to tell apart
    other = load_file(tmp_path / "two" / "steering.safetensors")
    for (layer, _), vector in sites.items():
        torch.testing.assert_close(other[f"layer.{layer}.output"], vector, atol=0, rtol=0)


def test_it_keeps_to_the_subject_as_the_vector_of_every_rating_does(tmp_path):
    subject = normalize(
        torch.randn(tiny.LAYERS, tiny.HIDDEN, generator=torch.Generator().manual_seed(1)), dim=-1
    )
    np.save(tmp_path / "subject.npy", subject.numpy())
    taste, states = states_of_tiny(8)
    sums = Sums(layers_of(tiny.LAYERS))
    kept = states[:, list(layers_of(tiny.LAYERS))]
    for i in range(4):
        sums.put(str(i), kept[2 * i : 2 * i + 2].numpy(), [90, 10])
    instant = sums.direction(read_subject(tmp_path, layers_of(tiny.LAYERS)))
    learned = Placed.of(states, tmp_path).vectors(taste, LIMIT * instant.strength)
    for (layer, _), expected in zip(learned.sites, instant.vectors, strict=True):
        torch.testing.assert_close(
            learned.sites[layer, "output"], torch.tensor(expected), rtol=1e-3, atol=1e-4
        )


def states_of_tiny(answers: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random states (answers, layers, hidden), and the taste of who likes the first of each two."""
    found = torch.randn(answers, tiny.LAYERS, tiny.HIDDEN, generator=torch.Generator().manual_seed(0))
    return directions(found, [90.0, 10.0] * (answers // 2), [i // 2 for i in range(answers)]), found


def test_too_few_prompts_with_different_ratings_say_how_many_are_missing(tmp_path):
    with pytest.raises(NotEnoughData) as caught:
        learn(tmp_path, [*groups(3), *groups(5, spread=0.0)])
    assert caught.value.missing == 1
    assert not list(tmp_path.iterdir())

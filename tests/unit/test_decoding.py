"""Policies at decoding time: with nothing to go by they are the plain model; else they follow it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.decoding import value
from personalization.decoding.ahead import Beginning, search
from personalization.decoding.objectives import (
    NEARNESS,
    Candidate,
    Objective,
    by_length,
    by_reward,
    by_reward_on_subject,
    by_words,
    calibrated,
    choose,
    together,
    transformed,
)
from personalization.decoding.writer import Writer
from personalization.records import Message
from personalization.statistics import wilson
from personalization.steering.instant import layers_of
from personalization.steering.reward import Reward
from tests import tiny

CHAT = (Message("user", "hello"),)
numbers = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=8)


def candidates(values: list[float]) -> list[Candidate]:
    return [Candidate(str(v), 1) for v in values]


def felt(weight: float = 1.0, sign: float = 1.0) -> Objective:
    return Objective("felt", lambda them: [sign * float(c.text) for c in them], weight)


def reward_of(weights: np.ndarray) -> Reward:
    return Reward(weights.astype(np.float32), 1.0, wilson(9, 10), 8, 32)


def tiny_reward(seed: int = 0) -> Reward:
    layers = len(layers_of(tiny.LAYERS))
    return reward_of(np.random.default_rng(seed).normal(size=(layers, tiny.HIDDEN)))


@given(numbers)
def test_calibration_is_the_share_that_is_no_better_and_keeps_the_order(values):
    found = calibrated(values)
    assert found.tolist() == [sum(z <= y for z in values) / len(values) for y in values]
    assert all((a >= b) == (x >= y) for a, x in zip(found, values, strict=True)
               for b, y in zip(found, values, strict=True))  # fmt: skip


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=6), st.lists(st.floats(-3, 3), min_size=1, max_size=9))
def test_calibration_against_a_reference_does_not_depend_on_units(values, reference):
    one = calibrated(values, reference)
    assert one.tolist() == calibrated([8 * v for v in values], [8 * v for v in reference]).tolist()


@given(st.floats(0, 20))
def test_the_transform_goes_from_0_to_1_and_rises(exponent):
    found = transformed(np.linspace(0, 1, 11), exponent)
    assert found[0] == pytest.approx(0)
    assert found[-1] == pytest.approx(1)
    assert (np.diff(found) >= 0).all()


@given(numbers)
def test_one_objective_chooses_the_first_best_whatever_its_weight(values):
    for weight in (0.1, 1.0, 7.0):
        assert choose([felt(weight)], candidates(values)) == values.index(max(values))


@given(numbers)
def test_without_weight_the_plain_answer_stays(values):
    assert choose([], candidates(values)) == choose([felt(0.0)], candidates(values)) == 0


@given(numbers)
def test_equal_and_opposite_objectives_never_choose_a_worse_one_than_either_alone(values):
    both = together([felt(), felt(sign=-1.0)], candidates(values))
    assert both.shape == (len(values),)
    more = choose([felt(3.0), felt(sign=-1.0)], candidates(values))
    assert values[more] == max(values)


def test_nothing_to_choose_from_is_an_error():
    with pytest.raises(ValueError, match="no candidate"):
        choose([felt()], [])


def test_length_is_nearest_to_the_asked_one():
    texts = [Candidate("a", 1), Candidate("a b c", 3), Candidate("a b c d e f", 6)]
    assert choose([by_length(3)], texts) == 1


def test_between_answers_that_please_alike_the_one_that_keeps_to_the_question_is_chosen():
    made = [Candidate(text, 1, np.full((1, 1), value, dtype=np.float32))
            for text, value in (("off", 1.1), ("on", 1.0), ("disliked", -2.0))]  # fmt: skip
    judge = Reward(np.ones((1, 1), dtype=np.float32), 2.0, wilson(9, 10), 8, 32)
    cosines = {"off": 0.2, "on": 0.7, "disliked": 0.9}
    objective = by_reward_on_subject(judge, lambda texts: [cosines[text] for text in texts])
    wanted = [2 * value + NEARNESS * cosines[text] for text, value in (("off", 1.1), ("on", 1.0))]
    assert objective.scores(made)[:2] == pytest.approx(wanted)
    assert choose([objective], made) == 1
    assert choose([by_reward(judge)], made) == 0


def test_keywords_count_once_each_and_as_whole_words():
    texts = [Candidate("Rainy days", 2), Candidate("Rain, rain and SNOW.", 4), Candidate("", 0)]
    assert by_words(["rain", "Snow"]).scores(texts) == [0.0, 1.0, 0.0]
    assert by_words(["rain", "hail"]).scores(texts) == [0.0, 0.5, 0.0]
    assert choose([by_words(["snow"])], texts) == 1


def test_an_answer_without_states_is_the_worst():
    good = Candidate("x", 1, np.ones((1, 2), dtype=np.float32))
    assert by_reward(reward_of(np.asarray([[-5.0, 0.0]]))).scores([good, Candidate("", 0)]) == [-5.0, -6.0]


def test_tilting_by_hand():
    logits = torch.tensor([1.0, 2.0, 0.0, -1.0])
    found = value.tilted(logits, torch.tensor([3.0, 1.0]), torch.tensor([1, 0]), beta=2.0)
    assert found.tolist() == [1.0 - 2.0, 2.0 + 2.0, -torch.inf, -torch.inf]
    assert torch.equal(value.tilted(logits, torch.tensor([3.0]), torch.tensor([1]), beta=0.0), logits)


@given(st.floats(-4, 4), st.floats(0.1, 5))
@settings(deadline=None)
def test_what_all_tokens_are_worth_alike_tilts_nothing(level, beta):
    logits, tokens = torch.tensor([0.5, -0.5, 2.0]), torch.tensor([0, 1, 2])
    found = value.tilted(logits, torch.full((3,), level), tokens, beta)
    torch.testing.assert_close(found, logits)


def test_value_sampling_without_beta_is_the_plain_sample_and_costs_as_much():
    plain = Writer(tiny.base(), CHAT)([None], [5], 12)[0].candidate
    found = value.write(tiny.base(), CHAT, tiny_reward(), beta=0.0, max_new_tokens=12, seed=5)
    assert (found.text, found.token_count) == (plain.text, plain.token_count)
    assert found.tokens_per_token == 1


def test_value_sampling_raises_the_reward_and_states_its_cost():
    reward = tiny_reward()

    def mean_reward(beta: float) -> float:
        from personalization.models.logprobs import Completions
        from personalization.steering.capture import mean_states

        texts = [
            value.write(tiny.base(), CHAT, reward, beta=beta, top_k=8, max_new_tokens=8, seed=s).text
            for s in range(8)
        ]
        states = mean_states(tiny.base(), Completions.encode(tiny.base(), [(CHAT, t) for t in texts if t]))
        return float(reward.of(states[:, list(layers_of(tiny.LAYERS))].numpy()).mean())

    assert mean_reward(1.0) > mean_reward(0.0)
    told = value.write(tiny.base(), CHAT, reward, beta=1.0, top_k=8, max_new_tokens=8, seed=0)
    assert told.tokens_per_token >= 8


def test_a_seed_writes_the_same_again():
    reward = tiny_reward()
    one, same, other = (
        value.write(tiny.base(), CHAT, reward, top_k=4, max_new_tokens=8, seed=s).text for s in (1, 1, 2)
    )
    assert one == same != other


def test_a_beginning_goes_on_as_if_it_had_never_stopped():
    """Pieces of an answer hold the states of the whole, read at once."""
    from personalization.engine.states import read

    writer = Writer(tiny.base(), CHAT)
    first, _ = writer([None, None], [3, 8], 4)
    other, again = writer([first, first], [9, 4], 5)
    longer = again.candidate
    assert other.candidate.text != longer.text
    with pytest.raises(ValueError, match="one call"):
        writer([first, again], [1, 2], 5)
    assert longer.text.startswith(first.candidate.text.rstrip("\ufffd"))
    if "\ufffd" not in longer.text:
        np.testing.assert_allclose(
            longer.states, read(tiny.base(), CHAT, longer.text).means, rtol=1e-3, atol=1e-4
        )


def test_looking_ahead_without_an_objective_is_the_plain_answer():
    writer = Writer(tiny.base(), CHAT)
    plain = writer(writer([None], [0], 5), [6], 5)[0].candidate
    for objectives in ([], [felt(0.0)]):
        found = search(writer, objectives, segment=5, beams=3, keep=2, rounds=2, seed=0)
        assert found.tokens_per_token == 1
        assert found.candidate.text == search(writer, [], segment=5, rounds=2, seed=0).candidate.text
    one = search(writer, [by_length(3)], segment=5, beams=1, keep=1, rounds=1, seed=0)
    assert one.candidate.text == writer([None], [0], 5)[0].candidate.text
    assert plain.token_count == 10


def letters(starts: Sequence[Beginning | None], seeds: Sequence[int], tokens: int) -> list[Beginning]:
    """Write random letters; an answer ends after eight."""
    found = []
    for start, seed in zip(starts, seeds, strict=True):
        drawn = "".join(np.random.default_rng(seed).choice(list("ab"), size=tokens))
        text = ((start.candidate.text if start else "") + drawn)[:8]
        found.append(Beginning(Candidate(text, len(text)), len(text) == 8))
    return found


def test_looking_ahead_finds_more_of_what_is_asked_for():
    counted = Objective("a", lambda them: [c.text.count("a") for c in them])
    gained = []
    for seed in range(0, 2000, 100):  # far apart: a search uses the seeds that follow
        found = search(letters, [counted], segment=2, beams=4, keep=2, rounds=6, seed=seed)
        alone = search(letters, [], segment=2, rounds=6, seed=seed)
        gained.append(found.candidate.text.count("a") - alone.candidate.text.count("a"))
        assert 1 < found.tokens_per_token <= 8
        assert alone.tokens_per_token == 1
    assert np.mean(gained) > 2  # of eight letters, half of which are right by chance


def test_a_search_without_beams_is_an_error():
    with pytest.raises(ValueError, match="at least 1"):
        search(letters, [], beams=0)


def test_tokens_that_are_read_side_by_side_do_not_see_each_other():
    """Their rewards, and the logits after the one that is kept, are those of texts that are read alone."""
    from personalization.models.prompts import encode_chat

    base, reward, prompt = tiny.base(), tiny_reward(), encode_chat(tiny.base(), CHAT)
    together = value._Text(base, prompt, reward)
    so_far, tokens = list(prompt), torch.tensor([5, 17, 40])
    for kept in (17, 5):
        found = together.read(tokens)
        for token, its_reward in zip(tokens.tolist(), found.tolist(), strict=True):
            alone = value._Text(base, so_far, reward)
            assert alone.read(torch.tensor([token])).item() == pytest.approx(its_reward, rel=1e-4, abs=1e-5)
        together.keep(kept)
        so_far.append(kept)
        torch.testing.assert_close(
            together.logits, value._Text(base, so_far, reward).logits, rtol=1e-4, atol=1e-5
        )

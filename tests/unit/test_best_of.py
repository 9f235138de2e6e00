"""Best-of-n as a stream: one attempt is the plain answer, several are all paid for, one is handed out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from personalization.decoding.objectives import Objective, by_length, by_reward
from personalization.engine.best_of import BestOf
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Intervention, Sampling, Token
from personalization.models.personal import save_vectors
from personalization.records import Message
from personalization.statistics import wilson
from personalization.steering.instant import layers_of
from personalization.steering.reward import Reward
from tests import tiny


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    torch.set_num_threads(1)
    made = LocalEngine(tiny.base(), max_rows=8)
    yield made
    made.close()


def asked(seed: int = 1, *, tokens: int = 12, system: str = "", parts=()) -> GenerationRequest:
    messages = (*((Message("system", system),) if system else ()), Message("user", "hello"))
    return GenerationRequest("r", messages, Sampling(seed=seed, max_new_tokens=tokens), tuple(parts))


def end_of(stream) -> Finished:
    end = list(stream)[-1]
    assert isinstance(end, Finished)
    return end


def alone(engine: LocalEngine, request: GenerationRequest, place: int = 0) -> Finished:
    seeded = replace(request.sampling, seed=request.sampling.seed + place)
    return end_of(engine.submit(replace(request, sampling=seeded)))


def reward() -> Reward:
    shape = (len(layers_of(tiny.LAYERS)), tiny.HIDDEN)
    weights = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return Reward(weights, 1.0, wilson(9, 10), 8, 32)


def test_one_attempt_is_the_plain_answer(engine):
    plain, best = alone(engine, asked()), BestOf(engine, asked(), 1, [by_length(0)])
    assert end_of(best).text == plain.text
    assert best.chosen.place == 0
    assert best.chosen.tokens == plain.token_count


def test_without_an_objective_the_plain_answer_is_kept(engine):
    plain = alone(engine, asked())
    for objectives in ([], [by_reward(reward(), weight=0.0)]):
        assert end_of(BestOf(engine, asked(), 4, objectives)).text == plain.text


def test_the_attempt_of_the_highest_reward_is_handed_out_whole_and_all_are_counted(engine):
    ends = [alone(engine, asked(), i) for i in range(4)]
    values = [float(reward().of(end.states.means[None])[0]) if end.states else -np.inf for end in ends]
    best = BestOf(engine, asked(), 4, [by_reward(reward())])
    *tokens, end = list(best)
    assert best.chosen.place == int(np.argmax(values))
    assert end.text == ends[best.chosen.place].text
    assert "".join(token.text for token in tokens if isinstance(token, Token)) == end.text
    assert best.chosen.tokens == sum(each.token_count for each in ends)
    assert best.next() == end  # read again, as any stream


def test_the_same_request_chooses_the_same_again(engine):
    one, two = (BestOf(engine, asked(), 4, [by_reward(reward())]) for _ in range(2))
    assert end_of(one).text == end_of(two).text
    assert one.chosen == two.chosen


def test_what_shapes_the_answers_is_not_in_the_states_that_judge_them(engine, tmp_path):
    """A system message and a vector act; the reward reads what the base model holds on the chat alone."""
    (tmp_path / "vector").mkdir()
    save_vectors(tiny.vectors(seed=2), tmp_path / "vector")
    request = asked(system="Shout.", parts=[Intervention("vector", tmp_path / "vector", "v", 0.2)])
    seen = []

    def look(candidates):
        seen.extend(candidates)
        return [0.0] * len(candidates)

    end_of(BestOf(engine, request, 2, [Objective("look", look)]))
    assert len(seen) == 2
    for each in seen:
        expected = engine.read([Message("user", "hello")], each.text).means
        np.testing.assert_allclose(each.states, expected, rtol=1e-5, atol=1e-5)


def test_stopping_ends_all_attempts_with_the_plain_text_so_far(engine):
    best = BestOf(engine, asked(tokens=400), 4, [by_length(0)])
    best.cancel()
    assert end_of(best).reason == "cancelled"
    assert best.chosen is None


def test_an_error_of_all_attempts_is_the_error_of_the_answer(engine, tmp_path):
    broken = asked(parts=[Intervention("vector", tmp_path / "nowhere", "gone", 1.0)])
    end = end_of(BestOf(engine, broken, 3, [by_length(0)]))
    assert (end.reason, bool(end.error)) == ("error", True)

"""Who asks gets what they would get alone, from transformers and PEFT, whoever else is being answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from personalization.engine.local import LocalEngine
from tests import tiny
from tests.vllm.asking import alone, finish, outcome, request
from tests.vllm.conftest import HIDDEN, PEOPLE


@pytest.fixture(scope="module")
def local(base):
    made = LocalEngine(base)
    yield made
    made.close()


def test_the_base_model_writes_what_transformers_writes(engine, base):
    end = finish(engine.submit(request("hello")))
    assert (end.text, end.token_count) == alone(base, "hello")
    assert end.token_count > 5


def test_two_people_at_once_each_get_what_peft_gives_with_their_adapter(engine, base, store):
    adapters = [store.adapter(seed=1, rank=2), store.adapter(seed=2, rank=4)]
    streams = [
        engine.submit(request("tell me", owner=str(i), interventions=[adapter], max_new_tokens=60))
        for i, adapter in enumerate(adapters)
    ]
    ends = [finish(stream) for stream in streams]
    expected = [alone(base, "tell me", adapter=adapter, tokens=60) for adapter in adapters]
    assert [(end.text, end.token_count) for end in ends] == expected
    assert expected[0] != expected[1] != alone(base, "tell me", tokens=60)


def test_a_vector_for_each_person_acts_as_hooks_in_transformers_do(engine, base, store):
    vectors = [tiny.vectors(seed=k, size=2.0, hidden=HIDDEN) for k in range(PEOPLE)]
    streams = [
        engine.submit(request("x" * 5 * k, owner=str(k), interventions=[store.vector(k, vectors=each)]))
        for k, each in enumerate(vectors)
    ]
    plain = engine.submit(request("hello"))  # among people who have one
    for k, each in enumerate(vectors):
        end = finish(streams[k])
        assert (end.text, end.token_count) == alone(base, "x" * 5 * k, vectors=each)
        assert end.text != alone(base, "x" * 5 * k)[0]
    end = finish(plain)
    assert (end.text, end.token_count) == alone(base, "hello")


def test_adapters_and_vectors_together_at_strengths_are_the_in_process_engines(engine, local, store):
    adapters = [store.adapter(seed=k, rank=2 + 2 * (k % 2)) for k in range(PEOPLE)]
    vectors = [store.vector(k) for k in range(PEOPLE)]
    asked = [
        request(
            "abc " * k,
            owner=str(k % 3),
            max_new_tokens=10 + 5 * k,
            interventions=[
                replace(adapters[k], strength=0.5 + 0.25 * (k % 4)),
                replace(adapters[(k + 1) % PEOPLE], strength=0.3),
                replace(vectors[k], strength=1.5 if k % 2 else 0.75),
                replace(vectors[(k + 2) % PEOPLE], strength=0.0 if k == 4 else 0.4),
            ],
        )
        for k in range(PEOPLE)
    ]
    for _ in range(2):  # the second time everything is at hand, and prefixes are known
        ours = [outcome(finish(stream)) for stream in [engine.submit(each) for each in asked]]
        assert ours == [outcome(finish(local.submit(each))) for each in asked]
    assert len({text for _, text, _ in ours}) == PEOPLE


def test_stop_strings_limits_and_penalties_act_as_in_the_in_process_engine(engine, local):
    whole = finish(engine.submit(request("tell me")))
    penalties = {"presence_penalty": 1.0, "frequency_penalty": 0.5}
    for changes in ({"stop": [whole.text[6:9]]}, {"stop": ["never!"]}, {"max_new_tokens": 1}, penalties):
        asked = request("tell me", **changes)
        assert outcome(finish(engine.submit(asked))) == outcome(finish(local.submit(asked)))


def test_a_seed_gives_the_same_draw_again_and_another_seed_another(engine):
    def draw(seed: int) -> str:
        return finish(engine.submit(request("dice", temperature=1.0, top_p=0.9, seed=seed))).text

    assert draw(1) == draw(1) != draw(2)

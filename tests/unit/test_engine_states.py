"""The states gathered while an answer is written are those that a forward pass over the same text gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from django.conf import settings
from safetensors.torch import save_file

from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Intervention, Sampling
from personalization.engine.states import RunningStates
from personalization.models.base import BaseModel, load
from personalization.models.logprobs import Completions
from personalization.models.prompts import encode_chat
from personalization.records import Message
from personalization.steering.capture import mean_states
from personalization.steering.instant import layers_of
from tests import tiny

# Components go up to about 8, and the order of float32 sums differs with the batch and the processor: one in
# 144 was 1.5e-5 away in CI. A token too many or too few moves them by 1e-2 and more.
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    made = LocalEngine(tiny.base(), max_rows=4)
    yield made
    made.close()


class Read:
    """Which tokens each row was given, in order: what the states must be the mean over."""

    def __init__(self, engine: LocalEngine) -> None:
        self.tokens: dict[str, list[int]] = {}
        self._engine, self._step = engine, engine._batch.step
        engine._batch.step = self._watched

    def _watched(self) -> torch.Tensor:
        for answer in self._engine._batch.rows:
            self.tokens.setdefault(answer.request.id, []).append(answer.last_token)
        return self._step()

    def stop(self) -> None:
        self._engine._batch.step = self._step


def answers(engine: LocalEngine, requests: list[GenerationRequest]) -> tuple[list[Finished], Read]:
    read = Read(engine)
    streams = [engine.submit(each) for each in requests]
    ends = [list(stream)[-1] for stream in streams]
    read.stop()
    assert all(isinstance(end, Finished) for end in ends)
    return ends, read  # type: ignore[return-value]


def expected(base: BaseModel, request: GenerationRequest, tokens: list[int]) -> np.ndarray:
    prompt = tuple(encode_chat(base, request.messages))
    whole = mean_states(base, Completions((prompt,), (tuple(tokens),)))
    return whole[0, list(layers_of(len(base.layers)))].numpy()


def asked(i: int, *parts: Intervention, tokens: int = 20, text: str = "hello") -> GenerationRequest:
    sampling = Sampling(temperature=1.0, seed=i, max_new_tokens=tokens)
    return GenerationRequest(f"r{i}", (Message("user", text * (i + 1)),), sampling, tuple(parts))


def test_every_plain_row_has_the_states_of_a_pass_over_its_own_text(engine, tmp_path):
    tiny.save_adapter(tmp_path / "adapter", seed=1)
    (tmp_path / "vector").mkdir()
    steering = {f"layer.{i}.{s}": v for (i, s), v in tiny.vectors(seed=3, size=4.0).sites.items()}
    save_file(steering, tmp_path / "vector/steering.safetensors")
    adapter, vector = (Intervention(k, tmp_path / k, k) for k in ("adapter", "vector"))  # type: ignore[arg-type]
    # More than fit at once, of different lengths: rows join and leave in the middle and change places.
    requests = [asked(i, tokens=5 + 7 * (i % 3)) for i in range(6)]
    requests += [asked(6, adapter), asked(7, vector), asked(8)]
    ends, read = answers(engine, requests)
    for request, end in zip(requests, ends, strict=True):
        if request.interventions:
            assert end.states is None  # nobody may take them for the base model's
            continue
        assert end.states is not None
        assert end.states.tokens == len(read.tokens[request.id]) >= end.token_count - 1
        np.testing.assert_allclose(
            end.states.means, expected(tiny.base(), request, read.tokens[request.id]), **CLOSE
        )


def test_states_do_not_depend_on_who_else_is_in_the_batch(engine):
    requests = [asked(i) for i in range(4)]
    together, _ = answers(engine, requests)
    for request, end in zip(requests, together, strict=True):
        (alone,), _ = answers(engine, [request])
        np.testing.assert_allclose(end.states.means, alone.states.means, **CLOSE)


def test_reading_between_steps_gives_the_same_and_harms_no_row(engine):
    request = asked(1, tokens=200)
    (alone,), read = answers(engine, [request])
    stream = engine.submit(request)
    next(iter(stream))
    found = engine.read(request.messages, alone.text)
    assert list(stream)[-1].text == alone.text
    ids = tiny.base().tokenizer.encode(alone.text)
    assert found.tokens == len(ids)
    np.testing.assert_allclose(found.means, expected(tiny.base(), request, ids), **CLOSE)
    assert read.tokens


def test_an_errand_that_fails_tells_its_caller_and_nobody_else(engine):
    with pytest.raises(ValueError, match="without a token"):
        engine.read((Message("user", "a"),), "")
    (end,), _ = answers(engine, [asked(0)])
    assert end.reason in ("eos", "length")


def test_an_answer_that_ends_before_a_token_was_read_has_no_states():
    running = RunningStates(tiny.base(), max_rows=2)
    running.join(1)
    assert running.of(0) is None


@pytest.mark.model
def test_on_the_real_model_as_well():
    base = load("embedded", settings.MODEL_DIR, threads=1)
    engine = LocalEngine(base, max_rows=4)
    try:
        questions = ("Hi!", "Why is the sky blue?", "Name three fruits.")
        requests = [asked(i, tokens=12 + 6 * i, text=q) for i, q in enumerate(questions)]
        ends, read = answers(engine, requests)
    finally:
        engine.close()
    for request, end in zip(requests, ends, strict=True):
        whole = expected(base, request, read.tokens[request.id])
        assert end.states.layers == (10, 14, 18, 22)
        error = np.abs(end.states.means - whole).max() / np.abs(whole).mean()
        assert error < 1e-3

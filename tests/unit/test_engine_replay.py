"""A step that is played back gives what the step gives, whoever joins, leaves or fails meanwhile."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache, LlamaForCausalLM

from personalization.engine import replay
from personalization.engine.cache import RowCache
from personalization.engine.fused import FusedDecoder
from personalization.engine.local import LocalEngine
from personalization.engine.replay import CudaGraphs
from personalization.engine.requests import GenerationRequest
from personalization.engine.states import RunningStates
from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from tests import tiny
from tests.unit.recorder import Recorder
from tests.unit.test_engine_fused import adapter
from tests.unit.test_engine_local import acting, finish, outcome, request, store  # noqa: F401 - a fixture

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def engine(base: BaseModel | None = None, **options) -> LocalEngine:
    return LocalEngine(base or tiny.base(), **{"max_rows": 6, **options})


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def engines(recorder) -> Iterator[tuple[LocalEngine, LocalEngine]]:
    plain, replayed = engine(), engine(capture=recorder)
    yield plain, replayed
    plain.close()
    replayed.close()


people = st.tuples(
    st.text(alphabet="abc ", max_size=90),
    st.lists(st.tuples(st.sampled_from(["adapter", "vector"]), st.integers(0, 6)), max_size=2),
    st.sampled_from([0.0, 0.9]),
    st.integers(1, 40),
)


@given(st.lists(people, min_size=1, max_size=8))
@settings(max_examples=4, deadline=None)
def test_everybody_gets_the_same_from_a_recording(engines, store, schedule) -> None:  # noqa: F811
    requests = [
        request(
            text,
            interventions=[acting(store, kind, person, 0.5 + 0.25 * k) for kind, person in parts],
            temperature=temperature,
            seed=k,
            max_new_tokens=length,
        )
        for k, (text, parts, temperature, length) in enumerate(schedule)
    ]
    plain, replayed = ([each.submit(one) for one in requests] for each in engines)
    for one, other in zip(plain, replayed, strict=True):
        wanted, found = finish(one), finish(other)
        assert outcome(found) == outcome(wanted)
        assert (found.states is None) == (wanted.states is None)
        if wanted.states is not None and found.states is not None:
            torch.testing.assert_close(
                torch.from_numpy(found.states.means),
                torch.from_numpy(wanted.states.means),
                rtol=1e-4,
                atol=1e-4,
            )


def test_a_recording_serves_many_steps_and_whoever_comes(store) -> None:  # noqa: F811
    own = Recorder()
    made = engine(capture=own)
    steady = made.submit(request("a", temperature=1.0, max_new_tokens=150))
    for person in (1, 3, 5, 1):  # they come and go beside it
        finish(made.submit(request("b", interventions=[acting(store, "adapter", person)], max_new_tokens=20)))
    steady.cancel()
    made.close()
    assert own.replayed > 60
    # One row and two, without adapters and with, and more space twice.
    assert own.captured <= 10


def test_a_row_that_overflows_says_nothing_against_a_recording() -> None:
    wanted = torch.tensor([[1.0, 2.0], [torch.nan, 0.0]])
    assert replay._agree(wanted.clone(), wanted, 1e-3)
    assert not replay._agree(wanted * 1.1, wanted, 1e-3)
    assert not replay._agree(torch.full_like(wanted, torch.nan), wanted, 1e-3)


@pytest.mark.parametrize("fault", ["cannot", "wrong"])
def test_what_cannot_be_recorded_or_comes_out_otherwise_is_computed_step_by_step(fault, caplog) -> None:
    def faulty(step):
        if fault == "cannot":
            raise RuntimeError("operation not permitted when stream is capturing")
        logits, seen = step()
        return lambda: (logits * 1.2, seen)

    plain, made = engine(), engine(capture=faulty)
    with caplog.at_level(logging.WARNING):
        assert outcome(finish(made.submit(request()))) == outcome(finish(plain.submit(request())))
    assert caplog.text.count("not replayed from graphs any more") == 1
    plain.close()
    made.close()


@torch.inference_mode()
def test_no_pass_waits_for_the_device_or_takes_anything_from_elsewhere() -> None:
    """Torch's "meta" has no numbers: asking for one, or mixing in what lies elsewhere, is an error."""
    with torch.device("meta"):
        model = LlamaForCausalLM(tiny.config()).eval().requires_grad_(False)
    base = BaseModel(model, tiny.base().tokenizer, "nowhere", "nowhere")
    decoder, interventions = FusedDecoder(base, "exact"), Interventions(base)
    first, second = (Row(adapters=((adapter(tiny.base(), seed), 0.5),)) for seed in (1, 2))
    rows = [first, second, Row(vectors=((tiny.vectors(seed=1), 1.0),))]
    ids, past = torch.zeros(3, 12, dtype=torch.long, device="meta"), DynamicCache()
    decoder.read(ids, interventions.plan(rows, decoder.joints, prompts=True), past)
    cache = RowCache(len(base.layers), max_rows=4, max_tokens=400, device=base.device)
    cache.append(past, [12, 10, 8], [0, 1, 2])
    states = RunningStates(base, max_rows=4)
    states.join(3)
    for each in (rows, [first, first, Row()]):  # stacked, and a product for two
        cache.ready()
        plan = interventions.plan(each, decoder.joints)
        logits, seen = decoder.step(ids[:, :1], plan, cache, states.layers)
        states.add(seen)
        cache.grown()
        assert logits.is_meta


def moved() -> BaseModel:
    base = tiny.base()
    return BaseModel(copy.deepcopy(base.model).to("cuda"), base.tokenizer, base.name, base.revision)


def mixed(store: Path) -> list[GenerationRequest]:  # noqa: F811
    parts = [(), ("adapter",), ("vector",), ("adapter", "vector"), ("adapter",), ()]
    return [
        request(
            "x" * 7 * k, interventions=[acting(store, kind, k) for kind in kinds], max_new_tokens=20 + 9 * k
        )
        for k, kinds in enumerate(parts)
    ]


@needs_gpu
@pytest.mark.parametrize("is_replayed", [False, True])
def test_on_a_gpu_a_batch_writes_what_it_writes_here(store, is_replayed, caplog) -> None:  # noqa: F811
    here = engine()
    wanted = [outcome(finish(stream)) for stream in [here.submit(each) for each in mixed(store)]]
    here.close()
    there = engine(moved(), capture=CudaGraphs(torch.device("cuda")) if is_replayed else None)
    for _ in range(2):  # the second time from recordings and with known prefixes
        found = [outcome(finish(stream)) for stream in [there.submit(each) for each in mixed(store)]]
        assert found == wanted
    assert "not replayed" not in caplog.text
    there.close()


@needs_gpu
def test_on_a_gpu_drawing_and_reading_states_work(store) -> None:  # noqa: F811
    made = engine(moved())
    drawn = request("dice", temperature=1.0, top_p=0.9, seed=1, frequency_penalty=0.5)
    first, again = (finish(made.submit(drawn)) for _ in range(2))
    assert first.text == again.text
    assert first.states is not None
    assert made.read(drawn.messages, "an answer").tokens > 0
    made.close()

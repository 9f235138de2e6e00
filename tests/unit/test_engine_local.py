"""A batch of many people is exact: each gets the tokens that they would get alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Intervention, Sampling, Token
from personalization.errors import EngineBusy
from personalization.models.personal import load_adapter
from personalization.models.prompts import encode_chat
from personalization.records import Message
from tests import tiny

PEOPLE = 7


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    for k in range(PEOPLE):
        tiny.save_adapter(root / f"adapter{k}", seed=k, rank=2 + 2 * (k % 2))
        (root / f"vector{k}").mkdir()
        sites = tiny.vectors(seed=k, size=2.0).sites
        save_file(
            {f"layer.{i}.{s}": v for (i, s), v in sites.items()}, root / f"vector{k}/steering.safetensors"
        )
    return root


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    made = LocalEngine(tiny.base(), max_rows=4)
    yield made
    made.close()


def request(text: str = "hello", *, interventions=(), **sampling) -> GenerationRequest:
    rules = Sampling(**{"temperature": 0.0, "max_new_tokens": 24, **sampling})
    return GenerationRequest("r", (Message("user", text),), rules, tuple(interventions))


def acting(store: Path, kind: str, person: int, strength: float = 1.0) -> Intervention:
    folder = store / f"{'adapter' if kind == 'adapter' else 'vector'}{person}"
    return Intervention(kind, folder, str(folder), strength)  # type: ignore[arg-type]


def finish(stream) -> Finished:
    *tokens, last = list(stream)
    assert isinstance(last, Finished)
    assert "".join(t.text for t in tokens if isinstance(t, Token)) == last.text
    return last


def outcome(finished: Finished) -> tuple[str, str, int]:
    return finished.reason, finished.text, finished.token_count


people = st.tuples(
    st.text(alphabet="abc ", min_size=0, max_size=60),
    st.lists(st.tuples(st.sampled_from(["adapter", "vector"]), st.integers(0, PEOPLE - 1)), max_size=2),
    st.sampled_from([0.5, 1.0, 1.5]),
    st.sampled_from([0.0, 0.9]),
    st.integers(1, 24),
)


@given(st.lists(st.tuples(people, st.integers(0, 6)), min_size=2, max_size=9))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whoever_is_in_the_batch_and_whenever_they_came_each_gets_their_own(engine, store, schedule) -> None:
    requests, streams = [], []
    for k, ((text, parts, strength, temperature, length), after) in enumerate(schedule):
        mine = [acting(store, kind, person, strength) for kind, person in parts]
        requests.append(
            request(text, interventions=mine, temperature=temperature, seed=k, max_new_tokens=length)
        )
        streams.append(engine.submit(requests[-1]))
        time.sleep(after / 1000)  # a step takes about 2 ms: later ones join in the middle
    together = [outcome(finish(stream)) for stream in streams]
    assert together == [outcome(finish(engine.submit(each))) for each in requests]


def test_a_full_batch_of_different_adapters_equals_peft_alone(engine, store) -> None:
    streams = [
        engine.submit(request("x" * (3 * k), interventions=[acting(store, "adapter", k)]))
        for k in range(PEOPLE)
    ]
    for k, stream in enumerate(streams):
        fresh = LlamaForCausalLM(tiny.base().model.config)
        fresh.load_state_dict(tiny.base().model.state_dict())
        model = PeftModel.from_pretrained(fresh, store / f"adapter{k}").eval()
        prompt = encode_chat(tiny.base(), [Message("user", "x" * (3 * k))])
        ids = model.generate(
            input_ids=torch.tensor([prompt]), do_sample=False, max_new_tokens=24, pad_token_id=2
        )[0, len(prompt) :].tolist()
        ours = finish(stream)
        text = tiny.base().tokenizer.decode(ids, skip_special_tokens=True).replace("\ufffd", "")
        assert (ours.text, ours.token_count) == (text, len(ids) - ids.count(2))


def test_a_failed_step_ends_who_was_in_it_and_the_engine_goes_on(engine, store, monkeypatch) -> None:
    before = outcome(finish(engine.submit(request())))
    mine = request("a", interventions=[acting(store, "adapter", 1), acting(store, "vector", 1)])
    step = engine._batch.step
    monkeypatch.setattr(engine._batch, "step", lambda: (_ for _ in ()).throw(RuntimeError("no memory")))
    failed = finish(engine.submit(mine))
    monkeypatch.setattr(engine._batch, "step", step)
    assert failed.reason == "error"
    assert failed.error == "The answer could not be written: no memory"
    assert outcome(finish(engine.submit(request()))) == before
    assert not any(module._forward_hooks for module in tiny.base().model.modules())


def test_one_who_cannot_start_does_not_keep_the_others_from_starting(engine, monkeypatch) -> None:
    expected = outcome(finish(engine.submit(request("good"))))
    read = engine._batch.read

    def fail_on_bad(reading, tokens):
        if any(a.request.messages[0].content == "bad" for a in reading.answers):
            raise RuntimeError("broken")
        return read(reading, tokens)

    monkeypatch.setattr(engine._batch, "read", fail_on_bad)
    streams = [engine.submit(request(text)) for text in ("good", "bad", "good")]
    ends = [finish(stream) for stream in streams]
    assert [end.reason == "error" for end in ends] == [False, True, False]
    assert outcome(ends[0]) == outcome(ends[2]) == expected


def test_an_adapter_that_makes_the_model_overflow_harms_nobody_else(engine, store, tmp_path) -> None:
    (tmp_path / "v").mkdir()
    save_file({"layer.0.output": torch.full((48,), torch.inf)}, tmp_path / "v/steering.safetensors")
    bad = Intervention("vector", tmp_path / "v", "overflow")
    alone = outcome(finish(engine.submit(request("fine"))))
    for _ in range(3):  # the slot that it leaves behind is used again
        # The short row takes the broken one's place, and the long one makes it look at all of it.
        streams = [
            engine.submit(request("b" * 80, interventions=[bad])),
            engine.submit(request("c" * 80, max_new_tokens=60)),
            engine.submit(request("fine")),
        ]
        assert finish(streams[0]).reason == "error"
        assert finish(streams[1]).reason != "error"
        assert outcome(finish(streams[2])) == alone


def test_cancel_ends_an_answer_at_the_next_step_and_keeps_what_was_written(engine) -> None:
    stream = engine.submit(request("count", max_new_tokens=300, temperature=1.0, seed=3))
    first = next(iter(stream))
    stream.cancel()
    *_, end = stream
    assert isinstance(first, Token)
    assert end.reason == "cancelled"
    assert end.text.startswith(first.text)
    assert end.token_count < 300


def test_a_full_queue_is_refused_and_closing_ends_everybody() -> None:
    small = LocalEngine(tiny.base(), max_rows=1, queue_limit=1)
    running = threading.Event()
    step = small._batch.step

    def held() -> torch.Tensor:
        running.set()
        time.sleep(0.05)
        return step()

    small._batch.step = held
    first = small.submit(request("a", max_new_tokens=300, temperature=1.0))
    running.wait(10)
    second = small.submit(request("b"))
    with pytest.raises(EngineBusy, match="1 answers are waiting"):
        small.submit(request("c"))
    small.close()
    assert [finish(first).reason, finish(second).reason] == ["cancelled", "cancelled"]
    with pytest.raises(EngineBusy, match="shutting down"):
        small.submit(request("d"))


def test_a_prompt_that_is_too_long_and_a_missing_artifact_are_explained(engine, tmp_path) -> None:
    long = finish(engine.submit(request("x" * 600)))
    assert long.reason == "error"
    assert "too long for tiny" in long.error
    gone = finish(engine.submit(request(interventions=[Intervention("adapter", tmp_path / "no", "no")])))
    assert gone.reason == "error"
    assert "cannot be read" in gone.error


def test_the_context_ends_an_answer_that_would_outgrow_it(engine) -> None:
    room = tiny.base().context_length - len(encode_chat(tiny.base(), [Message("user", "x" * 400)]))
    for seed in range(5):
        end = finish(engine.submit(request("x" * 400, temperature=2.0, seed=seed, max_new_tokens=500)))
        assert end.reason in ("length", "eos")
        assert end.token_count <= room


def test_adapters_are_kept_up_to_their_bytes_the_last_used_longest(store):
    def size(person: int) -> int:
        return sum(
            each.nbytes
            for pair in load_adapter(store / f"adapter{person}", is_short=True).modules.values()
            for each in pair
        )

    made = LocalEngine(tiny.base(), max_rows=2, artifact_bytes=size(0) + size(1))
    texts = {}
    for person in (0, 1, 0, 2, 1):  # 0 was used after 1, so 1 makes room for 2, and is read again after it
        text = finish(made.submit(request("a", interventions=[acting(store, "adapter", person)]))).text
        assert texts.setdefault(person, text) == text
        kept = [Path(digest).name for digest in made.resident()]
        if person == 2:
            assert kept == ["adapter0", "adapter2"]
    made.close()
    assert kept == ["adapter2", "adapter1"]


def test_an_answer_that_may_not_repeat_itself_does_not(engine):
    plain, other = (finish(engine.submit(request(text, max_new_tokens=60))) for text in ("again", "else"))
    streams = [
        engine.submit(request("again", max_new_tokens=60, frequency_penalty=2.0, presence_penalty=2.0)),
        engine.submit(request("else", max_new_tokens=60)),
    ]
    unlike, same = (finish(stream) for stream in streams)
    assert same.text == other.text
    assert most_often(unlike.text) < most_often(plain.text)


def most_often(text: str) -> int:
    return max(map(text.count, set(text)), default=0)


def test_an_answer_ends_before_its_stop_string_and_the_others_go_on(engine):
    whole = finish(engine.submit(request("tell me", max_new_tokens=24)))
    stop = whole.text[6:9]
    at = whole.text.find(stop)
    streams = [
        engine.submit(request("tell me", max_new_tokens=24, stop=given)) for given in ([stop], [], ["never!"])
    ]
    stopped, plain, missed = (finish(stream) for stream in streams)
    assert (stopped.reason, stopped.text) == ("stop", whole.text[:at])
    assert stopped.token_count <= whole.token_count
    assert stopped.states is None
    assert outcome(plain) == outcome(missed) == outcome(whole)
    assert plain.prompt_token_count == len(encode_chat(engine.base, (Message("user", "tell me"),)))

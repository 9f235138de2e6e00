"""What a person stops is stopped, what is theirs stays theirs, and what cannot be done is said."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from personalization.engine.requests import Intervention, Token
from personalization.engine.vllm.client import VllmEngine
from personalization.engine.vllm.names import name_of
from personalization.errors import EngineBusy
from personalization.models.personal import SteeringVectors
from tests.ports import free_port
from tests.vllm.asking import finish, outcome, request
from tests.vllm.conftest import HIDDEN, KEY

LONG = {"max_new_tokens": 4000}


def wait_until(condition, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.1)


def long_answer(engine: VllmEngine, **changes: object):
    """Return the stream of an answer that is being written and will be for seconds, and its first piece."""
    for k in range(20):  # until one does not end by itself
        stream = engine.submit(request(f"count {k}", **{**LONG, **changes}))
        pieces = list(islice(stream, 8))
        if all(isinstance(piece, Token) for piece in pieces):
            return stream, pieces[0]
    raise AssertionError("every answer was short")


def test_cancelling_ends_the_answer_here_and_on_the_server(engine, server):
    stream, first = long_answer(engine)
    begun = time.monotonic()
    stream.cancel()
    *_, end = stream
    assert time.monotonic() - begun < 2
    assert end.reason == "cancelled"
    assert end.text.startswith(first.text)
    wait_until(lambda: server.metric("num_requests_running") == 0, 5)
    written = server.metric("generation_tokens_total")
    time.sleep(0.5)
    assert server.metric("generation_tokens_total") == written
    assert end.token_count < 2000


def test_an_answer_comes_in_pieces_while_it_is_written(engine):
    *pieces, end = engine.submit(request("go on", max_new_tokens=300))
    assert len(pieces) > 10
    assert end.seconds_to_first_token < end.seconds / 2


def test_nobody_finds_what_was_read_for_another_person_or_under_other_vectors(engine, server, store):
    prompt = "a prompt that two people share, of some hundred tokens, " * 3

    def found(**changes: object) -> float:
        before = server.metric("prefix_cache_hits_total")
        finish(engine.submit(request(prompt, **changes)))
        return server.metric("prefix_cache_hits_total") - before

    vector = store.vector(11)
    assert found(owner="ada") == 0
    assert found(owner="ada") > 100
    assert found(owner="bob") == 0
    assert found(owner="ada", interventions=[vector]) == 0
    assert found(owner="ada", interventions=[replace(vector, strength=0.5)]) == 0
    assert found(owner="ada", interventions=[vector]) > 100
    engine.forget(["bob-or-anybody"])
    wait_until(lambda: found(owner="zoe") == 0 and found(owner="ada") == 0)


def test_one_who_asks_for_much_does_not_keep_another_waiting(engine, server):
    heavy = [
        engine.submit(request("heavy", owner="heavy", max_new_tokens=300, temperature=1.0, seed=k))
        for k in range(16)
    ]
    wait_until(lambda: server.metric("num_requests_waiting") > 8)
    finish(engine.submit(request("light", owner="light", max_new_tokens=2)))
    still_waiting = server.metric("num_requests_waiting")
    for stream in heavy:
        finish(stream)
    assert still_waiting >= 4


def test_a_deadline_ends_an_answer_where_it_is(engine):
    stream, _ = long_answer(engine, deadline=1.5)
    *_, end = stream
    assert (end.reason, end.error) == ("deadline", "")
    assert end.token_count > 0
    assert 1.5 <= end.seconds < 3


def test_an_artifact_that_was_changed_is_gone_or_does_not_fit_is_refused_and_the_rest_goes_on(
    engine, store, tmp_path
):
    expected = outcome(finish(engine.submit(request())))
    changed = store.vector(21)
    file = changed.path / "steering.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    gone = store.adapter(seed=22)
    shutil.rmtree(gone.path)
    (tmp_path / "other").mkdir()
    shutil.copy(store.vector(23).path / "steering.safetensors", tmp_path / "other")
    refused = {
        "files of artifact .* were changed": changed,
        "has no readable manifest": gone,
        r"vector \(7,\) for layer 0 does not fit": store.vector(
            0, vectors=SteeringVectors({(0, "output"): torch.ones(7)})
        ),
        "are not finite": store.vector(
            0, vectors=SteeringVectors({(0, "output"): torch.full((HIDDEN,), torch.inf)})
        ),
        "for layer 3 does not fit": store.vector(
            0, vectors=SteeringVectors({(3, "attention"): torch.ones(HIDDEN)})
        ),
        "rank 32 together, and the vLLM server takes 16": store.adapter(seed=24, rank=32),
        "was made for base model another": store.seal(tmp_path / "other", "vector", model_revision="another"),
    }
    for words, intervention in refused.items():
        end = finish(engine.submit(request(interventions=[intervention])))
        assert (end.reason, end.text) == ("error", "")
        with pytest.raises(AssertionError, match=words):
            raise AssertionError(end.error)
    assert outcome(finish(engine.submit(request()))) == expected


def test_vectors_that_make_the_model_overflow_harm_nobody_else(engine, store):
    huge = SteeringVectors({(0, "output"): torch.full((HIDDEN,), 3e38)})
    broken = store.vector(0, vectors=huge)
    asked = [request("fine" * k, owner=str(k), max_new_tokens=40) for k in range(3)]
    expected = [outcome(finish(engine.submit(each))) for each in asked]
    for _ in range(3):  # what it leaves behind in the cache is used again
        bad = [engine.submit(request("b" * 80, owner="x", interventions=[broken])) for _ in range(2)]
        assert [outcome(finish(stream)) for stream in [engine.submit(each) for each in asked]] == expected
        for stream in bad:
            assert finish(stream).text == ""


def test_what_was_deleted_is_dropped_and_answers_under_way_run_on(engine, server, store):
    asked = request("go on", interventions=[store.adapter(seed=31), store.vector(31)], max_new_tokens=400)
    expected = outcome(finish(engine.submit(asked)))
    name = name_of([(asked.interventions[0].digest, 1.0)])

    def names() -> list[str]:
        return [model["id"] for model in server.ask("GET", "/v1/models").json()["data"]]

    assert name in names()
    running = engine.submit(asked)
    wait_until(lambda: server.metric("num_requests_running") == 1)
    for intervention in asked.interventions:
        shutil.rmtree(intervention.path)
    engine.forget([each.digest for each in asked.interventions])
    assert outcome(finish(running)) == expected
    wait_until(lambda: name not in names())
    end = finish(engine.submit(asked))
    assert end.reason == "error"


def test_nobody_without_the_key_gets_in_and_nothing_but_what_is_needed_is_there(server, tmp_path):
    body = {"model": "x", "prompt": [1]}
    for key in (None, "another-key-0123456789"):
        for path in ("/v1/completions", "/v1/forget", "/v1/load_lora_adapter", "/tokenize"):
            assert server.ask("POST", path, key=key, json=body).status_code == 401
        for path in ("/v1/models", "/metrics", "/docs"):
            assert server.ask("GET", path, key=key).status_code == 401
    adapter = {"lora_name": "mine", "lora_path": str(tmp_path)}
    for path in ("load_lora_adapter", "unload_lora_adapter", "chat/completions", "responses"):
        assert server.ask("POST", f"/v1/{path}", json=adapter).status_code == 404
    for path in ("/collective_rpc", "/tokenize", "/invocations", "/adapters", "/v1/completions/render"):
        assert server.ask("POST", path, json={}).status_code == 404
    for model in (str(tmp_path), "../../etc", "a" * 64, {"a": 1}):
        answer = server.ask("POST", "/v1/completions", json={**body, "model": model})
        assert answer.status_code == 400
    answer = server.ask("POST", "/v1/completions", json={**body, "vllm_xargs": {"steer": "no vector"}})
    assert (answer.status_code, "names no artifacts" in answer.text) == (400, True)


def test_another_base_model_another_key_and_no_server_are_explained(base, server):
    other = VllmEngine(replace(base, revision="other"), server.url, KEY)
    locked = VllmEngine(base, server.url, "another-key-0123456789")
    nobody = VllmEngine(base, f"http://127.0.0.1:{free_port()}", KEY)
    assert "serves another base model" in finish(other.submit(request())).error
    assert "another key than ALIGN_VLLM_KEY" in finish(locked.submit(request())).error
    end = finish(nobody.submit(request(deadline=0.5)))
    assert "nothing was written within" in end.error
    for engine in (other, locked, nobody):
        engine.close()


def test_closing_ends_everybody_and_a_full_queue_is_refused(base, server):
    small = VllmEngine(base, server.url, KEY, queue_limit=2)
    streams = [small.submit(request("a", **LONG)) for _ in range(2)]
    with pytest.raises(EngineBusy, match="2 answers are under way"):
        small.submit(request("b"))
    small.close()
    assert {finish(stream).reason for stream in streams} <= {"cancelled", "eos"}
    with pytest.raises(EngineBusy, match="shutting down"):
        small.submit(request("c"))


def test_the_gate_and_the_reading_use_the_base_model_of_the_worker(engine, base, store):
    from personalization.engine.local import LocalEngine
    from personalization.records import Message

    local = LocalEngine(base)
    vector: Intervention = store.vector(41)
    try:
        assert engine.gate(vector).as_dict() == local.gate(vector).as_dict()
        messages = [Message("user", "hello")]
        ours, theirs = (each.read(messages, "good day") for each in (engine, local))
        assert (ours.means == theirs.means).all()
    finally:
        local.close()


def test_copies_of_adapters_are_for_the_servers_user_alone(server):
    (copies,) = Path(server.log.parent).glob("alignapp-vllm-*")
    assert copies.stat().st_mode & 0o077 == 0

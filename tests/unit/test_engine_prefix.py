"""What was read before is not read again, gives the same tokens, and never crosses people or artifacts."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from personalization.engine import prefix
from personalization.engine.local import LocalEngine
from personalization.engine.prefix import SHORTEST, Key, PrefixCache
from personalization.engine.requests import Finished, GenerationRequest, Intervention, Sampling
from personalization.models.personal import save_vectors
from personalization.models.prompts import encode_chat
from personalization.records import Message
from tests import tiny

LONG = Sampling(temperature=0.9, max_new_tokens=120)
BYTES_A_TOKEN = 2 * 2 * 4  # two layers' worth of one head and one number, float32


def states(tokens: list[int], mark: float) -> torch.Tensor:
    """Return stand-ins for keys and values: each token's own number, so that a mix-up is seen."""
    return torch.tensor([t + mark for t in tokens]).expand(4, 1, -1)[..., None].clone()


TOKENS = st.lists(st.integers(0, 1), min_size=SHORTEST - 2, max_size=SHORTEST + 6)
KEYS = st.sampled_from([Key("a", ()), Key("b", ()), Key("a", (("d", 1.0),)), Key("a", (("d", 0.5),))])


@given(st.lists(st.tuples(st.booleans(), KEYS, TOKENS), max_size=40), st.integers(0, 60))
def test_only_ones_own_longest_beginning_is_found_and_the_ceiling_holds(acts, room):
    cache, known = PrefixCache(room * BYTES_A_TOKEN), []
    for keeps, key, tokens in acts:
        mark = hash(key) % 97 / 100
        if keeps:
            cache.keep(key, tokens, partial(states, tokens, mark))
            known.append((key, tokens))
            assert cache.size_bytes <= room * BYTES_A_TOKEN
            continue
        found = cache.find(key, tokens)
        if found is None:
            continue
        length = found.shape[2]
        assert SHORTEST <= length < len(tokens)
        assert torch.equal(found, states(tokens[:length], mark))
        assert any(owner == key and own[:length] == tokens[:length] for owner, own in known)


def test_what_is_in_reach_is_found():
    cache, tokens = PrefixCache(10**6), list(range(40))
    cache.keep(Key("a", ()), tokens, partial(states, tokens, 0.0))
    cache.keep(Key("a", ()), tokens[:30], partial(states, tokens[:30], 0.5))  # nothing new
    assert cache.find(Key("a", ()), [*tokens[:25], 99, 98]).shape[2] == 25
    assert torch.equal(cache.find(Key("a", ()), tokens), states(tokens[:39], 0.0))
    assert cache.find(Key("a", ()), tokens[: SHORTEST - 1]) is None
    assert cache.find(Key("b", ()), tokens) is None


def test_artifacts_are_forgotten_and_words_do_not_stay(monkeypatch):
    cache, tokens = PrefixCache(10**6), list(range(20))
    cache.keep(Key("a", (("d", 1.0),)), tokens, partial(states, tokens, 0.0))
    cache.keep(Key("a", ()), tokens, partial(states, tokens, 0.0))
    cache.keep(Key("b", ()), tokens, partial(states, tokens, 0.0))
    cache.forget({"d", "b"})  # an artifact, and a person who left
    assert cache.find(Key("a", (("d", 1.0),)), tokens) is None
    assert cache.find(Key("b", ()), tokens) is None
    cache.expire()
    assert cache.find(Key("a", ()), tokens) is not None
    monkeypatch.setattr(prefix, "SECONDS", 0.0)
    cache.expire()
    assert cache.size_bytes == 0


@pytest.mark.parametrize(("limit", "length"), [(0, 40), (10**6, SHORTEST - 1)])
def test_what_will_not_be_kept_is_not_copied(limit, length):
    copies = []
    PrefixCache(limit).keep(Key("a", ()), list(range(length)), lambda: copies.append(1))
    assert copies == []


@contextmanager
def running(**options) -> Iterator[LocalEngine]:
    engine = LocalEngine(tiny.base(), max_rows=6, **options)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count the prompt tokens that are read, one entry for each row of each pass."""
    seen: list[int] = []

    def look(_module, args):
        rows, width = args[0].shape
        if width > 1:
            seen.extend([width] * rows)

    handle = tiny.base().model.get_input_embeddings().register_forward_pre_hook(look)
    try:
        yield seen
    finally:
        handle.remove()


def ask(messages: list[Message], *, owner: str = "a", acting=(), seed: int = 0, temperature: float = 0.0):
    rules = Sampling(temperature=temperature, max_new_tokens=20, seed=seed)
    return GenerationRequest("r", tuple(messages), rules, tuple(acting), owner)


def finish(stream) -> Finished:
    *_, last = list(stream)
    assert isinstance(last, Finished)
    assert not last.error
    return last


@pytest.fixture(scope="module")
def acting(tmp_path_factory) -> list[tuple[Intervention, ...]]:
    folder: Path = tmp_path_factory.mktemp("acting")
    tiny.save_adapter(folder / "adapter", seed=1, rank=4)
    save_vectors(tiny.vectors(seed=2, size=2.0), folder / "vector")
    adapter = Intervention("adapter", folder / "adapter", "adapter")
    vector = Intervention("vector", folder / "vector", "vector")
    return [(), (adapter,), (vector,), (adapter, Intervention("vector", folder / "vector", "vector", 0.5))]


def conversation(engine: LocalEngine, owner: str, interventions) -> list[str]:
    """Hold a conversation of three turns."""
    messages, said = [], []
    for turn in ("Tell me about rivers", "And lakes?", "Which is deeper?"):
        messages.append(Message("user", turn))
        said.append(finish(engine.submit(ask(messages, owner=owner, acting=interventions))).text)
        messages.append(Message("assistant", said[-1]))
    return said


def test_later_turns_read_only_what_is_new_and_say_the_same(acting):
    with running(prefix_bytes=0) as plain, counted() as whole:
        wanted = [conversation(plain, "a", interventions) for interventions in acting]
    with running() as engine, counted() as read:
        # Four times the same words: what acted on one is of no use to another.
        found = [conversation(engine, "a", interventions) for interventions in acting]
        again = [conversation(engine, "a", interventions) for interventions in acting]
    assert found == again == wanted
    first, later = read[0:12:3], [width for i, width in enumerate(read[:12]) if i % 3]
    assert first == whole[0::3]
    assert max(later) < 2 * len("Which is deeper?") + 60 < min(whole[2::3])
    assert len(read) == 12  # the second time each reads one token, as a step does


def test_another_person_with_the_same_words_reads_everything():
    messages = [Message("user", "A secret that two people share, word for word")]
    length = len(encode_chat(tiny.base(), messages))
    with running() as engine, counted() as read:
        texts = [finish(engine.submit(ask(messages, owner=owner))).text for owner in ("a", "b", "a")]
    assert read[:2] == [length, length]
    assert len(read) == 2  # the last one reads one token, as a step does
    assert len(set(texts)) == 1


def test_candidates_of_one_message_read_it_once():
    messages = [Message("user", "One message, four candidates")]
    with running() as engine, counted() as read:
        busy = engine.submit(ask([Message("user", "wait")], owner="z"))
        engine._scheduler.run(lambda: None)
        with engine._scheduler._changed:  # so that all four join in one turn
            streams = [engine.submit(ask(messages, seed=i, temperature=1.0)) for i in range(4)]
        texts = [finish(stream).text for stream in streams]
        finish(busy)
    alone = []
    with running(prefix_bytes=0) as plain:
        for i in range(4):
            alone.append(finish(plain.submit(ask(messages, seed=i, temperature=1.0))).text)
    assert texts == alone
    assert len(set(texts)) > 1
    assert read.count(len(encode_chat(tiny.base(), messages))) == 1


def test_a_failed_pass_leaves_nothing_and_the_next_one_is_right(monkeypatch):
    messages = [Message("user", "Something that will be asked twice")]
    with running() as engine:
        base, calls = engine.base, []
        whole = finish(engine.submit(ask(messages))).text
        logits = base.logits

        def once(hidden):
            calls.append(1)
            if len(calls) == 1:
                raise RuntimeError("out of memory")
            return logits(hidden)

        monkeypatch.setattr(type(base), "logits", lambda _self, hidden: once(hidden))
        *_, broken = list(engine.submit(ask(messages)))
        assert broken.reason == "error"
        assert finish(engine.submit(ask(messages))).text == whole


def wait_until(is_so) -> None:
    until = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.002)


def test_words_do_not_stay_while_others_keep_the_engine_busy(monkeypatch):
    monkeypatch.setattr(prefix, "SECONDS", 0.05)
    with running() as engine:
        busy = engine.submit(replace(ask([Message("user", "write")], owner="b"), sampling=LONG))
        finish(engine.submit(ask([Message("user", "What nobody should remember")], owner="a")))
        wait_until(lambda: not engine._batch.prefixes.size_bytes)
        assert engine._batch.rows
        busy.cancel()


def test_nothing_stays_of_what_was_deleted_while_it_was_in_use(acting):
    interventions = acting[3]
    with running() as engine:
        mine = replace(ask([Message("user", "write")], owner="a", acting=interventions), sampling=LONG)
        streams = [engine.submit(each) for each in (mine, replace(mine, owner="b", interventions=()))]
        wait_until(lambda: len(engine._batch.rows) == 2)
        held = [weakref.ref(each) for each, _ in engine._batch.rows[0].row.adapters]
        engine.forget(["a", *(each.digest for each in interventions)])
        assert engine.resident() == []
        for stream in streams:
            assert [*stream][-1].token_count > 1
        wait_until(lambda: not engine._batch.rows)
        assert {key.owner for key, _ in engine._batch.prefixes._kept.values()} == {"b"}
        gc.collect()
        assert [each() for each in held] == [None]

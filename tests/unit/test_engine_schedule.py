"""Who is served when: long prompts hold nobody up, owners get fair shares, and time limits are kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personalization.engine import scheduler
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Sampling
from personalization.records import Message
from tests import tiny


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    made = LocalEngine(tiny.base(), max_rows=2)
    yield made
    made.close()


def ask(text: str, *, owner: str = "", tokens: int = 12, deadline: float | None = None) -> GenerationRequest:
    rules = Sampling(temperature=0.0, max_new_tokens=tokens)
    return GenerationRequest("r", (Message("user", text),), rules, (), owner, deadline)


def finish(stream) -> Finished:
    *_, last = list(stream)
    assert isinstance(last, Finished)
    return last


class Held:
    """Keeps the engine from taking its next step until it is let go."""

    def __init__(self, engine: LocalEngine) -> None:
        self._gate, self._step = threading.Event(), engine._batch.step
        self.steps = 0
        engine._batch.step = self._held

    def _held(self):
        self._gate.wait(20)
        self.steps += 1
        return self._step()

    def go_on(self) -> None:
        self._gate.set()


@given(
    texts=st.lists(st.text(alphabet="ab ", min_size=0, max_size=150), min_size=1, max_size=6),
    between=st.integers(1, 40),
    at_once=st.integers(1, 60),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_prompts_that_are_read_in_pieces_give_the_same_answers(texts, between, at_once, monkeypatch):
    plain = LocalEngine(tiny.base(), max_rows=4)
    wanted = [finish(plain.submit(ask(text))).text for text in texts]
    plain.close()
    with monkeypatch.context() as patched:
        patched.setattr(scheduler, "TOKENS_BETWEEN_STEPS", between)
        patched.setattr(scheduler, "TOKENS_AT_ONCE", at_once)
        pieces = LocalEngine(tiny.base(), max_rows=4)
        streams = [pieces.submit(ask(text, owner=str(i % 2))) for i, text in enumerate(texts)]
        assert [finish(stream).text for stream in streams] == wanted
        pieces.close()


def test_rows_go_on_writing_while_a_long_prompt_is_read(engine, monkeypatch):
    monkeypatch.setattr(scheduler, "TOKENS_BETWEEN_STEPS", 20)
    steps = Held(engine)
    writing = engine.submit(ask("go", tokens=60))
    while not engine._batch.rows:
        time.sleep(0.001)
    late = engine.submit(ask("x" * 300, tokens=1))
    steps.go_on()
    finish(late)
    assert steps.steps >= 300 // 20 - 1
    assert finish(writing).token_count > 0


def test_short_prompts_come_first_then_whoever_was_there_first(monkeypatch):
    monkeypatch.setattr(scheduler, "TOKENS_BETWEEN_STEPS", 20)
    engine = LocalEngine(tiny.base(), max_rows=8)
    steps = Held(engine)
    engine.submit(ask("go", tokens=100))
    while not engine._batch.rows:
        time.sleep(0.001)
    sizes = {"first": 300, "second": 310, "short": 60}
    streams = {name: engine.submit(ask("x" * size, tokens=1)) for name, size in sizes.items()}
    steps.go_on()
    ends = {name: finish(stream) for name, stream in streams.items()}
    engine.close()
    first = {name: end.seconds_to_first_token for name, end in ends.items()}
    assert sorted(first, key=first.__getitem__) == ["short", "first", "second"]
    # By turns, the second would end just after the first.
    assert first["second"] - first["first"] > 0.5 * (first["first"] - first["short"])


def test_a_long_prompt_is_read_however_many_short_ones_come(monkeypatch):
    monkeypatch.setattr(scheduler, "TOKENS_BETWEEN_STEPS", 20)
    engine = LocalEngine(tiny.base(), max_rows=8)
    long = engine.submit(ask("x" * 300, tokens=1))
    ended, passed_by = threading.Event(), []

    def keep_coming() -> None:
        while not ended.is_set() and len(passed_by) < 200:
            finish(engine.submit(ask(f"short {len(passed_by)}", tokens=2)))
            passed_by.append(time.monotonic())

    others = [threading.Thread(target=keep_coming) for _ in range(3)]
    for other in others:
        other.start()
    finish(long)
    ended.set()
    for other in others:
        other.join(30)
    engine.close()
    assert len(passed_by) < 60


def test_a_person_who_asks_for_much_does_not_keep_the_others_waiting(engine):
    steps = Held(engine)
    heavy = [engine.submit(ask(f"heavy {i}", owner="heavy")) for i in range(10)]
    light = engine.submit(ask("light", owner="light"))
    order: list[str] = []

    def wait(name: str, stream) -> None:
        finish(stream)
        order.append(name)

    threads = [threading.Thread(target=wait, args=("heavy", stream)) for stream in heavy]
    threads.append(threading.Thread(target=wait, args=("light", light)))
    for thread in threads:
        thread.start()
    steps.go_on()
    for thread in threads:
        thread.join(30)
    # Two rows: the heavy one's first two are running already, then one place is the light one's.
    assert order.index("light") <= 4
    assert len(order) == 11


def test_an_answer_ends_at_its_deadline_and_one_without_a_word_says_so(engine):
    steps = Held(engine)
    running = engine.submit(ask("long", tokens=200, deadline=0.2))
    while not engine._batch.rows:
        time.sleep(0.001)
    waiting = engine.submit(ask("never", deadline=0.1))
    patient = engine.submit(ask("patient"))
    time.sleep(0.4)
    steps.go_on()
    end = finish(running)
    assert (end.reason, end.token_count > 0) == ("deadline", True)
    end = finish(waiting)
    assert end.reason == "error"
    assert "try again later" in end.error
    assert finish(patient).reason in ("eos", "length")

"""The API as programs use it: OpenAI's own client, a real server, a real worker, a real broker."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI

from alignapp.accounts.models import Person
from alignapp.api.models import ApiToken
from alignapp.chat.models import Conversation, Reply
from alignapp.processes import services
from alignapp.processes.supervisor import running
from tests.ports import free_port
from tests.workers.conftest import wait_until

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]

CHAT = [{"role": "user", "content": "Tell me about rivers"}]


@pytest.fixture
def person(transactional_db) -> Person:
    return Person.objects.create_user("program@example.org", "a long pass phrase")


@pytest.fixture
def client(person, workers, tmp_path, monkeypatch) -> Iterator[OpenAI]:
    """OpenAI's client with a token of this person; it tries once, so that errors are seen."""
    monkeypatch.setenv("DATABASE_URL", workers.environment["DATABASE_URL"])
    monkeypatch.setenv("ALIGN_REPLIES_PER_MINUTE", "30")
    workers.start("generation")
    port = free_port()
    _, secret = ApiToken.issue(person, name="test", scopes=["chat", "models"])
    with running([services.web("127.0.0.1", port)], tmp_path / "log", lambda _line: None):
        yield OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=secret, max_retries=0, timeout=60)


def ask(client: OpenAI, **given):
    return client.chat.completions.create(**{"model": "base", "messages": CHAT, "max_tokens": 24, **given})


def ask_often(client: OpenAI) -> None:
    for _ in range(20):  # more than the allowance, however fast it refills meanwhile
        ask(client, n=4, max_tokens=1)


def test_openais_client_gets_what_it_expects(client, person):
    assert [model.id for model in client.models.list()] == ["base", "system_message", "alignment"]

    whole = ask(client, seed=3, temperature=0.8)
    choice = whole.choices[0]
    assert (whole.object, choice.index, choice.message.role) == ("chat.completion", 0, "assistant")
    assert choice.finish_reason in ("stop", "length")
    assert choice.logprobs is None
    assert whole.usage.completion_tokens > 0
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert whole.usage.prompt_tokens > len(
        "Tell me about rivers"
    )  # one token for each byte, and the template

    # The same seed draws the same: whole, as a stream, and as the first of two.
    chunks = list(ask(client, seed=3, temperature=0.8, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == choice.message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == choice.finish_reason
    assert chunks[-1].usage == whole.usage
    two = ask(client, seed=3, temperature=0.8, n=2)
    assert [c.index for c in two.choices] == [0, 1]
    assert two.choices[0].message.content == choice.message.content != two.choices[1].message.content

    # Stop strings end an answer before them.
    stop = choice.message.content[2:4]
    stopped = ask(client, seed=3, temperature=0.8, stop=stop).choices[0]
    assert stopped.message.content == choice.message.content[: choice.message.content.find(stop)]
    assert stopped.finish_reason == "stop"

    # Nothing was to be stored, so nothing is; one that is stands in the chat.
    assert not Conversation.objects.exists()
    ask(client, store=True)
    kept = Conversation.objects.get()
    assert (kept.kind, kept.person, kept.for_training) == ("api", person, True)

    with pytest.raises(openai.NotFoundError, match="no model 'gpt-4o'"):
        ask(client, model="gpt-4o")
    with pytest.raises(openai.BadRequestError, match="logprobs is not supported"):
        ask(client, logprobs=True)
    with pytest.raises(openai.AuthenticationError):
        ask(client.with_options(api_key="align_nobody"))


def test_who_leaves_is_not_written_for_and_who_asks_too_much_waits(client):
    stream = ask(client, max_tokens=200, stream=True, extra_body={"store": True})
    next(iter(stream))
    stream.close()
    wait_until(lambda: Reply.objects.exclude(status__in=("queued", "running")).exists(), 30)
    assert Reply.objects.get().status in (Reply.Status.STOPPED, Reply.Status.DONE)
    with pytest.raises(openai.RateLimitError) as refused:
        ask_often(client)
    assert int(refused.value.response.headers["Retry-After"]) > 0
    assert "more than 30 answers a minute" in str(refused.value)
    assert Conversation.objects.count() == 1

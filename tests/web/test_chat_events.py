"""Server-sent events of a turn: order, resuming, ends that nobody announced, and who may listen."""

import json
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from django.utils import timezone

from alignapp.chat import events, streams
from alignapp.chat.models import Reply
from tests.web.rows import answered_turn, conversation_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(events, "BLOCK_MS", 100)
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.0)


@pytest.fixture
def turn(owner):
    turn, replies = answered_turn(conversation_of(owner), "", "")
    for reply in replies:
        reply.status, reply.lease_until = Reply.Status.RUNNING, timezone.now() + timedelta(seconds=30)
        reply.save()
    return turn


def _signed_in(person) -> AsyncClient:
    client = AsyncClient()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


async def _listen(
    client: AsyncClient, turn, mark: str = "", until: str = "end"
) -> list[tuple[str, str, dict]]:
    """Return (id, event, data) until the named event."""
    headers = {"Last-Event-ID": mark} if mark else {}
    response = await client.get(f"/chat/turns/{turn.id}/events", headers=headers)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/event-stream"
    assert "no-cache" in response["Cache-Control"]
    found = []
    async for chunk in response.streaming_content:
        fields = dict(line.split(": ", 1) for line in chunk.decode().strip().splitlines() if ": " in line)
        if "event" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
            if fields["event"] == until:
                break
    await response._iterator.aclose()  # what the server does when a browser goes away
    return found


def _finish(reply: Reply, text: str, status: str = "done") -> None:
    Reply.objects.filter(pk=reply.pk).update(status=status, text=text, lease_until=None)
    streams.publish(reply.id, "done", status=status, error="")


def _texts(found) -> dict[str, str]:
    texts: dict[str, str] = {}
    for _, name, data in found:
        if name == "token":
            texts[data["reply"]] = texts.get(data["reply"], "") + data["text"]
    return texts


async def test_tokens_of_all_replies_come_and_each_ends_with_clean_html(turn, owner):
    one, two = await sync_to_async(lambda: list(turn.replies.all()))()
    for piece in ("*Good* ", "<script>alert(1)</script>"):
        streams.publish(one.id, "token", text=piece)
    streams.publish(two.id, "token", text="Fine")
    await sync_to_async(_finish)(one, "*Good* <script>alert(1)</script>")
    await sync_to_async(_finish)(two, "Fine")
    found = await _listen(await sync_to_async(_signed_in)(owner), turn)
    assert _texts(found) == {str(one.id): "*Good* <script>alert(1)</script>", str(two.id): "Fine"}
    html = {data["reply"]: data["html"] for _, name, data in found if name == "done"}
    assert "<em>Good</em>" in html[str(one.id)]
    assert "<script" not in html[str(one.id)]
    assert found[-1][1] == "end"
    assert "maker" not in json.dumps(found)


async def test_a_dropped_connection_resumes_exactly_where_it_was(turn, owner):
    one, two = await sync_to_async(lambda: list(turn.replies.all()))()
    client = await sync_to_async(_signed_in)(owner)
    streams.publish(one.id, "token", text="1a ")
    streams.publish(two.id, "token", text="2a ")
    first = await _listen(client, turn, until="token")
    mark = first[-1][0]
    streams.publish(one.id, "token", text="1b")
    await sync_to_async(_finish)(one, "1a 1b")
    await sync_to_async(_finish)(two, "2a ")
    second = await _listen(client, turn, mark)
    # The connection broke between the two events of one batch: the second one was never sent.
    assert _texts(first) == {str(one.id): "1a "}
    assert _texts(second) == {str(one.id): "1b", str(two.id): "2a "}
    whole = await _listen(client, turn)
    assert _texts(whole) == {str(one.id): "1a 1b", str(two.id): "2a "}


async def test_a_row_that_ended_without_a_stream_still_ends_the_event(turn, owner):
    await sync_to_async(lambda: turn.replies.update(status="done", text="From the row"))()
    found = await _listen(await sync_to_async(_signed_in)(owner), turn)
    assert [name for _, name, _ in found] == ["done", "done", "end"]
    assert "From the row" in found[0][2]["html"]


async def test_a_dead_worker_is_reported_once_and_a_new_one_goes_on(turn, owner):
    one, two = await sync_to_async(lambda: list(turn.replies.all()))()
    streams.publish(one.id, "token", text="Kept ")
    await sync_to_async(_finish)(two, "Fine")
    gone = timezone.now() - timedelta(seconds=1)
    await sync_to_async(lambda: Reply.objects.filter(pk=one.pk).update(lease_until=gone))()
    client = await sync_to_async(_signed_in)(owner)
    found = await _listen(client, turn, until="stalled")
    assert _texts(found)[str(one.id)] == "Kept "
    assert "What it wrote is kept" in found[-1][2]["error"]
    await sync_to_async(_finish)(one, "Kept and completed")
    assert (await _listen(client, turn, found[-1][0]))[-1][1] == "end"


async def test_others_get_404_and_outsiders_401(turn, owner, other):
    foreign = await (await sync_to_async(_signed_in)(other)).get(f"/chat/turns/{turn.id}/events")
    nobody = await AsyncClient().get(f"/chat/turns/{turn.id}/events")
    assert (foreign.status_code, nobody.status_code) == (404, 401)


def test_a_mark_that_makes_no_sense_starts_from_the_beginning(turn):
    ids = [reply.id for reply in turn.replies.all()]
    for mark in ("", "nonsense", f"{ids[0]}=$", f"{ids[0]}=1-2-3", f"{ids[0]}={'9' * 60}-0", "=,=,"):
        assert set(events.positions_from(mark, ids).values()) == {streams.START}
    assert events.positions_from(f"{ids[0]}=17-4", ids)[str(ids[0])] == "17-4"

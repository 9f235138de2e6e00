"""What the load benchmark finds in rows and logs afterwards: what was done twice, lost, or not as shown."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from alignapp.chat import streams
from alignapp.chat.models import Reply
from alignapp.feedback.services import record_feedback
from benchmarks.load.checks import verify, waits
from tests.web.rows import answered_turn, conversation_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def turn(owner):
    """A turn with two complete answers that were streamed as they stand in the rows."""
    found, replies = answered_turn(conversation_of(owner), "one", "two")
    for reply in replies:
        for text in (reply.text[:1], reply.text[1:]):
            streams.publish(reply.id, "token", text=text)
        streams.publish(reply.id, "done", status="done", error="")
    return found


@pytest.fixture
def logs(turn, tmp_path):
    """Logs of two hosts, each of which wrote one of the answers."""
    for host, reply in zip("ab", turn.replies.all(), strict=True):
        (tmp_path / f"generation-{host}.log").write_text(f"... reply {reply.id} done, 7 tokens\n")
        (tmp_path / f"training-{host}.log").write_text("ready\n")
    return tmp_path


def test_what_was_done_once_and_kept_is_sound(turn, logs, owner):
    act = record_feedback(owner, turn, "rating", reply=turn.replies.first(), score=70)
    rows = [{"what": "feedback", "feedback": str(act.id)}, {"what": "begun", "turn": str(turn.id)}]
    found = verify(logs, rows, begun=0.0)
    assert found["replies"]["by_host"] == {"a": 1, "b": 1}
    faults = ("twice", "done_but_by_nobody", "other_text_than_streamed", "failed", "open")
    assert [found["replies"][name] for name in faults] == [0] * 5
    assert found["feedback"] == found["turns"] == {"told": 1, "lost": 0}
    assert found["faults"] == []


def test_a_reply_that_both_hosts_wrote_is_found(turn, logs):
    reply = turn.replies.first()
    with (logs / "generation-b.log").open("a") as log:
        log.write(f"... reply {reply.id} done, 7 tokens\n2026 ERROR alignapp: no\n")
    found = verify(logs, [], begun=0.0)
    assert found["replies"]["twice"] == 1
    assert found["faults"] == ["generation-b: 2026 ERROR alignapp: no"]


def test_what_is_lost_or_unlike_what_was_shown_is_found(turn, logs):
    first, second = turn.replies.all()
    Reply.objects.filter(pk=first.pk).update(text="another")
    streams.publish(second.id, "done", status="done", error="")
    (logs / "generation-a.log").write_text("")
    rows = [{"what": "feedback", "feedback": str(uuid.uuid4())}, {"what": "begun", "turn": str(uuid.uuid4())}]
    found = verify(logs, rows, begun=0.0)
    assert found["replies"]["other_text_than_streamed"] == 2
    assert found["replies"]["done_but_by_nobody"] == 1
    assert (found["feedback"]["lost"], found["turns"]["lost"]) == (1, 1)


def test_a_wait_for_a_worker_is_what_the_writing_did_not_take(turn, owner, other):
    one, two = turn.replies.all()
    later, end = one.created_at.timestamp() + 1, one.created_at + timedelta(seconds=5)
    Reply.objects.filter(pk=one.pk).update(finished_at=end, duration_ms=2000)
    Reply.objects.filter(pk=two.pk).update(finished_at=end, interventions=[{"kind": "adapter"}])
    assert waits(owner.pseudonym, 0.0) == {"heavy": [pytest.approx(3.0)], "light": []}
    assert waits(other.pseudonym, 0.0) == {"heavy": [], "light": [pytest.approx(3.0)]}
    assert waits(owner.pseudonym, later) == {"heavy": [], "light": []}

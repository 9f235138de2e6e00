"""From a rating to the next reply's vector, by the real tasks and a real broker: never without the gate."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import datetime

import numpy as np
import pytest
from django.utils import timezone

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.adapters import dispatch, store
from alignapp.audit.models import AuditEvent
from alignapp.chat import services as chat
from alignapp.chat import streams
from alignapp.chat.candidates import DEFAULT
from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.feedback.models import Feedback
from alignapp.feedback.services import record_feedback
from alignapp.instant import services
from alignapp.instant.models import InstantVector, PersonalReward, ReplyStates
from personalization.decoding.objectives import NEARNESS
from personalization.engine.requests import Intervention, Sampling
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import load_vectors
from personalization.models.relevance import nearness_to
from personalization.records import Message
from personalization.safety.gate import COMPLIANCES, REFUSALS, measure
from personalization.steering.instant import LIMIT, unpack
from tests import tiny
from tests.workers.conftest import wait_until
from tests.workers.test_replies import queued
from workers import instant, queues
from workers.tasks.generate import generate_reply
from workers.tasks.instant import gate_instant, read_states

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def person(settings) -> Person:
    settings.MAX_NEW_TOKENS = 24
    made = Person.objects.create_user("rater@example.org", "a long pass phrase", candidate_count=4)
    give_consent(made)
    return made


def asked(person: Person, text: str) -> Turn:
    """Ask, with seeds that are the same each time: a random model ends at once in one answer of ten."""
    turn = chat.start_turn(Conversation.objects.create(person=person), text)
    for reply in turn.replies.all():
        reply.sampling["seed"] = reply.position
        reply.save(update_fields=["sampling"])
    return turn


def write(turn: Turn) -> list[Reply]:
    for reply in turn.replies.all():
        generate_reply(str(reply.id))
    return list(turn.replies.order_by("position"))


def rate(replies: list[Reply]) -> None:
    """Like the answers in the order of their share of capitals."""
    order = sorted(replies, key=lambda r: sum(map(str.isupper, r.text)) / max(len(r.text), 1))
    for place, reply in enumerate(order):
        score = 1 + round(99 * place / (len(order) - 1))
        record_feedback(reply.turn.conversation.person, reply.turn, "rating", reply=reply, score=score)


@pytest.fixture
def lenient(monkeypatch):
    """A random model's gate objects to anything; what is tested here is that it is asked, and obeyed."""
    monkeypatch.setattr("personalization.safety.gate.MAX_DROP", 1.0)
    monkeypatch.setattr("personalization.safety.gate.MAX_LOSS", 100.0)


def test_a_rating_changes_the_next_replys_vector(engine, person, lenient):
    first = write(asked(person, "Hello"))
    assert {reply.status for reply in first} == {"done"}
    assert ReplyStates.objects.count() == 4  # kept by who wrote them
    rate(first)
    vector = services.current(person)
    assert (vector.ratings, vector.state) == (4, "new")
    steered = [r for r in write(asked(person, "And now?")) if r.interventions]
    vector.refresh_from_db()
    assert (vector.state, len(steered)) == ("passed", 2)
    assert {r.interventions[0]["digest"] for r in steered} == {vector.digest}
    rate(Turn.objects.latest("created_at").replies.order_by("position"))  # steered answers count as well
    second = services.current(person)
    assert (second.ratings, second.prompts) == (8, 2)
    assert second.weights != vector.weights
    third = write(asked(person, "Once more"))
    assert {r.interventions[0]["digest"] for r in third if r.interventions} == {second.digest}
    assert {r.status for r in third} == {"done"}


def test_the_vector_really_acts_and_is_within_the_limit(engine, person, lenient):
    rate(write(asked(person, "Hello")))
    vector = services.current(person)
    sites = load_vectors(store.folder_of(vector)).sites
    assert list(sites) == [(layer, "output") for layer in vector.summary["layers"]]
    for tensor, norm in zip(sites.values(), vector.summary["hidden_norms"], strict=True):
        assert 0 < tensor.norm().item() <= LIMIT * norm * 1.001
    parts = [services.part_for(person, ())]
    plain, steered = queued(person, seed=3), queued(person, seed=3, interventions=parts)
    for reply in (plain, steered):
        generate_reply(str(reply.id))
        reply.refresh_from_db()
        assert reply.status == Reply.Status.DONE, reply.error
    assert plain.text != steered.text


def test_states_are_the_base_models_own_whatever_shaped_the_answer(engine, person, lenient):
    rate(write(asked(person, "Hello")))
    part = services.part_for(person, ())
    reply = queued(person, seed=5, interventions=[part], system_message="Shout.")
    generate_reply(str(reply.id))
    reply.refresh_from_db()
    kept = ReplyStates.objects.get(reply=reply)
    alone = engine.read([Message("user", reply.turn.text)], reply.text)
    np.testing.assert_allclose(
        unpack(bytes(kept.means), len(kept.layers)), alone.means, atol=2e-3 * np.abs(alone.means).max()
    )
    assert kept.tokens == alone.tokens


def test_nothing_is_kept_of_a_conversation_that_may_not_be_learned_from(engine, person):
    reply = queued(person)
    Conversation.objects.update(for_training=False)
    generate_reply(str(reply.id))
    reply.refresh_from_db()
    assert (reply.status, ReplyStates.objects.count()) == ("done", 0)


def test_answers_from_before_are_read_when_they_are_rated(engine, person):
    replies = write(asked(person, "Hello"))
    ReplyStates.objects.all().delete()  # as those of an earlier version of the program
    rate(replies)
    assert services.current(person) is None
    for reply in replies:
        read_states(str(reply.id))
        read_states(str(reply.id))
    assert services.current(person).ratings == 4


def test_however_many_are_missing_each_is_asked_for_once(engine, person):
    """Every rating and every answer that was read looks for what is missing, and finds the same ones."""
    turns = [write(asked(person, text)) for text in ("Hello", "One", "Two")]
    ReplyStates.objects.all().delete()
    streams.connection().flushdb()
    for replies in turns:
        rate(replies)
    read: list[str] = []
    while message := streams.connection().lpop(queues.GENERATE):
        body = json.loads(message)
        if body["headers"]["task"] == "workers.read_states":
            (reply_id,) = json.loads(b64decode(body["body"]))[0]
            read.append(reply_id)
            read_states(reply_id)
    assert sorted(read) == sorted(str(pk) for pk in Reply.objects.values_list("pk", flat=True))
    assert services.current(person).ratings == 12


def test_no_reply_is_written_with_a_vector_that_the_gate_did_not_pass(engine, person):
    """Whatever the ratings are: what a finished reply carries has passed the gate."""
    interventions = Interventions(engine.base)
    for text in ("Hello", "One", "Two", "Three"):
        replies = write(asked(person, text))
        for reply in replies:
            for part in reply.interventions:
                vector = InstantVector.objects.get(pk=part["artifact"])
                row = Row(vectors=((load_vectors(store.folder_of(vector)), part["strength"]),))
                assert vector.state == "passed"
                assert measure(engine.base, interventions, row).objection == ""
            assert (reply.maker == Reply.Maker.ALIGNMENT) <= bool(reply.interventions)
        rate([reply for reply in replies if reply.text.strip()])  # a random model may say nothing
    assert not InstantVector.objects.filter(state="new", is_current=False).exists()


def harmful_direction() -> np.ndarray:
    """Push towards the letters of compliance, away from those of refusals, at the last layer."""
    head = tiny.base().model.get_output_embeddings().weight
    good, bad = (head[tiny.base().tokenizer.encode("".join(t))].mean(dim=0) for t in (COMPLIANCES, REFUSALS))
    return (good - bad).numpy()


def taste_for_harm(person: Person) -> None:
    """Let the person like answers the more, the more compliance is in their states."""
    replies = write(asked(person, "Hello"))
    for row, sign in zip(ReplyStates.objects.order_by("reply__position"), (1, 0.5, -0.5, -1), strict=True):
        means = unpack(bytes(row.means), len(row.layers))
        means[-1] += sign * 50 * harmful_direction()
        states = type("States", (), {"layers": row.layers, "tokens": row.tokens, "means": means})
        ReplyStates.keep(row.reply, row.model_revision, states)
    for reply, score in zip(replies, (99, 70, 30, 1), strict=True):
        record_feedback(person, reply.turn, Feedback.Kind.RATING, reply=reply, score=score)


def test_a_vector_that_lowers_refusals_is_quarantined_and_the_reply_is_made_without_it(
    engine, person, monkeypatch
):
    monkeypatch.setattr("personalization.safety.gate.MAX_DROP", 1e-6)  # no strength of it passes
    taste_for_harm(person)
    turn = asked(person, "And now?")
    assert any(reply.interventions for reply in turn.replies.all())
    after = write(turn)
    vector = services.current(person)
    assert vector.state == "quarantined", vector.gate
    assert vector.gate["objection"].startswith("it refuses harmful requests less readily")
    assert {reply.status for reply in after} == {"done"}
    assert not any(reply.interventions for reply in after)
    assert Reply.Maker.ALIGNMENT not in {reply.maker for reply in after}
    assert AuditEvent.objects.filter(verb="instant.quarantined").count() == 1
    assert not any(reply.interventions for reply in asked(person, "Later").replies.all())


def test_a_vector_acts_as_strongly_as_the_gate_lets_it_and_the_reply_says_how(engine, person, monkeypatch):
    monkeypatch.setattr("personalization.safety.gate.MAX_LOSS", 100.0)
    taste_for_harm(person)
    vector = services.current(person)
    acting = Intervention("vector", store.folder_of(vector), vector.digest)
    fall = -engine.gate(acting).refusal_change.low
    assert fall > 0
    monkeypatch.setattr("personalization.safety.gate.MAX_DROP", fall / 2)
    reply = queued(person, seed=3, interventions=[services.part_for(person, ())])
    generate_reply(str(reply.id))
    reply.refresh_from_db()
    vector.refresh_from_db()
    assert (reply.status, vector.state) == ("done", "passed")
    assert 0 < vector.safe_share < 0.6
    assert [part["strength"] for part in reply.interventions] == [vector.safe_share]
    weaker = Intervention("vector", store.folder_of(vector), vector.digest, vector.safe_share)
    assert engine.gate(weaker).objection == ""
    assert not AuditEvent.objects.filter(verb="instant.quarantined").exists()


def test_the_gate_of_the_engine_is_the_gate_of_every_other_artifact(engine, person):
    rate(write(asked(person, "Hello")))
    vector = services.current(person)
    busy = engine_stream(engine)
    found = engine.gate(Intervention("vector", store.folder_of(vector), vector.digest))
    busy.cancel()
    row = Row(vectors=((load_vectors(store.folder_of(vector)), 1.0),))
    expected = measure(engine.base, Interventions(engine.base), row)
    for name in ("refusal_base", "refusal", "acceptance_base", "acceptance"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-5)
    for change in ("refusal_change", "acceptance_change", "likelihood_change"):
        own, same = (getattr(gate, change).as_dict() for gate in (found, expected))
        assert own == pytest.approx(same, abs=1e-4)


def engine_stream(engine):
    """Start an answer that is being written meanwhile."""
    from personalization.engine.requests import GenerationRequest, Sampling

    request = GenerationRequest("busy", (Message("user", "a"),), Sampling(max_new_tokens=400, seed=1))
    return engine.submit(request)


def test_the_gate_is_asked_once_and_only_about_the_current_vector(engine, person, lenient):
    rate(write(asked(person, "Hello")))
    old = services.current(person)
    gate_instant(str(old.id))
    old.refresh_from_db()
    assert old.state == "passed"
    asked_again = instant.engine_for_process
    try:
        instant.engine_for_process = None  # whoever asks again fails
        gate_instant(str(old.id))
        gate_instant("00000000-0000-0000-0000-000000000000")
    finally:
        instant.engine_for_process = asked_again


@pytest.mark.parametrize("when", ["while it waits", "while it is asked about"])
def test_a_vector_that_a_newer_rating_replaces_needs_no_verdict(engine, person, monkeypatch, when):
    replies = write(asked(person, "Hello"))
    rate(replies)
    old = services.current(person)

    def rate_again() -> None:
        record_feedback(person, replies[0].turn, "rating", reply=replies[0], score=77)

    if when == "while it waits":
        check = store.check
        monkeypatch.setattr(store, "check", lambda vector: (check(vector), rate_again()))
    else:
        leanings = engine._gating._leanings
        monkeypatch.setattr(engine._gating, "_leanings", lambda *args: (rate_again(), leanings(*args))[1])
    gate_instant(str(old.id))  # raises nothing: Celery would log an error
    assert not InstantVector.objects.filter(pk=old.pk).exists()
    assert services.current(person) is not None


@pytest.mark.chaos
def test_a_real_worker_takes_a_rating_into_the_next_reply(workers, person):
    workers.start("generation")
    turn = asked(person, "Hello")
    done = Reply.objects.filter(status=Reply.Status.DONE)
    wait_until(lambda: done.filter(turn=turn).count() == 4)
    wait_until(lambda: ReplyStates.objects.count() == 4)
    rate(list(turn.replies.order_by("position")))
    vector = services.current(person)
    wait_until(lambda: InstantVector.objects.filter(pk=vector.pk).exclude(state="new").exists())
    vector.refresh_from_db()
    new = asked(person, "And now?")
    carried = [reply for reply in new.replies.all() if reply.interventions]
    assert bool(carried) == (vector.state == "passed")
    wait_until(lambda: done.filter(turn=new).count() == 4)
    for reply in carried:
        reply.refresh_from_db()
        assert [part["digest"] for part in reply.interventions] == [vector.digest]


def test_the_gate_is_asked_after_a_burst_of_ratings():
    streams.connection().flushdb()
    dispatch.wake_for_gate(InstantVector())
    message = json.loads(str(streams.connection().lindex(queues.GENERATE, 0)))
    due = datetime.fromisoformat(message["headers"]["eta"])
    assert 5 < (due - timezone.now()).total_seconds() <= 10
    streams.connection().flushdb()


def means_of(reply: Reply) -> np.ndarray:
    """Return the states that were kept when it was written: a random model's bytes read back otherwise."""
    kept = ReplyStates.objects.get(reply=reply)
    return unpack(bytes(kept.means), len(kept.layers))


EGGS = "How do I boil an egg so that the yolk stays soft?"
EARLIER = [{"role": "user", "content": EGGS}, {"role": "assistant", "content": "Six minutes."}]


@pytest.mark.parametrize("earlier", [[], EARLIER])
def test_thinking_longer_keeps_the_attempt_that_is_liked_best_on_the_question_and_says_what_it_cost(
    engine, person, earlier
):
    for i in range(4):
        rate(write(asked(person, f"Question {i}")))
    reward = PersonalReward.objects.get(person=person)
    reward.summary["useful"] = True  # what sixteen ratings of random answers prove is chance
    reward.save()
    reply, *attempts = [queued(person, seed=3 + i) for i in (0, 0, 1, 2)]
    Turn.objects.filter(replies__in=[reply, *attempts]).update(earlier=earlier)
    Reply.objects.filter(pk=reply.pk).update(decoding={"best_of": 3})
    generate_reply(str(reply.id))
    reply.refresh_from_db()
    assert reply.status == Reply.Status.DONE, reply.error
    for attempt in attempts:
        generate_reply(str(attempt.id))
        attempt.refresh_from_db()
    question = f"Hello\n\n{EGGS}" if earlier else "Hello"
    head, near = reward.head(), nearness_to(question)
    liked = [head.scale * head.of(means_of(attempt)[None])[0] for attempt in attempts]
    best = int(np.argmax(np.add(liked, NEARNESS * np.array(near([attempt.text for attempt in attempts])))))
    assert reply.text == attempts[best].text
    assert reply.decoding == {"best_of": 3, "chosen": best, "tokens": sum(a.token_count for a in attempts)}
    assert ReplyStates.objects.filter(reply=reply).exists()


def test_whose_ratings_went_meanwhile_gets_the_plain_answer_and_reads_why(engine, person):
    reply, plain = queued(person, seed=3), queued(person, seed=3)
    sampling = {**plain.sampling, **dict(zip(("temperature", "top_p"), DEFAULT, strict=True))}
    assert sampling != plain.sampling  # attempts are hotter: they must differ
    Reply.objects.filter(pk=plain.pk).update(sampling=sampling)
    Reply.objects.filter(pk=reply.pk).update(decoding={"best_of": 3})
    for each in (reply, plain):
        generate_reply(str(each.id))
        each.refresh_from_db()
    assert reply.text == plain.text
    assert Sampling(**reply.sampling) == Sampling(**sampling)
    assert reply.attempts == 1
    assert "no longer" in reply.decoding["reason"]

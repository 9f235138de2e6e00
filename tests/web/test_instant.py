"""The vector that follows every rating: what moves it, when it acts, and what stops it."""

from __future__ import annotations

import base64
import io
import json
import random
import zipfile
from importlib import import_module

import pytest
from django.apps import apps
from django.urls import reverse

from alignapp.accounts.consent import give_consent, withdraw_consent
from alignapp.accounts.erase import erase
from alignapp.accounts.export import export
from alignapp.accounts.models import Person
from alignapp.adapters import services as alignment
from alignapp.adapters import store
from alignapp.adapters.advice import acting
from alignapp.adapters.composition import compose
from alignapp.adapters.models import Artifact
from alignapp.chat import candidates
from alignapp.chat import services as chat
from alignapp.chat.models import Reply, Turn
from alignapp.feedback.models import Feedback
from alignapp.feedback.services import record_feedback
from alignapp.instant import services
from alignapp.instant.models import InstantChoice, InstantVector, ReplyStates
from personalization.steering.instant import BESIDE, unpack
from tests.web import learned
from tests.web.rows import answered_turn, conversation_of, states_of

pytestmark = pytest.mark.django_db(transaction=True)  # what follows a rating follows its commit


@pytest.fixture
def person(owner) -> Person:
    give_consent(owner)
    return owner


def rated_turn(person: Person, scores=(90, 50, 10), **fields) -> tuple[Turn, list[Reply]]:
    turn, replies = answered_turn(conversation_of(person, **fields), *("one", "two", "three")[: len(scores)])
    states_of(replies)
    for reply, score in zip(replies, scores, strict=True):
        rate(person, reply, score)
    return turn, replies


def rate(person: Person, reply: Reply, score: int) -> Feedback:
    return record_feedback(person, reply.turn, Feedback.Kind.RATING, reply=reply, score=score)


def passed(person: Person) -> InstantVector:
    vector = services.current(person)
    assert vector is not None
    vector.judge({"objection": ""})
    return vector


def parts(person: Person) -> list[dict]:
    return list(compose(person, maker="alignment").interventions)


def test_a_rating_moves_the_vector_and_the_next_reply_uses_it(person, client_of):
    turn, replies = answered_turn(conversation_of(person), "one", "two")
    states_of(replies)
    client = client_of(person)
    give = reverse("feedback:give", args=[turn.id])
    assert client.post(give, {"kind": "rating", "reply": replies[0].id, "score": 80}).status_code == 302
    assert services.current(person) is None  # one rating of one answer compares nothing
    client.post(give, {"kind": "rating", "reply": replies[1].id, "score": 20})
    first = services.current(person)
    assert (first.ratings, first.prompts, first.state) == (2, 1, "new")
    page = client.get(reverse("adapters:alignment")).content.decode()
    assert "It rests on 2 ratings of answers to 1 message." in page
    new = chat.start_turn(conversation_of(person), "Next question")
    own = new.replies.get(maker=Reply.Maker.ALIGNMENT)
    assert own.interventions == [
        {"artifact": str(first.id), "digest": first.digest, "kind": "instant", "strength": 1.0, "ratings": 2}
    ]
    rated_turn(person, (30, 70, 10))
    second = services.current(person)
    assert second.weights != first.weights
    assert parts(person)[0]["digest"] == second.digest
    page = client.get(reverse("adapters:alignment")).content.decode()
    assert "It rests on 5 ratings of answers to 2 messages." in page


def test_a_rating_changed_and_changed_back_restores_vector_and_verdict(person):
    _, replies = rated_turn(person)
    before = passed(person)
    held = Reply.objects.create(turn=replies[0].turn, position=7, interventions=parts(person))  # still open
    rate(person, replies[0], 5)
    assert services.current(person).weights != before.weights
    assert services.current(person).state == "new"
    rate(person, replies[0], 90)
    after = services.current(person)
    assert (after.weights, after.state) == (before.weights, "passed")
    assert {before.digest} < set(InstantVector.objects.values_list("digest", flat=True))
    Reply.objects.filter(pk=held.pk).update(status=Reply.Status.DONE)
    services.refresh(person)
    assert list(InstantVector.objects.values_list("digest", flat=True)) == [after.digest]
    assert not store.folder_of(before).exists()
    assert store.check(after)["method"] == "instant"


@pytest.mark.parametrize("scores", [(50, 50, 50), (70,)])
def test_ratings_that_compare_nothing_make_no_vector(person, scores):
    rated_turn(person, scores)
    assert services.current(person) is None
    assert parts(person) == []


def test_the_page_says_what_the_gate_lets_act_where_that_is_less_than_was_asked_for(person, client_of):
    rated_turn(person)
    vector = services.current(person)
    vector.judge({"objection": ""}, 0.4)
    page = client_of(person).get(reverse("adapters:alignment")).content.decode()
    assert "The safety check lets 40 % of it act" in page
    services.choose(person, on=True, beside=False, share=0.25)
    assert (
        "The safety check lets" not in client_of(person).get(reverse("adapters:alignment")).content.decode()
    )


def erase_ratings(person: Person, client) -> None:
    for act in Feedback.objects.for_person(person):
        client.post(reverse("feedback:erase", args=[act.id]))


def keep_out_of_learning(person: Person, client) -> None:
    for conversation in person.conversations.all():
        client.post(reverse("chat:switches", args=[conversation.id]), {"personalised": "on"})


STOPS = {
    "ratings erased": erase_ratings,
    "conversations kept out of learning": keep_out_of_learning,
    "conversations deleted": lambda person, _: [chat.delete(c) for c in person.conversations.all()],
    "consent withdrawn": lambda _, client: client.post(reverse("change_consent")),
    "forgotten": lambda _, client: client.post(reverse("instant:forget")),
    "switched off": lambda _, client: client.post(reverse("instant:choose"), {"share": 100}),
    "share 0": lambda _, client: client.post(reverse("instant:choose"), {"on": "on", "share": 0}),
    "quarantined": lambda person, _: services.current(person).judge({"objection": "it refuses less"}),
}


@pytest.mark.parametrize("how", STOPS)
def test_what_stops_it(person, client_of, how):
    rated_turn(person)
    assert len(parts(person)) == 1
    STOPS[how](person, client_of(person))
    assert parts(person) == []
    assert client_of(person).get(reverse("adapters:alignment")).status_code == 200


def test_forgetting_can_be_taken_back_and_new_ratings_count_alone(person, client_of):
    rated_turn(person)
    before = services.current(person)
    client = client_of(person)
    client.post(reverse("instant:forget"))
    rated_turn(person, (80, 20))
    assert (services.current(person).ratings, services.current(person).prompts) == (2, 1)
    client.post(reverse("instant:remember"))
    assert services.current(person).ratings == 5
    assert services.current(person).weights != before.weights


def test_beside_what_was_learned_it_acts_weakly_and_only_when_asked(person, client_of):
    rated_turn(person)
    alignment.switch_on(person, learned.artifact(person, "steer"))
    assert [part["kind"] for part in parts(person)] == ["vector"]
    client_of(person).post(reverse("instant:choose"), {"on": "on", "beside": "on", "share": 60})
    assert [(p["kind"], p["strength"]) for p in parts(person)] == [("vector", 1.0), ("instant", 0.6 * BESIDE)]
    alignment.switch(person, change="off", vector=None)
    client_of(person).post(reverse("instant:choose"), {"on": "on", "share": 60})
    assert [part["kind"] for part in parts(person)] == ["instant"]


def test_beside_stated_values_it_acts_weakly_without_being_asked(person, client_of):
    rated_turn(person)
    alignment.switch_on(person, learned.artifact(person, "values"))
    assert [(p["kind"], p["strength"]) for p in parts(person)] == [("values", 1.0), ("instant", BESIDE)]
    page = client_of(person).get(reverse("adapters:alignment")).content.decode()
    assert "Acts on the next reply" in page


def quarantine(person: Person, artifact: Artifact) -> None:
    Artifact.objects.filter(pk=artifact.pk).update(state=Artifact.State.QUARANTINED)


SILENT = {
    "slider at 0": lambda person, a: alignment.switch(person, change="0", **{f"{a.kind}_strength": 0.0}),
    "refused by the gate": quarantine,
}


@pytest.mark.parametrize("how", SILENT)
@pytest.mark.parametrize("method", ["steer", "dpo", "values"])
def test_beside_a_part_that_does_not_act_it_acts_as_it_does_alone(person, client_of, method, how):
    rated_turn(person)
    artifact = learned.artifact(person, method)
    alignment.switch_on(person, artifact)
    SILENT[how](person, artifact)
    assert [(part["kind"], part["strength"]) for part in parts(person)] == [("instant", 1.0)]
    page = client_of(person).get(reverse("adapters:alignment"))
    assert page.context["instant"].acting == page.context["instant"].evidence > 0
    assert acting(person, alignment.current_alignment(person)) == "instant"


@pytest.mark.parametrize("share", ["", "-1", "101", "x"])
def test_a_share_out_of_range_is_refused_and_changes_nothing(person, client_of, share):
    client = client_of(person)
    client.post(reverse("instant:choose"), {"on": "on", "share": 40})
    client.post(reverse("instant:choose"), {"on": "on", "share": share})
    assert InstantChoice.of(person).share == 0.4


def test_half_of_four_candidates_stay_unsteered_so_that_ratings_stay_informative(person):
    rated_turn(person)
    makers = candidates.distinct_makers(person, personalised=True)
    for seed in range(20):
        drawn = candidates.plan(makers, 4, random.Random(seed))
        steered = [c for c in drawn if c.composition.follows_ratings]
        assert len(steered) == 2
        assert {c.maker for c in steered} == {Reply.Maker.ALIGNMENT, Reply.Maker.SAMPLING}
    assert all(not c.interventions for _, c in candidates.distinct_makers(person, personalised=False))


def test_ratings_of_another_model_revision_are_not_mixed_in(person):
    rated_turn(person)
    _, replies = answered_turn(conversation_of(person), "one", "two")
    states_of(replies, revision="smol@2", width=8)
    for reply, score in zip(replies, (90, 20), strict=True):
        rate(person, reply, score)
    vector = services.current(person)
    assert (vector.model_revision, vector.ratings) == ("smol@2", 2)


def test_somebody_elses_ratings_never_count(person, other):
    give_consent(other)
    rated_turn(other)
    assert services.current(person) is None
    assert services.refresh(person) is None


def test_states_and_vector_are_exported_and_erased(person):
    _, replies = rated_turn(person)
    vector = services.current(person)
    with export(person) as file, zipfile.ZipFile(io.BytesIO(file.read())) as archive:
        rows = [json.loads(line) for line in archive.read("instant.replystates.jsonl").splitlines()]
        folder = f"artifacts/vector-from-ratings-{vector.digest[:8]}"
        assert f"{folder}/steering.safetensors" in archive.namelist()
    kept = ReplyStates.objects.get(reply=replies[0])
    exported = next(row for row in rows if row["reply_id"] == str(replies[0].id))
    assert (unpack(base64.b64decode(exported["means"]), 3) == unpack(bytes(kept.means), 3)).all()
    chat.delete(replies[0].turn.conversation)
    assert not ReplyStates.objects.exists()
    rated_turn(person)
    folder = store.folder_of(services.current(person))
    assert folder.exists()
    erase(person)
    assert not folder.exists()
    assert not ReplyStates.objects.exists()


def test_the_chat_says_when_ratings_shaped_an_answer(person, client_of):
    rated_turn(person)
    turn, answers = answered_turn(conversation_of(person), "short")
    Reply.objects.filter(pk=answers[0].pk).update(interventions=parts(person), maker=Reply.Maker.ALIGNMENT)
    page = client_of(person).get(reverse("chat:conversation", args=[turn.conversation_id])).content.decode()
    assert "Vector from 3 ratings" in page
    assert "Your alignment" in page


def test_withdrawing_consent_deletes_the_vector(person):
    rated_turn(person)
    folder = store.folder_of(services.current(person))
    withdraw_consent(person)
    services.refresh(person)
    assert not InstantVector.objects.exists()
    assert not folder.exists()


def test_a_new_program_asks_about_what_was_refused_and_an_old_one_about_what_passed_weakened(person):
    asking = import_module("alignapp.instant.migrations.0004_ask_the_gate_again")
    rated_turn(person)
    vector = services.current(person)
    for judge, move in ((("it refuses less",), asking.ask_again), (("", 0.4), asking.ask_about_all)):
        objection, *share = judge
        vector.judge({"objection": objection}, *share)
        move(apps, None)
        vector.refresh_from_db()
        assert (vector.state, vector.gate) == ("new", None)
    vector.judge({"objection": ""})
    asking.ask_about_all(apps, None)
    vector.refresh_from_db()
    assert vector.state == "passed"

"""Where a person's vector starts: stated values at once, a common taste once enough people agreed."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.consent import give_consent, withdraw_consent
from alignapp.accounts.erase import erase
from alignapp.accounts.models import Consent, Person
from alignapp.adapters import dispatch, store
from alignapp.adapters.composition import compose
from alignapp.adapters.models import KnownModel
from alignapp.audit.models import AuditEvent
from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.feedback.models import Feedback
from alignapp.instant import common, services
from alignapp.instant.evidence import gather
from alignapp.instant.models import CommonTaste, InstantChoice, ReplyStates
from alignapp.profiles.services import current_profile, new_version, set_strengths
from personalization.steering.instant import pack
from personalization.steering.shared import FEWEST_PEOPLE, PART_PROMPTS
from personalization.steering.vector_file import write_vectors
from tests.web.rows import answered_turn, conversation_of, states_of
from workers import queues
from workers.tasks.instant import common_taste, follow_ratings

pytestmark = pytest.mark.django_db(transaction=True)

LAYERS, WIDTH = (0, 1, 2), 16


@pytest.fixture
def directions(settings, tmp_path):
    """Value directions of the base model that the states are of: along the second axis, and the third."""
    settings.VALUES_DIR = tmp_path / "values"
    for place, key in enumerate(("style.brief", "style.warm"), start=1):
        folder = settings.VALUES_DIR / "smol@1" / key.replace(".", "-")
        folder.mkdir(parents=True)
        report = {"win_rate": {"low": 0.4}, "sound": True}  # too little on its own
        about = {"format": 1, "value": key, "kind": "vector", "report": report}
        (folder / "manifest.json").write_text(json.dumps(about))
        along = np.eye(WIDTH, dtype=np.float32)[place]
        write_vectors({f"layer.{layer}.output": along for layer in LAYERS}, folder)


@pytest.fixture(autouse=True)
def model(db) -> KnownModel:
    return KnownModel.objects.create(spec="embedded", revision="smol@1", state="ready", is_default=True)


@pytest.fixture
def person(owner) -> Person:
    give_consent(owner)
    return owner


def rate_one_message(person: Person) -> None:
    turn, replies = answered_turn(conversation_of(person), "one", "two")
    states_of(replies)
    for reply, score in zip(replies, (80, 20), strict=True):
        Feedback.objects.create(
            person=person, turn=turn, reply=reply, kind="rating", protocol="slider-1-100", score=score
        )


def state(person: Person, *keys: str) -> None:
    new_version(person, "values", values={"chosen": [{"key": key, "importance": 5} for key in keys]})


def units(person: Person) -> np.ndarray:
    return gather(person, InstantChoice.of(person)).direction.units


def crowd(count: int, *, along: int, prompts: int = common.LEAST_PROMPTS) -> list[Person]:
    """People who agreed, rated enough, and like what lies along one axis."""
    people = Person.objects.bulk_create(
        [Person(email=f"p{along}-{number}@example.org") for number in range(count)]
    )
    Consent.objects.bulk_create([Consent(person=p, text_version="1", text_sha256="0" * 64) for p in people])
    InstantChoice.objects.bulk_create([InstantChoice(person=p, gives=True) for p in people])
    conversations = Conversation.objects.bulk_create(
        [Conversation(person=p) for p in people for _ in range(prompts)]
    )
    turns = Turn.objects.bulk_create([Turn(conversation=c, text="Hello") for c in conversations])
    replies = Reply.objects.bulk_create(
        [
            Reply(
                turn=turn, position=at, maker="base", status=Reply.Status.DONE, text="Yes.", interventions=[]
            )
            for turn in turns
            for at in (0, 1)
        ]
    )
    rng = np.random.default_rng(along)
    means = rng.normal(size=(len(replies), len(LAYERS), WIDTH)).astype(np.float32)
    means[0::2, :, along] += 6.0
    ReplyStates.objects.bulk_create(
        [
            ReplyStates(reply=r, model_revision="smol@1", layers=list(LAYERS), tokens=5, means=pack(own))
            for r, own in zip(replies, means, strict=True)
        ]
    )
    Feedback.objects.bulk_create(
        [
            Feedback(
                person=turn.conversation.person, turn=turn, reply=reply, kind="rating",
                protocol="slider-1-100", score=90 - 80 * reply.position,
            )
            for reply in replies
            for turn in [reply.turn]
        ]
    )  # fmt: skip
    return people


def test_stated_values_count_from_the_first_rated_message_and_only_where_wanted(person, directions):
    rate_one_message(person)
    alone = gather(person, InstantChoice.of(person)).direction
    assert alone.started == 0
    state(person, "style.brief")
    begun = gather(person, InstantChoice.of(person)).direction
    assert begun.started == PART_PROMPTS
    assert begun.strength > alone.strength
    assert (begun.units[:, 1] > alone.units[:, 1] + 0.3).all()
    set_strengths(person, {"style.brief": 0.0})
    np.testing.assert_array_equal(units(person), alone.units)
    set_strengths(person, {"style.brief": 0.5})
    np.testing.assert_array_equal(units(person), begun.units)  # of one value only the direction counts
    services.choose_start(person, starts=False, gives=False)
    np.testing.assert_array_equal(units(person), alone.units)


def test_the_vector_follows_the_stated_values_and_says_what_it_started_from(person, directions):
    rate_one_message(person)
    services.refresh(person)
    before = services.current(person)
    state(person, "style.brief")
    after = services.current(person)
    assert (before.summary["started"], after.summary["started"]) == (0, PART_PROMPTS)
    manifest = json.loads((store.folder_of(after) / "manifest.json").read_text())
    assert manifest["metrics"]["began"] == {"profile_version": str(current_profile(person).pk)}
    set_strengths(person, {"style.brief": 0.0})
    assert services.current(person).weights == before.weights


def test_a_direction_that_cannot_be_read_stops_no_rating(person, directions, settings):
    state(person, "style.brief", "style.warm")
    (settings.VALUES_DIR / "smol@1" / "style-brief" / "steering.safetensors").write_bytes(b"broken")
    rate_one_message(person)
    services.refresh(person)
    assert services.current(person).summary["started"] == PART_PROMPTS  # of the other one


def test_without_a_rating_there_is_no_vector_and_without_consent_no_start(person, directions):
    state(person, "style.brief")
    assert services.refresh(person) is None
    rate_one_message(person)
    withdraw_consent(person)
    assert gather(person, InstantChoice.of(person)).direction is None


def test_values_without_a_direction_and_other_models_leave_the_vector_alone(person, directions):
    rate_one_message(person)
    before = units(person)
    state(person, "style.formal")
    CommonTaste.objects.create(
        model_revision="other@1",
        layers=list(LAYERS),
        mean=np.ones(48, "<f4").tobytes(),
        people=300,
        privacy=0.15,
    )
    np.testing.assert_array_equal(units(person), before)


def test_enough_people_make_a_common_taste_from_which_others_start(person, directions, client_of):
    crowd(FEWEST_PEOPLE - 1, along=1)
    assert common.make_due() is None  # one is missing
    page = client_of(person).get(reverse("adapters:alignment")).content.decode()
    assert "it takes 300 people who agree and have rated enough" in page
    crowd(1, along=2)
    made = common.make_due()
    assert (made.people, made.model_revision) == (300, "smol@1")
    mean = np.frombuffer(made.mean, "<f4").reshape(len(LAYERS), WIDTH)
    assert np.abs(mean[:, 3:]).max() < 1e-6  # nothing but what lies on the model's own axes
    assert (mean[:, 1] > 0.3).all()
    rate_one_message(person)
    assert (units(person)[:, 1] > 0.5).all()
    page = client_of(person).get(reverse("adapters:alignment")).content.decode()
    assert "The common taste holds 300 people" in page
    assert common.make_due() == made  # not again within a month


def follow() -> list[Person]:
    """Do what the night does, and what comes of its messages."""
    before = dispatch.messages_by_queue()[queues.HOUSEKEEPING]
    common_taste()
    people = list(common.behind())
    assert dispatch.messages_by_queue()[queues.HOUSEKEEPING] - before == len(people)
    for each in people:
        follow_ratings(str(each.pk))
    return people


def parts(person: Person) -> list[str]:
    return [part["digest"] for part in compose(person, maker="alignment").interventions]


def test_vectors_follow_a_taste_that_is_made_and_none_acts_that_starts_from_one_that_is_gone(
    person, other, directions
):
    people = crowd(FEWEST_PEOPLE, along=1)
    give_consent(other)
    InstantChoice.objects.create(person=other, starts=False)
    for each in (person, other):
        rate_one_message(each)
        services.refresh(each)
    alone, unmoved = services.current(person), services.current(other)
    assert follow() == [person]
    begun = services.current(person)
    assert begun.summary["started"] > 0
    assert (begun.taste, parts(person)) == (CommonTaste.objects.get(), [begun.digest])
    assert follow() == []
    withdraw_consent(people[0])  # too few now
    assert common.make_due() is None
    assert parts(person) == []
    assert follow() == [person]
    assert services.current(person).weights == alone.weights
    assert len(parts(person)) == 1
    assert follow() == []
    assert services.current(other) == unmoved


def test_whoever_leaves_gets_a_receipt_and_is_in_no_later_one(person, directions, client_of):
    people = crowd(FEWEST_PEOPLE + 1, along=1)
    first = common.make_due()
    assert first.people == FEWEST_PEOPLE + 1
    leaving = people[0]
    answer = client_of(leaving).post(reverse("instant:start"), {"starts": "on"}, follow=True)
    event = AuditEvent.objects.get(verb="start.left")
    receipt = f"{event.pk}-{event.hash[:12]}"
    assert f"Your receipt: {receipt}" in answer.content.decode()
    assert (event.actor, event.subject) == (leaving, leaving)
    account = client_of(leaving).get(reverse("account")).content.decode()
    assert "Ratings left out of the next common taste" in account
    assert receipt in account
    CommonTaste.objects.update(created_at=timezone.now() - common.EVERY - dt.timedelta(minutes=1))
    assert common.make_due().people == FEWEST_PEOPLE
    withdraw_consent(people[1])  # too few now: what there was goes at once
    assert common.make_due() is None
    assert common.common_taste("smol@1") is None
    give_consent(people[1])  # and has to tick anew
    assert common.standing().lacking == 1
    services.choose_start(people[1], starts=True, gives=True)
    assert common.standing().lacking == 0
    assert common.make_due() is None  # enough again, and the last one is not 30 days old
    assert AuditEvent.objects.filter(verb="start.made").count() == 2


def test_erasing_a_person_takes_them_out_and_who_rated_little_does_not_count(directions):
    people = crowd(FEWEST_PEOPLE, along=1)
    crowd(3, along=2, prompts=common.LEAST_PROMPTS - 1)
    assert common.standing().agreed == FEWEST_PEOPLE
    assert common.make_due().people == FEWEST_PEOPLE
    erase(people[0])
    assert common.make_due() is None  # 299 are left who rated enough


def test_who_leaves_while_it_is_made_is_not_in_it(directions, monkeypatch):
    people, places = crowd(FEWEST_PEOPLE + 1, along=1), common._places

    def left_meanwhile(revision):
        found = places(revision)
        services.choose_start(people[0], starts=True, gives=False)
        return found

    monkeypatch.setattr(common, "_places", left_meanwhile)
    assert common.make_due().people == FEWEST_PEOPLE


def test_states_of_another_model_or_that_cannot_be_read_make_no_taste(directions, model):
    people = crowd(FEWEST_PEOPLE, along=1)
    states = ReplyStates.objects.filter(reply__turn__conversation__person=people[0])
    states.update(means=b"broken")
    assert common.make_due() is None
    KnownModel.objects.update(revision="other@1")
    assert common.make_due() is None
    KnownModel.objects.update(revision="smol@1")
    crowd(1, along=2)
    assert common.make_due().people == FEWEST_PEOPLE


def test_nobody_gives_unless_they_tick_it_and_agree_to_training(person, directions, client_of):
    assert InstantChoice.of(person).gives is False
    services.choose_start(person, starts=True, gives=True)
    assert not common.givers().exists()  # until eight messages are rated
    for _ in range(common.LEAST_PROMPTS):
        rate_one_message(person)
    assert list(common.givers()) == [person]
    assert AuditEvent.objects.filter(verb="start.joined", actor=person).exists()
    withdraw_consent(person)
    assert InstantChoice.of(person).gives is False
    assert AuditEvent.objects.filter(verb="start.left", actor=person).exists()
    answer = client_of(person).post(reverse("instant:start"), {"gives": "on"}, follow=True)
    assert "Agree to training on your account page first" in answer.content.decode()
    assert InstantChoice.of(person).gives is False

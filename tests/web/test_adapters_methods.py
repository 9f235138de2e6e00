"""What a person may learn with follows from what they gave: no page knows a method by its name."""

from __future__ import annotations

import re

import pytest
from django.contrib.messages import get_messages

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.adapters.models import Job, MethodInfo
from alignapp.adapters.readiness import readiness
from alignapp.chat.models import Conversation
from alignapp.feedback.models import Feedback
from alignapp.feedback.services import record_feedback
from alignapp.profiles.models import ProfileVersion
from personalization.registry import all_methods
from tests.web.rows import answered_turn
from workers.signals import register_methods

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def every_method() -> None:
    """All methods of the registry, switched on by an operator."""
    register_methods()
    MethodInfo.objects.update(enabled=True)


def give(
    person: Person,
    conversations: int = 8,
    *,
    picks: bool = True,
    thumbs: bool = True,
    edits: bool = True,
    words: bool = False,
):
    """Judge three answers in each conversation: one liked, two not."""
    give_consent(person)
    for number in range(conversations):
        turn, (a, b, c) = answered_turn(Conversation.objects.create(person=person), "one", "two", "three")
        if picks:
            record_feedback(person, turn, Feedback.Kind.PICK, reply=a)
        if thumbs:
            record_feedback(person, turn, Feedback.Kind.THUMB, reply=a, thumb=1)
            record_feedback(person, turn, Feedback.Kind.THUMB, reply=b, thumb=-1)
        if edits:
            record_feedback(person, turn, Feedback.Kind.EDIT, reply=c, text=f"as I would say {number}")
        if words:
            kind = Feedback.Kind.CRITIQUE if number % 2 else Feedback.Kind.FOLLOW_UP
            record_feedback(person, turn, kind, reply=b, text="Too long.")


def ready_data(person: Person) -> set[str]:
    return {item.method.data for item in readiness(person) if item.is_ready}


def test_a_new_installation_offers_what_was_measured_to_help_and_the_rest_can_be_switched_on():
    MethodInfo.objects.all().delete()
    register_methods()
    enabled = set(MethodInfo.objects.filter(enabled=True).values_list("name", flat=True))
    assert enabled == {m.name for m in all_methods() if m.offered}
    MethodInfo.objects.filter(name="ipo").update(enabled=True)
    register_methods()
    assert MethodInfo.objects.get(name="ipo").enabled


def test_every_method_says_what_it_lacks_for_somebody_new(owner):
    found = readiness(owner)
    assert {item.method.name for item in found} == {m.name for m in all_methods()}
    assert not any(item.is_ready for item in found)


def test_what_suits_follows_from_the_kinds_of_feedback(owner, other):
    give(owner)
    assert ready_data(owner) == {"pairs", "choices", "prompts", "thumbs", "edits"}
    ProfileVersion.objects.create(person=owner, number=1, system_message="Be brief.")
    assert ready_data(owner) == {"pairs", "choices", "prompts", "thumbs", "edits", "contrasts"}
    give(other, thumbs=False, edits=False)
    assert ready_data(other) == {"pairs", "choices", "prompts"}


def test_critiques_and_next_messages_count_together_and_need_comparisons_to_check_them_by(owner, other):
    give(owner, picks=False, thumbs=False, edits=False, words=True)
    (alone,) = (item for item in readiness(owner) if item.method.data == "critiques")
    assert (alone.is_ready, alone.unit) == (False, "comparisons")
    give(other, thumbs=False, edits=False, words=True)
    assert ready_data(other) == {"pairs", "choices", "prompts", "critiques"}
    Feedback.objects.filter(person=other, kind=Feedback.Kind.CRITIQUE).delete()
    (few,) = (item for item in readiness(other) if item.method.data == "critiques")
    assert (few.have, few.needed) == (4, 6)


def test_thumbs_of_one_kind_or_without_comparisons_do_not_suffice(owner, client_of):
    give(owner, picks=False, edits=False)
    response = client_of(owner).post("/alignment/jobs/start", {"method": "kto"})
    words = " ".join(map(str, get_messages(response.wsgi_request)))
    assert "6 more of 6 conversations with comparisons are needed" in words
    Feedback.objects.filter(thumb=-1).delete()
    (kto,) = (item for item in readiness(owner) if item.method.name == "kto")
    assert (kto.have, kto.needed, kto.is_ready) == (0, 16, False)
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("method", "title", "field", "value"),
    [
        ("kto", "Adapter from your thumbs", "parameter_liked_weight", "2"),
        ("sft", "Adapter from your edits", None, None),
        ("ipo", "Adapter from your comparisons", "parameter_beta", "0.5"),
        ("ilf", "Adapter from your critiques and comparisons", "parameter_imitation", "0.5"),
    ],
)
def test_the_page_offers_it_and_its_job_starts_with_what_was_set(
    owner, client_of, method, title, field, value
):
    give(owner, words=True)
    html = client_of(owner).get("/alignment/").content.decode()
    card = re.search(rf'id="learn-{method}".*?</article>', html, re.DOTALL)
    assert card is not None
    assert title in card[0]
    assert "primary" in card[0]
    assert field is None or f'name="{field}"' in card[0]
    fields = {"method": method, **({field: value} if field else {})}
    response = client_of(owner).post("/alignment/jobs/start", fields)
    job = Job.objects.get()
    assert job.parameters == ({field.removeprefix("parameter_"): float(value)} if field else {})
    assert title in client_of(owner).get(response["Location"]).content.decode()
    assert title in client_of(owner).get("/alignment/jobs/").content.decode()


def test_a_parameter_outside_of_its_range_is_refused_in_words(owner, client_of):
    give(owner)
    response = client_of(owner).post(
        "/alignment/jobs/start", {"method": "robust_dpo", "parameter_flipped": "0.6"}
    )
    assert "flipped must lie between 0.0 and 0.45." in " ".join(map(str, get_messages(response.wsgi_request)))
    assert not Job.objects.exists()

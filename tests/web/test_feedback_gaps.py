"""Said versus shown: gaps both ways, what a person says to them, and nothing changes without it."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.consent import give_consent
from alignapp.audit.models import AuditEvent
from alignapp.chat.errors import Refused
from alignapp.feedback.gaps import compare, reopen, resolve
from alignapp.feedback.models import GapResolution
from alignapp.feedback.services import record_feedback
from alignapp.instant.evidence import rated_prompts
from alignapp.instant.models import InstantChoice
from alignapp.profiles.services import current_profile, new_version
from tests.web.rows import answered_turn, conversation_of, states_of

pytestmark = pytest.mark.django_db

LONG = "It is a rather long answer that goes on about many things and does not come to an end soon at all."


def rates(person, conversations: int, *, likes_long: bool) -> None:
    """Rate a long above a short answer, or the other way round, in so many conversations."""
    for i in range(conversations):
        turn, (long, short) = answered_turn(conversation_of(person), f"{LONG} {i}", f"Yes, {i}.")
        record_feedback(person, turn, "rating", reply=long, score=90 if likes_long else 15)
        record_feedback(person, turn, "rating", reply=short, score=15 if likes_long else 90)


def states(person, **importance: int) -> None:
    chosen = [{"key": f"style.{key.replace('_', '-')}", "importance": n} for key, n in importance.items()]
    new_version(person, "values", values={"chosen": chosen, "own": [{"text": "Be kind.", "importance": 2}]})


def keys(gaps) -> set[tuple[str, str]]:
    return {(str(gap.kind), gap.value.key) for gap in gaps}


def stated(person) -> list[str]:
    profile = current_profile(person)
    return [item["key"] for item in profile.values["chosen"]] if profile else []


def test_too_few_conversations_say_how_many_are_missing(owner, client_of):
    states(owner, brief=4)
    rates(owner, 2, likes_long=True)
    found = compare(owner)
    assert (found.missing, found.conversations, found.gaps) == (4, 2, [])
    html = client_of(owner).get(reverse("feedback:gaps")).content.decode()
    assert "4 more are needed" in html


def test_gaps_are_listed_both_ways(owner, client_of):
    states(owner, brief=4, formal=3)
    rates(owner, 12, likes_long=True)
    found = compare(owner)
    assert ("said", "style.brief") in keys(found.gaps)
    assert ("shown", "style.long") in keys(found.gaps)
    # More words are also more different words: one gap, which says that it may be the other.
    assert ("shown", "informativeness.thorough") not in keys(found.gaps)
    html = client_of(owner).get(reverse("feedback:gaps")).content.decode()
    assert "It may as well be: Thorough answers" in html
    assert "Measured by: more words." in html
    assert "Answers with more of it got worse ratings from you." in html
    assert "Answers with more of it got better ratings from you." in html
    assert "very important" in html


def test_what_is_said_and_shown_is_no_gap(owner):
    states(owner, brief=4)
    rates(owner, 12, likes_long=False)
    found = compare(owner)
    assert {gap.value.key for gap in found.agreeing} == {"style.brief"}
    assert not [gap for gap in found.gaps if gap.value.key == "style.brief"]


def test_i_changed_restates_and_keeps_the_rest(owner):
    states(owner, brief=4, formal=3)
    rates(owner, 12, likes_long=True)
    resolve(owner, "style.brief", "said", "changed")
    assert stated(owner) == ["style.formal"]
    resolve(owner, "style.long", "shown", "changed")
    assert set(stated(owner)) == {"style.formal", "style.long"}
    assert current_profile(owner).values["own"] == [{"text": "Be kind.", "importance": 2}]
    assert current_profile(owner).number == 3
    gone = {("said", "style.brief"), ("shown", "style.long")}
    assert not keys(compare(owner).gaps) & gone


def test_who_never_stated_anything_can_begin_with_a_gap(owner):
    rates(owner, 12, likes_long=True)
    resolve(owner, "style.long", "shown", "changed")
    assert stated(owner) == ["style.long"]


def test_noise_and_context_dismiss_without_changing_what_is_stated(owner):
    states(owner, brief=4)
    rates(owner, 12, likes_long=True)
    noise = resolve(owner, "style.brief", "said", "noise")
    assert stated(owner) == ["style.brief"]
    assert ("said", "style.brief") not in keys(compare(owner).gaps)
    with pytest.raises(Refused, match="no such gap"):
        resolve(owner, "style.brief", "said", "noise")
    reopen(owner, noise)
    with pytest.raises(Refused, match="what it depends on"):
        resolve(owner, "style.brief", "said", "context", note="  ")
    context = resolve(owner, "style.brief", "said", "context", note="Long at work.")
    assert context.evidence["value"] < 0
    assert GapResolution.objects.get().note == "Long at work."


def test_answers_are_audited_without_the_value_or_the_note(owner):
    states(owner, brief=4)
    rates(owner, 12, likes_long=True)
    resolution = resolve(owner, "style.brief", "said", "context", note="Long at work.")
    event = AuditEvent.objects.get(verb="gap.resolved")
    assert event.evidence == {"decision": "context", "gap": "said"}
    assert event.object_id == str(resolution.id)


def test_the_buttons_work_and_belong_to_the_owner(owner, other, client_of):
    states(owner, brief=4)
    rates(owner, 12, likes_long=True)
    url, data = reverse("feedback:resolve"), {"value": "style.brief", "gap": "said", "decision": "noise"}
    client_of(other).post(url, data)
    assert not GapResolution.objects.exists()
    client_of(owner).post(url, data)
    resolution = GapResolution.objects.get(person=owner)
    html = client_of(owner).get(reverse("feedback:gaps")).content.decode()
    assert "What you said to gaps" in html
    again = reverse("feedback:reopen", args=[resolution.id])
    assert client_of(other).post(again).status_code == 404
    client_of(owner).post(again)
    assert not GapResolution.objects.exists()
    for wrong in ({"value": "style.nothing"}, {"gap": "x"}, {"decision": ""}):
        assert client_of(owner).post(url, {**data, **wrong}).status_code == 302
    assert not GapResolution.objects.exists()


def rates_three(person, conversations: int, *, scores=(90, 50, 10)) -> None:
    """Rate three answers each, whose states differ as the scores do, and by a little chance."""
    for i in range(conversations):
        turn, replies = answered_turn(conversation_of(person), f"{LONG} {i}", f"Yes, {i}.", f"{i}?")
        states_of(replies)
        for reply, score in zip(replies, scores, strict=True):
            record_feedback(person, turn, "rating", reply=reply, score=score)


def seen(client) -> dict | None:
    return client.get(reverse("feedback:gaps")).context["seen"]


def test_who_rated_two_answers_each_reads_what_is_missing_to_see_what_the_model_sees(owner, client_of):
    give_consent(owner)
    client = client_of(owner)
    assert "What the model sees of it" not in client.get(reverse("feedback:gaps")).content.decode()
    rates(owner, 6, likes_long=True)
    rates_three(owner, 4)
    html = client.get(reverse("feedback:gaps")).content.decode()
    assert "rate three answers to one message, not all alike, in 2 more conversations" in html
    rates_three(owner, 1)
    rates_three(owner, 3, scores=(50, 50, 50))
    html = client.get(reverse("feedback:gaps")).content.decode()
    assert "rate three answers to one message, not all alike, in 1 more conversation." in html


def test_the_model_sees_a_taste_that_is_most_of_what_differs(owner, other, client_of):
    give_consent(owner)
    give_consent(other)
    rates_three(owner, 7)
    rates(other, 6, likes_long=True)
    found = seen(client_of(owner))
    assert (found["n"], found["is_clear"]) == (7, True)
    assert found["words"].startswith("+")
    html = client_of(owner).get(reverse("feedback:gaps")).content.decode()
    assert "Answers that you judge very differently also look different to the model:" in html
    assert "7 conversations" in html
    assert seen(client_of(other)) == {"missing": 6}  # nothing of the owner's counts for them


def test_judgements_that_the_model_does_not_tell_apart_are_called_so(owner, client_of):
    give_consent(owner)
    orders = [(90, 50, 10), (90, 10, 60), (50, 90, 10), (10, 90, 50), (50, 10, 90), (10, 60, 90)] * 2
    for scores in orders:
        rates_three(owner, 1, scores=scores)
    found = seen(client_of(owner))
    assert (found["n"], found["is_clear"]) == (12, False)
    html = client_of(owner).get(reverse("feedback:gaps")).content.decode()
    assert "do not clearly look different to the model" in html


def test_what_the_vector_may_not_learn_from_is_not_shown(owner, client_of, django_assert_num_queries):
    rates_three(owner, 7)
    assert rated_prompts(owner, InstantChoice.of(owner)) is None
    assert seen(client_of(owner)) is None
    give_consent(owner)
    choice = InstantChoice.of(owner)
    with django_assert_num_queries(3):
        assert len(rated_prompts(owner, choice)) == 7
    InstantChoice.objects.update_or_create(person=owner, defaults={"since": timezone.now()})
    assert seen(client_of(owner)) == {"missing": 6}

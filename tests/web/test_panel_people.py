"""People in the panel: by pseudonym; their words for a reason, on record, with leave for supporters."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.models import Person
from alignapp.audit.chain import verify_chain
from alignapp.audit.models import AuditCheck, AuditEvent
from alignapp.panel import roles
from alignapp.panel.models import RoleGrant, SupportLeave
from personalization.errors import AlignError
from tests.web.operating import signed_in_with
from tests.web.rows import answered_turn, conversation_of
from workers.tasks.watch import verify_audit

pytestmark = pytest.mark.django_db
WORDS = "my secret diary"


@pytest.fixture
def staff(db) -> Person:
    return Person.objects.create_user("staff@example.org", "a long pass phrase")


@pytest.fixture
def writer(owner) -> Person:
    answered_turn(conversation_of(owner, title=WORDS), f"about {WORDS}", text=WORDS)
    return owner


def reveal(client, person, **given):
    sent = {"what": "conversations", "reason": "They asked why", **given}
    return client.post(reverse("panel:reveal", args=[person.pk]), sent)


def test_no_page_of_a_person_shows_their_words_or_address(writer, staff):
    client = signed_in_with("operator", staff)
    for page in (reverse("panel:people"), reverse("panel:person", args=[writer.pk])):
        text = client.get(page).content.decode()
        assert writer.pseudonym in text
        assert WORDS not in text
        assert writer.email not in text


def test_whoever_looks_says_why_and_the_person_sees_it(writer, staff, client_of):
    client = signed_in_with("operator", staff)
    assert reveal(client, writer, reason="").status_code == 400
    assert AuditEvent.objects.filter(verb="person.revealed").count() == 0
    answer = reveal(client, writer)
    assert WORDS in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    own = client_of(writer).get(reverse("looks")).content.decode()
    assert "They asked why" in own
    assert staff.pseudonym in own
    assert "Their latest conversations" in own
    assert writer.email in reveal(client, writer, what="address").content.decode()
    assert verify_chain() == []


def test_a_request_that_names_nothing_says_what_is_wrong_and_keeps_the_reason(writer, staff):
    answer = reveal(signed_in_with("operator", staff), writer, what="everything")
    assert answer.status_code == 400
    text = answer.content.decode()
    assert "everything is not one of the available choices" in text
    assert "They asked why" in text
    assert WORDS not in text


def test_an_auditor_never_sees_words(writer, staff):
    client = signed_in_with("auditor", staff)
    assert reveal(client, writer).status_code == 403
    assert "Look at their words" not in client.get(reverse("panel:person", args=[writer.pk])).content.decode()


def test_words_are_shown_only_right_after_a_code(writer, staff):
    assert reveal(signed_in_with("operator", staff, fresh=False), writer).status_code == 302
    assert AuditEvent.objects.filter(verb="person.revealed").count() == 0


def test_a_supporter_sees_one_person_by_leave_until_it_is_taken_back(writer, other, staff, client_of):
    supporter, own = signed_in_with("support", staff), client_of(writer)
    page = reverse("panel:person", args=[writer.pk])
    assert supporter.get(page).status_code == 404
    assert supporter.post(reverse("panel:take_up", args=[writer.pk])).status_code == 404
    own.post(reverse("give_leave"), {"hours": "24"})
    assert supporter.get(page).status_code == 404  # not before it was taken up, which is on record
    supporter.post(reverse("panel:take_up", args=[writer.pk]))
    assert "you may look, by the person's leave." in supporter.get(page).content.decode()
    assert WORDS in reveal(supporter, writer).content.decode()
    SupportLeave.give(other, timedelta(hours=1))
    refused = supporter.post(reverse("panel:take_up", args=[other.pk]), follow=True)
    assert "another person at the moment" in refused.content.decode()
    own.post(reverse("take_back_leave"))
    assert supporter.get(page).status_code == 404
    assert reveal(supporter, writer).status_code == 404
    supporter.post(reverse("panel:take_up", args=[other.pk]))
    assert supporter.get(reverse("panel:person", args=[other.pk])).status_code == 200
    assert "Supporter took the leave up" in own.get(reverse("looks")).content.decode()


def test_leave_ends_by_itself_and_frees_the_supporter(owner, other, staff):
    leave = SupportLeave.give(owner, timedelta(hours=1))
    leave.take_up(staff)
    SupportLeave.objects.update(until=timezone.now())
    SupportLeave.give(other, timedelta(hours=1)).take_up(staff)
    assert [each.person for each in SupportLeave.in_force()] == [other]
    with pytest.raises(AlignError, match="has ended"):
        leave.take_up(staff)


def test_one_supporter_at_a_time_helps_a_person(owner, other, staff):
    SupportLeave.give(owner, timedelta(hours=1)).take_up(staff)
    with pytest.raises(AlignError, match="Another supporter"):
        SupportLeave.in_force().get().take_up(other)


def test_lists_cost_the_same_however_long_they_are(staff, django_assert_max_num_queries):
    client = signed_in_with("auditor", staff)
    for i in range(60):
        Person.objects.create_user(f"p{i}@example.org")
        roles.record(staff, "something.done", staff)
    for name in ("panel:people", "panel:audit"):
        with django_assert_max_num_queries(9):
            listing = client.get(reverse(name)).context["listing"]
        assert len(listing.rows) == 50
        following = client.get(f"{reverse(name)}?{listing.next_query}").context["listing"]
        assert not {row.pk for row in listing.rows} & {row.pk for row in following.rows}
    with django_assert_max_num_queries(24):
        client.get(reverse("panel:person", args=[staff.pk]))


def test_the_chain_is_verified_on_demand_and_what_is_broken_is_named(staff, owner):
    client = signed_in_with("auditor", staff)
    roles.record(owner, "something.done", owner)
    client.post(reverse("panel:verify_audit"))
    check = AuditCheck.objects.get()
    verify_audit(check.pk)
    assert "intact" in client.get(reverse("panel:audit")).content.decode()
    event = AuditEvent.objects.get(verb="something.done")
    AuditEvent.objects.filter(pk=event.pk).update(verb="nothing.done")
    verify_audit()
    page = client.get(reverse("panel:audit")).content.decode()
    assert f"event {event.pk}" in page
    assert "it was edited" in page


def test_events_are_found_by_verb_and_person(staff, owner):
    client = signed_in_with("auditor", staff)
    roles.record(owner, "something.done", owner, reason=WORDS)
    found = client.get(reverse("panel:audit"), {"verb": "some", "subject": owner.pseudonym})
    assert [event.verb for event in found.context["listing"].rows] == ["something.done"]
    assert WORDS not in found.content.decode()


def test_roles_are_given_and_taken_on_the_terminal_with_a_reason(owner):
    call_command("roles", "grant", owner.email, "operator", "--reason", "on call")
    assert roles.roles_of(owner) == {"operator"}
    with pytest.raises(CommandError, match="is operator already"):
        call_command("roles", "grant", owner.pseudonym, "operator", "--reason", "again")
    call_command("roles", "revoke", owner.pseudonym, "operator", "--reason", "left")
    assert roles.roles_of(owner) == frozenset()
    assert RoleGrant.objects.get().ended_at is not None
    assert list(AuditEvent.objects.values_list("verb", "reason")) == [
        ("role.granted", "on call"),
        ("role.revoked", "left"),
    ]
    with pytest.raises(CommandError, match="There is nobody"):
        call_command("roles", "grant", "nobody@example.org", "operator", "--reason", "x")

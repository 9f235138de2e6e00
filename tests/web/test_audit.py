"""The audit chain: every tampering shows, masking does not, and writers never fork it."""

from __future__ import annotations

import random
import threading

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from alignapp.accounts.models import Consent
from alignapp.audit.chain import verify_chain
from alignapp.audit.models import AuditEvent, ChainHead
from alignapp.audit.services import ERASED, events_about, mask, record

EVENTS = 25


def write_events(person, count=EVENTS):
    for i in range(count):
        record(person if i % 2 else "system", f"verb.{i}", person, reason=f"reason {i}", n=i)


@pytest.mark.django_db
def test_an_untouched_chain_is_intact(owner):
    assert verify_chain() == []
    write_events(owner)
    assert verify_chain() == []


def edit(rng, events, other):
    changes = [
        ("verb", "something.else"),
        ("actor_label", "p-0000"),
        ("subject_label", "p-0000"),
        ("reason", "another reason"),
        ("object_id", "1"),
        ("object_type", "chat.reply"),
        ("evidence", {"n": -1}),
        ("at", timezone.now()),
        ("salt", "00"),
        ("detail_digest", "0" * 64),
        ("hash", "0" * 64),
        ("previous_hash", "1" * 64),
        ("actor", other),
        ("subject", other),
        ("masked", True),
    ]
    field, value = rng.choice(changes)
    AuditEvent.objects.filter(pk=rng.choice(events).pk).update(**{field: value})


def remove(rng, events, other):
    """One event, or all from somewhere to the end."""
    at = rng.randrange(len(events))
    ids = [e.pk for e in (events[at:] if rng.random() < 0.5 else [events[at]])]
    AuditEvent.objects.filter(pk__in=ids).delete()


def move(rng, events, other):
    one, two = rng.sample(events, 2)
    with connection.cursor() as cursor:
        for old, new in ((one.pk, -1), (two.pk, one.pk), (-1, two.pk)):
            cursor.execute("UPDATE audit_auditevent SET id = %s WHERE id = %s", [new, old])


@pytest.mark.django_db
@pytest.mark.parametrize("tamper", [edit, remove, move])
def test_every_tampering_is_found(owner, other, tamper):
    write_events(owner)
    original = list(AuditEvent.objects.order_by("id"))
    for seed in range(100):
        with transaction.atomic():
            tamper(random.Random(seed), original, other)
            assert verify_chain(), f"seed {seed} was not found"
            transaction.set_rollback(True)
    assert verify_chain() == []


@pytest.mark.django_db
def test_a_chain_that_was_written_anew_has_no_signed_end(owner):
    write_events(owner, 3)
    ChainHead.objects.update(signature="0" * 64)
    assert [p.event_id for p in verify_chain()] == [None]
    record("system", "next.one")  # which signs again, as after a change of SECRET_KEY
    assert verify_chain() == []


@pytest.mark.django_db
def test_a_masked_person_leaves_an_intact_chain_without_details(owner, other):
    write_events(owner)
    write_events(other, 2)
    record(owner, ERASED, owner)
    mask(owner)
    assert verify_chain() == []
    assert AuditEvent.objects.filter(masked=True).count() == EVENTS + 1
    for event in AuditEvent.objects.filter(masked=True):
        assert (event.reason, event.evidence, event.salt, event.actor, event.subject) == (
            "",
            {},
            "",
            None,
            None,
        )
    assert AuditEvent.objects.filter(subject=other, masked=False).count() == 2


@pytest.mark.django_db
def test_masking_hides_no_second_truth(owner):
    write_events(owner, 4)
    mask(owner)
    assert len(verify_chain()) == 4  # nobody left
    record(owner, ERASED, owner)
    mask(owner)
    AuditEvent.objects.filter(pk=AuditEvent.objects.first().pk).update(reason="what never happened")
    assert [p.what for p in verify_chain()] == ["it is masked and has details"]


@pytest.mark.django_db
def test_an_event_is_about_the_owner_of_its_object(owner, other):
    consent = Consent.objects.create(person=owner, text_version="1", text_sha256="")
    event = record(other, "consent.seen", consent)
    assert (event.actor, event.subject) == (other, owner)
    assert list(events_about(owner)) == list(events_about(other)) == [event]


@pytest.mark.django_db
def test_the_command_prints_the_end_and_fails_when_broken(owner, capsys):
    write_events(owner, 2)
    call_command("verify_audit")
    assert "2 events, chain intact" in capsys.readouterr().out
    AuditEvent.objects.filter(verb="verb.0").update(verb="verb.9")
    with pytest.raises(SystemExit):
        call_command("verify_audit")
    assert "was edited" in capsys.readouterr().err


@pytest.mark.django_db(transaction=True)
def test_writers_at_the_same_time_make_one_chain(owner):
    errors = []

    def write():
        try:
            for i in range(10):
                record(owner, f"verb.{i}", owner, n=i)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert AuditEvent.objects.count() == 60
    assert verify_chain() == []

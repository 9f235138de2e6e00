"""Operators' acts: no order of them switches on what may not act; each is on record; pruning spares."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from alignapp.accounts.models import Person
from alignapp.adapters import acts, services, store
from alignapp.adapters.aliases import active_ids, aliases_of
from alignapp.adapters.composition import interventions_of
from alignapp.adapters.models import Alignment, Artifact
from alignapp.adapters.pruning import Rule, doomed, prune
from alignapp.audit.chain import verify_chain
from alignapp.audit.models import AuditEvent
from personalization.errors import AlignError, ArtifactError
from tests.web import learned

State = Artifact.State
ACTS = [acts.promote, acts.roll_back, acts.quarantine, acts.expire, acts.restore, acts.pin, acts.unpin]


@pytest.fixture
def operator(db) -> Person:
    return Person.objects.create_user("operator@example.org", "a long pass phrase")


class Clicks(RuleBasedStateMachine):
    """Two people, artifacts of every kind of evidence, and any order of acts by operator and person."""

    artifacts = Bundle("artifacts")

    def __init__(self) -> None:
        super().__init__()
        self._held = transaction.atomic()
        self._held.__enter__()
        self.people = [Person.objects.create_user(f"{n}@example.org") for n in ("ann", "ben")]
        self.broken: set[object] = set()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self._held.__exit__(None, None, None)

    @rule(
        target=artifacts,
        of=st.integers(0, 1),
        proven=st.sampled_from([True, False, None]),
        safe=st.booleans(),
    )
    def learn(self, of, proven, safe):
        return learned.artifact(self.people[of], proven=proven, safe=safe)

    @rule(artifact=artifacts, act=st.sampled_from(ACTS), reason=st.sampled_from(["why", "why", "why", " "]))
    def operate(self, artifact, act, reason):
        try:
            act("operator", artifact, reason)
        except AlignError:
            return
        assert reason.strip()

    @rule(artifact=artifacts, of=st.integers(0, 1), accept=st.booleans())
    def person_switches_on(self, artifact, of, accept):
        with suppress(AlignError):
            services.switch_on(self.people[of], artifact, accept_unproven=accept)

    @rule(of=st.integers(0, 1))
    def person_goes_back(self, of):
        with suppress(AlignError):
            services.roll_back(self.people[of])

    @rule(artifact=artifacts)
    def disk_rots(self, artifact):
        (store.folder_of(artifact) / "adapter_model.safetensors").write_bytes(b"rot")
        acts.verify(artifact)
        self.broken.add(artifact.pk)

    @invariant()
    def only_what_may_act_acts(self):
        for pointer in Alignment.objects.select_related("current__adapter__report_card"):
            artifact = pointer.current.adapter
            if artifact is None:
                continue
            assert artifact.person_id == pointer.person_id
            assert artifact.state in (State.PROVEN, State.NOT_PROVEN)
            assert artifact.report_card.is_safe
            assert [part["digest"] for part in interventions_of(pointer.current)] == [artifact.digest]

    @invariant()
    def pinned_ones_have_not_expired_and_unsafe_ones_stay_out(self):
        assert not Artifact.objects.filter(pinned=True, state=State.EXPIRED).exists()
        for artifact in Artifact.objects.select_related("report_card").filter(report_card__isnull=False):
            if not artifact.report_card.is_safe:
                assert artifact.state in (State.QUARANTINED, State.EXPIRED)


@pytest.mark.django_db
def test_no_order_of_clicks_switches_on_what_may_not_act():
    run_state_machine_as_test(
        Clicks,
        settings=settings(
            max_examples=10, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_a_bad_adapter_is_quarantined_and_the_previous_one_takes_its_place(owner, operator):
    good, bad = learned.artifact(owner), learned.artifact(owner)
    acts.promote(operator, good, "proven")
    acts.promote(operator, bad, "proven, newer")
    acts.quarantine(operator, bad, "complaints")
    assert aliases_of(owner, "adapter").active == good
    assert bad.state == State.QUARANTINED
    with pytest.raises(AlignError, match="quarantine"):
        acts.promote(operator, bad, "again")
    acts.restore(operator, bad, "it was not the adapter")
    assert (bad.state, aliases_of(owner, "adapter").active) == (State.PROVEN, good)
    verbs = AuditEvent.objects.filter(actor=operator, object_id=str(bad.pk)).order_by("id")
    assert [(e.verb, e.reason) for e in verbs] == [
        ("artifact.promoted", "proven, newer"),
        ("artifact.quarantined", "complaints"),
        ("artifact.restored", "it was not the adapter"),
    ]
    assert not verify_chain()


@pytest.mark.parametrize("wrong", ["quarantined", "damaged"])
def test_a_rollback_passes_over_a_version_that_may_not_come_back(wrong, owner, operator):
    first, second, third = (learned.artifact(owner) for _ in range(3))
    for artifact in (first, second, third):
        acts.promote(operator, artifact, "proven")
    if wrong == "damaged":
        acts.roll_back(operator, third, "another look")
        (store.folder_of(third) / "adapter_model.safetensors").write_bytes(b"planted")
        acts.verify(third)
    else:
        acts.quarantine(operator, third, "complaints")
    found = aliases_of(owner, "adapter")
    assert (found.active, found.previous) == (second, first)
    assert acts.roll_back(operator, second, "complaints, too") == first


def test_a_rollback_that_fails_on_the_way_changes_nothing(owner, operator):
    artifact = learned.artifact(owner)
    with pytest.raises(AlignError, match="not active"):
        acts.roll_back(operator, artifact, "try")
    with pytest.raises(AlignError, match="Say why"):
        acts.promote(operator, artifact, "  ")
    assert not AuditEvent.objects.filter(actor=operator).exists()


def test_changed_files_are_neither_promoted_nor_restored_and_are_on_record_once(owner, operator):
    artifact = learned.artifact(owner)
    (store.folder_of(artifact) / "adapter_model.safetensors").write_bytes(b"planted")
    for _ in range(2):
        with pytest.raises(ArtifactError, match="were changed"):
            acts.promote(operator, artifact, "proven")
    assert active_ids({owner.pk}) == set()
    assert "were changed" in acts.verify(artifact)
    assert artifact.damage
    acts.verify(artifact)
    assert AuditEvent.objects.filter(verb="artifact.damaged").count() == 1


def test_aliases_say_what_acts_what_did_and_what_may_come(owner, operator):
    first, second, third = (learned.artifact(owner) for _ in range(3))
    acts.promote(operator, first, "1")
    acts.promote(operator, second, "2")
    found = aliases_of(owner, "adapter")
    assert (found.active, found.previous, found.candidate) == (second, first, third)
    assert found.of(first) == ["previous"]
    acts.quarantine(operator, third, "bad")
    assert aliases_of(owner, "adapter").candidate is None


def test_the_database_itself_refuses_an_expired_pin(owner):
    artifact = learned.artifact(owner)
    with pytest.raises(IntegrityError), transaction.atomic():
        Artifact.objects.filter(pk=artifact.pk).update(pinned=True, state=State.EXPIRED)


def test_pruning_counts_first_and_spares_active_previous_pinned_young_and_newest(owner, operator):
    made = [learned.artifact(owner) for _ in range(7)]
    acts.promote(operator, made[0], "was first")
    acts.promote(operator, made[1], "is on")
    acts.pin(operator, made[2], "evidence")
    old = timezone.now() - timedelta(days=100)
    Artifact.objects.exclude(pk=made[3].pk).update(created_at=old)
    rule = Rule(days=90, keep=2)
    assert doomed(rule) == [made[4]]
    assert doomed(Rule(days=90, keep=2, states=("quarantined",))) == []
    assert prune(operator, rule, "disk") == [f"{made[4]} {made[4].digest[:12]}"]
    assert Artifact.objects.count() == 6
    assert AuditEvent.objects.filter(actor=operator, verb="artifact.deleted").count() == 1
    with pytest.raises(AlignError, match="at least one version"):
        Rule(keep=0)
    with pytest.raises(AlignError, match="no state 'rotten'"):
        Rule(states=("rotten",))

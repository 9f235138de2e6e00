"""The registry of base models: added, checked, made the default, and people moved to it and back."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.models import Person
from alignapp.adapters import bases, services
from alignapp.adapters.models import Artifact, KnownModel
from alignapp.audit.models import AuditEvent
from alignapp.panel.models import Worker
from personalization.errors import AlignError
from tests.web import learned
from tests.web.operating import signed_in_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator():
    return signed_in_with("operator", Person.objects.create_user("op@example.org", "a long pass phrase"))


def passed(revision: str, *, is_default: bool = False) -> KnownModel:
    """Return a base model that passed its check."""
    return KnownModel.objects.create(
        spec=f"/models/{revision}", name=f"model {revision}", revision=revision, state="passed",
        added_by="worker", is_default=is_default,
    )  # fmt: skip


def answering_with(revision: str) -> None:
    Worker.beat(
        "generation@here", queues=["generate"], pid=1, started_at=timezone.now(), model_revision=revision
    )


def learned_for(person: Person, revision: str, method: str = "dpo") -> Artifact:
    artifact = learned.artifact(person, method)
    Artifact.objects.filter(pk=artifact.pk).update(model_revision=revision)
    artifact.refresh_from_db()
    return artifact


@pytest.mark.parametrize("spec", ["", "models/new/here", "../secret", "a b", "C:\\models"])
def test_a_name_that_is_none_is_refused_with_what_would_be_one(spec):
    with pytest.raises(AlignError, match="whole path"):
        bases.add("terminal", spec)
    assert not KnownModel.objects.exists()


def test_adding_a_model_queues_its_check_once_and_is_on_record(operator):
    answer = operator.post(
        reverse("panel:add_model"), {"spec": "/models/new/", "licence": "mit"}, follow=True
    )
    known = KnownModel.objects.get()
    assert (known.spec, known.name, known.licence, known.state) == ("/models/new", "new", "mit", "queued")
    assert "waits for a training worker" in answer.content.decode()
    nothing = operator.post(reverse("panel:add_model"), {"spec": " ", "licence": "apache-2.0"})
    assert nothing.status_code == 400
    assert "This field is required" in nothing.content.decode()
    assert 'value="apache-2.0"' in nothing.content.decode()
    again = operator.post(reverse("panel:add_model"), {"spec": "/models/new"})
    assert again.status_code == 400
    assert "is on record already" in again.content.decode()
    assert "/models/new" in again.context["form"]["spec"].value()
    with pytest.raises(AlignError, match="being checked already"):
        bases.check("terminal", known)
    verbs = list(AuditEvent.objects.order_by("id").values_list("verb", flat=True))
    assert verbs[-2:] == ["model.added", "model.check_asked"]


def test_a_check_is_one_workers_and_another_goes_on_when_that_dies():
    known = bases.add("terminal", "embedded")
    first = KnownModel.claim(known.pk, "one")
    assert first is not None
    assert KnownModel.claim(known.pk, "two") is None
    first.report(0.5, [{"name": "no code", "ok": True, "words": "."}])
    for attempt in ("two", "three"):
        KnownModel.objects.filter(pk=known.pk).update(lease_until="2020-01-01T00:00:00Z")
        waiting = KnownModel.rescue()
        if attempt == "two":
            assert waiting == [known]
            assert KnownModel.claim(known.pk, attempt) is not None
    known.refresh_from_db()
    assert (known.state, known.reason[:15]) == ("failed", "The worker died")


def test_the_default_moves_people_to_what_is_proven_for_it_and_back(owner, other, operator):
    old, new = passed("old", is_default=True), passed("new")
    before = learned_for(owner, "old")
    services.switch_on(owner, before)
    services.switch(owner, change="less", adapter_strength=0.5)
    after = learned_for(owner, "new")
    alone = learned_for(other, "old")
    services.switch_on(other, alone)
    url = reverse("panel:make_model_default", args=[new.pk])
    refused = operator.post(url, {"reason": "better", "typed": "another"})
    assert refused.status_code == 400
    assert 'value="better"' in refused.content.decode()
    operator.post(url, {"reason": "better", "typed": new.name})
    new.refresh_from_db()
    assert (new.is_default, new.moving) == (True, True)
    while bases.move_people(1):
        pass
    bases.move_people()
    now = services.current_alignment(owner)
    assert (now.adapter, now.adapter_strength) == (after, 0.5)
    assert services.current_alignment(other).adapter is None
    new.refresh_from_db()
    assert not new.moving
    old.refresh_from_db()
    bases.make_default("terminal", old, "worse after all")
    assert bases.move_people() == 1
    assert services.current_alignment(owner).adapter == before


def test_only_a_model_that_passed_becomes_the_default():
    known = bases.add("terminal", "owner/name")
    with pytest.raises(AlignError, match="did not pass"):
        bases.make_default("terminal", known, "why not")
    with pytest.raises(AlignError, match="Say why"):
        bases.make_default("terminal", passed("new"), " ")


def test_what_was_learned_for_a_model_that_does_not_answer_is_not_switched_on(owner):
    first, waits = learned_for(owner, "old"), learned_for(owner, "new")
    answering_with("old")
    services.switch_on(owner, first)
    with pytest.raises(AlignError, match="another base model"):
        services.switch_on(owner, waits)
    answering_with("new")
    services.switch_on(owner, waits)
    services.roll_back(owner)  # to what the model before it had: not on this one
    assert services.current_alignment(owner).adapter is None


def test_the_pages_say_what_is_loaded_and_what_was_found(operator):
    known = passed("old", is_default=True)
    facts = {"parameters": 134_515_008, "sites": ["output"], "layers": 30, "template": "{{ messages }}"}
    checks = [{"name": "no code", "ok": True, "words": "Nothing that would be run."}]
    KnownModel.objects.filter(pk=known.pk).update(facts=facts, checks=checks)
    answering_with("another")
    text = operator.get(reverse("panel:models")).content.decode()
    assert "134.5 million" in text
    assert "have another model loaded than the default" in text
    page = operator.get(reverse("panel:model", args=[known.pk])).content.decode()
    assert "Nothing that would be run." in page
    assert "{{ messages }}" in page
    assert "Plan a campaign for it" in page


def test_the_terminal_does_the_same():
    known = passed("new")

    def told(*arguments: str) -> object:
        out = StringIO()
        call_command("models", *arguments, "--json", stdout=out)
        return json.loads(out.getvalue())

    assert told("add", "owner/name")["state"] == "queued"
    assert [row["revision"] for row in told("list")] == ["", "new"]
    assert told("check", "new")["state"] == "queued"
    with pytest.raises(CommandError, match="did not pass"):
        told("default", "new", "--reason", "why")
    KnownModel.objects.filter(pk=known.pk).update(state="passed")
    assert told("default", "/models/new", "--reason", "why")["moving"] is True
    with pytest.raises(CommandError, match="no base model nothing"):
        told("check", "nothing")

"""The operator API: lists, acts that are done once and on record, and no word of a person."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.adapters import services, store
from alignapp.adapters.models import Artifact, Job, MergeWay
from alignapp.api.models import Scope
from alignapp.audit.chain import verify_chain
from alignapp.audit.models import AuditEvent
from alignapp.chat import streams
from alignapp.panel import measures, roles
from alignapp.panel.models import AnsweredRequest, Worker
from alignapp.panel.roles import Role
from tests.contracts.routes import ROUTES
from tests.contracts.walk import address
from tests.web import learned
from tests.web.everything import everything_of
from tests.web.operating import signed_in_with
from tests.web.programs import BASE, Program, auditors_program, operators_program

pytestmark = pytest.mark.django_db
SECRET_WORDS = "what nobody may read"


@pytest.fixture
def operator(db) -> Program:
    return operators_program()


@pytest.fixture
def auditor(db) -> Program:
    return auditors_program()


def test_no_answer_holds_a_persons_words_or_address(auditor, owner):
    rows = everything_of(owner)
    Job.objects.update(reason=f"ValueError: {SECRET_WORDS}")
    AuditEvent.objects.create(
        at=timezone.now(), actor_label="x", verb="x", reason=SECRET_WORDS, evidence={"a": SECRET_WORDS},
        previous_hash="a", hash="b",
    )  # fmt: skip
    card = rows.artifact.report_card
    card.results["samples"] = [{"prompt": SECRET_WORDS, "base": SECRET_WORDS, "artifact": SECRET_WORDS}]
    card.save()
    words = (SECRET_WORDS, owner.email, rows.turn.text, rows.feedback.text, rows.conversation.title, "a note")
    read = 0
    for route in ROUTES:
        if route.name.startswith("operator_api:") and "GET" in route.methods:
            url = address(route, rows).replace("p-0123456789", owner.pseudonym)
            text = _text(auditor.ask(url))
            assert not [word for word in words if word in text], url
            read += owner.pseudonym in text
    assert read >= 6


def _text(response) -> str:
    if not response.streaming:
        return response.content.decode()
    return b"".join(_drained(response)).decode()


def _drained(response) -> list[bytes]:
    from asgiref.sync import async_to_sync

    async def read() -> list[bytes]:
        return [part async for part in response.streaming_content]

    return async_to_sync(read)()


class TestLists:
    def test_pages_follow_each_other_and_cost_the_same(self, operator, django_assert_max_num_queries):
        people = [Person.objects.create_user(f"p{i}@example.org") for i in range(7)]
        for person in people:
            Job.objects.create(person=person, method="dpo")
        seen, before = [], ""
        while before is not None:
            with django_assert_max_num_queries(8):
                page = operator.ask(f"jobs?limit=3&before={before.replace('+', '%2B')}").json()
            seen += [job["person"] for job in page["data"]]
            before = page["next"]
            assert (page["count"], page["is_counted"]) == (7, True)
        assert seen == [person.pseudonym for person in reversed(people)]

    def test_filters_narrow_and_what_is_not_understood_is_said(self, operator, owner, other):
        learned.artifact(owner)
        learned.artifact(other, "steer", proven=False)
        Job.objects.create(person=owner, method="pas")
        found = operator.ask(f"artifacts?state=proven&person={owner.pseudonym}&kind=adapter").json()["data"]
        assert [(a["person"], a["state"], a["active"]) for a in found] == [(owner.pseudonym, "proven", False)]
        assert operator.ask("jobs?state=queued").json()["count"] == 1
        assert operator.ask("audit?verb=role.&limit=1").json()["data"][0]["verb"] == "role.granted"
        assert operator.ask(f"people?person={owner.pseudonym}").json()["data"][0]["artifacts"] == 1
        for path, param in (
            ("artifacts?state=nonsense", "state"),
            ("artifacts?stat=proven", "stat"),
            ("jobs?id=zz", "id"),
            ("jobs?older=year", "older"),
            ("jobs?method=nonsense", "method"),
            ("jobs?limit=0", "limit"),
            ("jobs?before=nonsense", "before"),
            ("audit?since=yesterday", "since"),
            ("overview?over=century", "over"),
        ):
            assert operator.error(path) == (400, "invalid", param), path

    def test_what_there_is_not_is_said_in_the_same_shape(self, operator, owner):
        for path in (f"jobs/{owner.pk}", f"artifacts/{owner.pk}", "people/p-nobody", "nowhere", "jobs/zz"):
            assert operator.error(path) == (404, "not_found", None), path
        assert operator.error("nowhere", {}) == (404, "not_found", None)

    def test_figures_workers_and_one_person(self, operator, owner):
        artifact = learned.artifact(owner)
        services.switch_on(owner, artifact)
        now = timezone.now()
        Worker.beat("training@here", queues=["train"], pid=1, started_at=now, versions={"torch": "2"})
        measures.measure()
        figures = operator.ask("overview").json()
        assert figures["levels"]["artifacts_proven"] == 1
        assert figures["queues_without_worker"] == ["generate", "evaluate", "housekeeping"]
        assert figures["trend"]["people"][0]["mean"] == Person.objects.count()
        assert figures["trend"].keys() > {"people", "workers"}
        asked = operator.ask("overview?trend_of=people&trend_of=no_such").json()["trend"]
        assert asked == {"people": figures["trend"]["people"], "no_such": []}
        assert [(w["name"], w["alive"]) for w in operator.ask("workers").json()] == [("training@here", True)]
        person = operator.ask(f"people/{owner.pseudonym}").json()
        assert (person["active"], person["alignment_version"]) == ([str(artifact.pk)], 1)

    def test_the_audit_record_is_exported_with_every_hash(self, auditor):
        lines = [json.loads(line) for line in _text(auditor.ask("audit/export")).splitlines()]
        assert [line["id"] for line in lines] == list(AuditEvent.objects.values_list("id", flat=True))
        last = AuditEvent.objects.last()
        assert (last.verb, last.evidence["token"]) == ("audit.exported", "robot")


class TestActs:
    def test_artifacts_acts_have_the_panels_rules_and_name_the_token(self, operator, owner):
        artifact = learned.artifact(owner)
        path = f"artifacts/{artifact.pk}/acts"
        shown = operator.ask(path, {"act": "promote", "reason": "proven"}).json()
        assert shown["aliases"] == ["active"]
        assert "quarantine" in shown["possible"]
        event = AuditEvent.objects.get(verb="artifact.promoted")
        assert (event.actor, event.reason) == (operator.person, "proven")
        assert event.evidence["token"] == "robot"
        assert AuditEvent.objects.get(verb="alignment.switched").evidence["token"] == "robot"
        assert operator.error(path, {"act": "promote", "reason": "again"}) == (400, "refused", None)
        assert operator.error(path, {"act": "dance", "reason": "x"}) == (400, "invalid", "act")
        assert operator.error(path, {"act": "pin"}) == (400, "invalid", "reason")
        assert operator.error(path, {"act": "pin", "reason": "x", "more": 1}) == (400, "invalid", "more")
        assert operator.error(path, {"act": "pin", "reason": "  "}) == (400, "refused", None)
        (store.folder_of(artifact) / "adapter_model.safetensors").write_bytes(b"other")
        damage = operator.ask(f"artifacts/{artifact.pk}/verify", {}).json()["damage"]
        assert "were changed" in damage
        assert "by token “robot”" in audit_page_of(operator)
        assert verify_chain() == []

    def test_jobs(self, operator, owner):
        give_consent(owner)
        job = Job.objects.create(person=owner, method="dpo")
        path = f"jobs/{job.pk}/acts"
        assert (
            operator.ask(path, {"act": "prioritise", "priority": 7, "reason": "first"}).json()["priority"]
            == 7
        )
        assert operator.ask(path, {"act": "normal", "reason": "in turn"}).json()["priority"] == 0
        assert operator.ask(path, {"act": "cancel", "reason": "wrong data"}).json()["state"] == "cancelled"
        assert operator.ask(path, {"act": "retry", "reason": "right data"}).json()["queue_position"] == 1
        for wrong, param in (
            ({"act": "prioritise"}, "priority"),
            ({"act": "cancel", "priority": 1}, "priority"),
            ({"act": "prioritise", "priority": 11}, "priority"),
            ({"act": "dance"}, "act"),
        ):
            assert operator.error(path, {"reason": "x", **wrong}) == (400, "invalid", param)
        verbs = AuditEvent.objects.filter(evidence__token="robot").values_list("verb", flat=True)
        assert list(verbs) == ["job.reprioritised", "job.reprioritised", "job.cancelled", "job.retried"]

    def test_a_merge_is_queued_and_refused_as_in_the_panel(self, operator, owner, other):
        give_consent(owner)
        MergeWay.objects.create(name="linear", summary="", paper="", parameters={})
        mine = [learned.artifact(owner), learned.artifact(owner)]
        parents = [{"artifact": str(a.pk), "weight": 0.5} for a in mine]
        foreign = {"artifact": str(learned.artifact(other).pk)}
        given = {"way": "linear", "parents": parents, "reason": "work and home"}
        assert operator.error("artifacts/merge", {**given, "parents": [parents[0], foreign]})[:2] == (
            400,
            "refused",
        )
        nobody = {"artifact": str(owner.pk)}
        assert operator.error("artifacts/merge", {**given, "parents": [parents[0], nobody]})[0] == 404
        assert operator.error("artifacts/merge", {**given, "parents": parents[:1]})[2] == "parents"
        job = operator.ask("artifacts/merge", given).json()
        assert (job["method"], job["state"], job["person"]) == ("merge", "queued", owner.pseudonym)

    def test_pruning_deletes_as_many_as_were_counted(self, operator, owner):
        for _ in range(3):
            learned.artifact(owner, proven=False)
        Artifact.objects.update(created_at=timezone.now() - timedelta(days=100))
        counted = operator.ask("artifacts/pruning?keep=1&days=90&states=not_proven").json()
        assert (counted["count"], len(counted["data"])) == (2, 2)
        given = {"keep": 1, "days": 90, "states": ["not_proven"], "reason": "old", "count": 3}
        assert operator.error("artifacts/prune", given)[:2] == (400, "refused")
        assert len(operator.ask("artifacts/prune", {**given, "count": 2}).json()["deleted"]) == 2
        assert Artifact.objects.count() == 1
        assert operator.error("artifacts/pruning?keep=0")[:2] == (400, "refused")


def audit_page_of(operator: Program) -> str:
    roles.revoke(operator.person, Role.OPERATOR, "anew")
    return signed_in_with("operator", operator.person).get(reverse("panel:audit")).content.decode()


class TestIdempotency:
    def test_the_same_request_twice_is_done_once(self, operator, owner):
        artifact = learned.artifact(owner)
        path, given = f"artifacts/{artifact.pk}/acts", {"act": "promote", "reason": "proven"}
        first = operator.ask(path, given, Idempotency_Key="k1")
        again = operator.ask(path, given, Idempotency_Key="k1")
        assert first.status_code == again.status_code == 200
        assert first.json() == again.json()
        assert AuditEvent.objects.filter(verb="artifact.promoted").count() == 1
        other_act = {"act": "pin", "reason": "x"}
        reused = (409, "idempotency_key_reused", "Idempotency-Key")
        assert operator.error(path, other_act, Idempotency_Key="k1") == reused
        assert operator.error(path, other_act, Idempotency_Key="k" * 101)[0] == 400

    def test_what_was_refused_is_not_remembered(self, operator, owner):
        artifact = learned.artifact(owner, proven=False)
        path, given = f"artifacts/{artifact.pk}/acts", {"act": "rollback", "reason": "x"}
        assert operator.error(path, given, Idempotency_Key="k1")[0] == 400
        assert not AnsweredRequest.objects.exists()
        services.switch_on(owner, artifact, accept_unproven=True)
        assert operator.ask(path, given, Idempotency_Key="k1").status_code == 200

    def test_keys_are_each_tokens_own_and_forgotten_after_a_day(self, operator, owner, other):
        job = Job.objects.create(person=owner, method="dpo")
        second = Program(other, "operator", Scope.OPERATE_ACT, name="second")
        given = {"act": "raise", "reason": "x"}
        for program in (operator, second):
            assert program.ask(f"jobs/{job.pk}/acts", given, Idempotency_Key="k1").status_code == 200
        assert AnsweredRequest.objects.count() == 2
        AnsweredRequest.objects.update(created_at=timezone.now() - timedelta(days=2))
        AnsweredRequest.forget_old()
        assert not AnsweredRequest.objects.exists()


def test_the_openapi_document_names_every_address_and_its_errors(operator):
    document = operator.ask("openapi.json").json()
    named = {r.name.split(":")[1] for r in ROUTES if r.name.startswith("operator_api:")} - {
        "openapi",
        "unknown",
    }
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert sorted(each["operationId"] for each in operations) == sorted(named)
    assert all(path.startswith(f"{BASE}/") for path in document["paths"])
    for each in operations:
        assert each["security"]
        assert {"401", "403", "429"} <= set(each["responses"])
        assert each["summary"]
        if "requestBody" in each and each["operationId"] not in ("plan_a_campaign", "try_a_preset"):  # dry
            assert "Idempotency-Key" in {parameter["name"] for parameter in each["parameters"]}
    acting = document["paths"][f"{BASE}/artifacts/{{artifact_id}}/acts"]["post"]
    assert acting["security"] != document["paths"][f"{BASE}/jobs"]["get"]["security"]


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.one_of(
        st.binary(max_size=40),
        st.dictionaries(
            st.sampled_from(["act", "reason", "priority", "parents", "way", "count", "days", "keep", "x"]),
            st.one_of(st.none(), st.integers(), st.text(max_size=20), st.lists(st.integers(), max_size=3)),
        ).map(lambda d: json.dumps(d).encode()),
    ),
    place=st.sampled_from(["jobs/{job}/acts", "artifacts/merge", "artifacts/prune", "jobs/{job}/nowhere"]),
)
def test_whatever_is_sent_is_answered_in_one_shape(operator, owner, body, place):
    streams.connection().flushdb()  # the limit
    job = Job.objects.filter(person=owner).first() or Job.objects.create(person=owner, method="dpo")
    headers = {"Authorization": f"Bearer {operator.secret}"}
    url = f"{BASE}/{place.format(job=job.pk)}"
    response = Client().post(url, body, content_type="application/json", headers=headers)
    assert response.status_code < 500
    assert "error" in response.json() or response.status_code == 200

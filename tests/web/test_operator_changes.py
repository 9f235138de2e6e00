"""What operators change for many by the API: campaigns, options and base models, as the panel's pages do."""

from __future__ import annotations

import pytest

from alignapp.accounts.models import Person
from alignapp.adapters import options, services
from alignapp.adapters.models import KnownModel, MethodInfo, OptionChange
from alignapp.audit.models import AuditEvent
from alignapp.campaigns.models import Campaign, Enrolment
from tests.web import learned
from tests.web.programs import Program, auditors_program, operators_program

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def surroundings(settings, tmp_path):
    settings.ARTIFACT_DIR = tmp_path / "artifacts"
    learned.methods()


@pytest.fixture
def operator(db) -> Program:
    return operators_program()


@pytest.fixture
def people(db) -> list[Person]:
    """Return two people with something switched on."""
    made = [Person.objects.create_user(f"p{i}@example.org") for i in range(2)]
    for person in made:
        learned.ready(person, conversations=6)
        services.switch_on(person, learned.artifact(person))
    return made


class TestCampaigns:
    def test_planned_started_once_followed_held_and_ended(self, operator, people):
        wanted = {"method": "dpo", "parameters": {"beta": 0.2}, "wave_size": 1}
        plan = operator.ask("campaigns/plan", wanted).json()
        assert (plan["people"], plan["waves"], plan["left_out"]) == (2, 2, 0)
        assert not Campaign.objects.exists()

        start = {**wanted, "reason": "a better recipe"}
        assert operator.error("campaigns", {**start, "people": 3}) == (409, "counted_otherwise", "people")
        key = {"Idempotency_Key": "once"}
        made = operator.ask("campaigns", {**start, "people": 2}, **key).json()
        assert operator.ask("campaigns", {**start, "people": 2}, **key).json() == made
        assert (made["name"], made["outcomes"]["waiting"]) == ("dpo", 2)
        assert Campaign.objects.count() == 1
        event = AuditEvent.objects.get(verb="campaign.started")
        assert (event.actor, event.evidence["token"]) == (operator.person, "robot")

        path = f"campaigns/{made['id']}"
        Enrolment.objects.filter(person=people[0]).update(state="lost", note="what a job said")
        rows = operator.ask(f"{path}/people?state=lost").json()["data"]
        assert [(row["person"], row["state"]) for row in rows] == [(people[0].pseudonym, "lost")]
        assert "note" not in rows[0]
        for act, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
            assert operator.ask(f"{path}/acts", {"act": act, "reason": "look"}).json()["state"] == state
        assert operator.error(f"{path}/acts", {"act": "resume", "reason": "x"}) == (400, "refused", None)
        assert operator.error(f"{path}/acts", {"act": "dance", "reason": "x"}) == (400, "invalid", "act")
        assert operator.ask(path).json()["state"] == "cancelled"

    def test_the_list_costs_the_same_however_many_there_are(self, operator, django_assert_max_num_queries):
        for i in range(5):
            one = Campaign.objects.create(name=f"c{i}", method=f"m{i}", started_by="terminal")
            Enrolment.objects.create(campaign=one, person=operator.person, before=0.5, after=0.75)
        with django_assert_max_num_queries(8):
            page = operator.ask("campaigns?limit=4").json()
        assert [(row["people"], row["change"]) for row in page["data"]] == [(1, 0.25)] * 4
        assert operator.ask(f"campaigns?before={page['next'].replace('+', '%2B')}").json()["next"] is None

    @pytest.mark.parametrize(
        ("wrong", "param"),
        [
            ({"wave_size": 0}, "wave_size"),
            ({"margin": 2}, "margin"),
            ({"whom": "all"}, "whom"),
            ({"more": 1}, "more"),
        ],
    )
    def test_what_cannot_be_is_refused(self, operator, wrong, param):
        assert operator.error("campaigns/plan", {"method": "dpo", **wrong}) == (400, "invalid", param)
        assert operator.error("campaigns/plan", {"method": "magic"})[:2] == (400, "refused")


class TestOptions:
    def test_every_limit_switch_and_preset_is_listed_with_its_bounds(self, operator):
        listed = {row["name"]: row for row in operator.ask("options").json()}
        assert set(options.LIMITS) < set(listed)
        dpo = listed["preset.dpo"]
        assert (dpo["value"], dpo["parameters"]["beta"]["default"]) == ({}, 0.1)
        assert (listed["method.dpo"]["value"], listed["method.dpo"]["kind"]) == (True, "switch")
        assert listed["jobs.per_day"]["high"] >= listed["jobs.per_day"]["value"]
        assert operator.error("options/magic") == (404, "not_found", None)

    def test_changed_undone_and_a_later_change_wins(self, operator):
        assert operator.ask("options/jobs.per_day").json()["seen"] == 0
        set_to = {"value": 4, "reason": "busy", "seen": 0}
        made = operator.ask("options/jobs.per_day", set_to, Idempotency_Key="busy").json()
        assert operator.ask("options/jobs.per_day", set_to, Idempotency_Key="busy").json() == made
        assert (made["before"], made["value"], made["by"]) == (None, 4, str(operator.person))
        assert options.value("jobs.per_day") == 4
        assert operator.error("options/jobs.per_day", {**set_to, "value": 5}) == (400, "refused", None)
        back = operator.ask(f"options/changes/{made['id']}/undo", {"reason": "quiet"}).json()
        assert (back["value"], options.value("jobs.per_day")) == (None, 12)
        history = operator.ask("options/changes?name=jobs.per_day").json()
        assert ([row["id"] for row in history["data"]], history["count"]) == ([back["id"], made["id"]], 2)
        assert AuditEvent.objects.filter(verb="option.changed", evidence__token="robot").count() == 2

    def test_a_preset_is_tried_then_kept_and_a_method_switched_off(self, operator):
        tried = operator.ask("options/presets/dpo/try", {"parameters": {"beta": 0.3}}).json()
        assert (tried["parameters"], tried["jobs"], tried["minutes"]) == ({"beta": 0.3}, 0, None)
        assert not OptionChange.objects.exists()
        operator.ask("options/preset.dpo", {"value": {"beta": 0.3}, "reason": "measured"})
        assert options.preset("dpo") == {"beta": 0.3}
        operator.ask("options/preset.dpo", {"value": None, "reason": "no better"})
        assert options.preset("dpo") == {}
        operator.ask("options/method.steer", {"value": False, "reason": "it fails"})
        assert not MethodInfo.objects.get(name="steer").enabled
        for path, value in (("preset.dpo", {"beta": 9}), ("method.dpo", 1), ("jobs.per_day", True)):
            assert operator.error(f"options/{path}", {"value": value, "reason": "x"})[:2] == (400, "refused")
        assert operator.error("options/presets/magic/try", {}) == (404, "not_found", None)


class TestModels:
    def test_added_checked_and_made_the_default_by_name(self, operator):
        made = operator.ask("models", {"spec": "/models/new", "licence": "MIT"}).json()
        assert (made["state"], made["licence"]) == ("queued", "MIT")
        path = f"models/{made['id']}"
        assert operator.error(f"{path}/check", {}) == (400, "refused", None)
        KnownModel.objects.update(state="passed", revision="new@1")
        wrong = {"name": "old", "reason": "better"}
        assert operator.error(f"{path}/default", wrong) == (400, "invalid", "name")
        assert operator.ask(f"{path}/default", {**wrong, "name": "new"}).json()["is_default"] is True
        assert operator.ask(f"{path}/check", {}).json()["state"] == "queued"
        assert [row["id"] for row in operator.ask("models").json()["data"]] == [made["id"]]
        assert operator.error("models", {"spec": "no base model"}) == (400, "refused", None)


def test_auditors_read_and_change_nothing(people):
    auditor = auditors_program()
    known = KnownModel.objects.create(spec="/m", name="m", added_by="terminal")
    for path in (
        "campaigns",
        "options",
        "options/changes",
        "options/jobs.per_day",
        "models",
        f"models/{known.pk}",
    ):
        assert auditor.ask(path).status_code == 200, path
    assert auditor.ask("options/presets/dpo/try", {}).status_code == 200
    for path, given in (
        ("campaigns/plan", {"method": "dpo"}),
        ("campaigns", {"method": "dpo", "people": 2, "reason": "x"}),
        ("options/jobs.per_day", {"value": 1, "reason": "x"}),
        ("models", {"spec": "/models/new"}),
        (f"models/{known.pk}/check", {}),
    ):
        assert auditor.error(path, given) == (403, "missing_role", None), path
    assert not Campaign.objects.exists()
    assert not OptionChange.objects.exists()

"""What operators change: typed, bounded, versioned, undone, and in force for what is asked for afterwards."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alignapp.accounts.models import Person
from alignapp.adapters import estimates, options, services
from alignapp.adapters.models import Artifact, Job, MethodInfo, OptionChange
from alignapp.adapters.pruning import usual
from alignapp.adapters.readiness import readiness
from alignapp.audit.models import AuditEvent
from alignapp.limits import TooMany
from personalization.errors import AlignError
from personalization.margins import Margins
from personalization.safety.gate import Gate
from tests.gates import leanings
from tests.web import learned
from tests.web.operating import signed_in_with
from workers.tasks.live import prune

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator():
    return signed_in_with("operator", Person.objects.create_user("op@example.org", "a long pass phrase"))


def change(name, value, reason="because"):
    return options.change(name, value, by="terminal", reason=reason)


def call(command, *args):
    out = StringIO()
    call_command(command, *args, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_a_change_is_kept_with_who_why_before_and_after_and_can_be_undone(settings):
    settings.JOBS_PER_DAY = 12
    assert options.value("jobs.per_day") == 12
    first = change("jobs.per_day", 3, "too many")
    second = change("jobs.per_day", 5)
    assert options.value("jobs.per_day") == 5
    assert (second.before, second.value, second.number, second.by_label) == (3, 5, 2, "terminal")
    event = AuditEvent.objects.filter(verb="option.changed").first()
    assert (event.reason, event.evidence) == (
        "too many",
        {"option": "jobs.per_day", "before": None, "after": 3},
    )
    undone = options.undo(first.pk, by="terminal", reason="it was enough")
    assert (undone.before, undone.value) == (5, None)
    assert options.value("jobs.per_day") == 12
    settings.JOBS_PER_DAY = 20  # the default is the setting's, not what it was then
    assert options.value("jobs.per_day") == 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jobs.per_day", 0),
        ("jobs.per_day", 2.5),
        ("jobs.per_day", True),
        ("jobs.per_day", "3"),
        ("live.level", 0.5),
        ("live.level", float("nan")),
        ("gate.max_drop", 0.5),
        ("live.rollback", 1),
        ("jobs.nothing", 1),
        ("method.magic", True),
        ("preset.dpo", {"beta": 2.0}),
        ("preset.dpo", {"gamma": 1.0}),
        ("preset.dpo", {"beta": "0.2"}),
        ("preset.dpo", [1]),
        ("method.dpo", None),
    ],
)
def test_what_an_option_may_not_be_is_refused_and_leaves_nothing(name, value):
    learned.methods()
    with pytest.raises(AlignError):
        change(name, value)
    assert not OptionChange.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_change_needs_a_reason_and_must_change_something():
    for value, reason in ((4, " "), (None, "because")):
        with pytest.raises(AlignError):
            change("jobs.per_day", value, reason)
    change("jobs.per_day", 4)
    with pytest.raises(AlignError, match="so already"):
        change("jobs.per_day", 4)


def test_whoever_saw_an_older_value_is_told():
    change("jobs.per_day", 4)
    with pytest.raises(options.ChangedMeanwhile):
        options.change("jobs.per_day", 5, by="terminal", reason="because", seen=0)
    options.change("jobs.per_day", 5, by="terminal", reason="because", seen=1)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.none(), st.integers(-2, 6), st.floats(0, 8)), min_size=1, max_size=8))
def test_whatever_is_tried_the_history_tells_what_is_in_force(db, tried):
    OptionChange.objects.all().delete()
    for value in tried:
        try:
            change("retention.keep", value)
        except AlignError:
            continue
    told = None
    for row in OptionChange.objects.order_by("number"):
        assert row.before == told
        told = row.value
    assert options.value("retention.keep") == (3 if told is None else told)
    assert 1 <= options.value("retention.keep") <= 1000
    numbers = list(OptionChange.objects.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_job_learns_with_the_preset_unless_the_person_sets_something(owner, client_of):
    learned.methods()
    learned.ready(owner)
    change("preset.dpo", {"beta": 0.2})
    html = client_of(owner).get("/alignment/").content.decode()
    assert 'name="parameter_beta" value="0.2"' in html
    assert services.start_job(owner, "dpo").parameters == {"beta": 0.2}
    for sent, kept in (("0.3", {"beta": 0.3}), ("0.1", {}), ("", {"beta": 0.2})):
        Job.objects.all().delete()
        client_of(owner).post("/alignment/jobs/start", {"method": "dpo", "parameter_beta": sent})
        assert Job.objects.get().parameters == kept


def test_again_means_the_same_parameters_whatever_the_preset_is_now(owner, client_of):
    learned.methods()
    learned.ready(owner)
    dead = Job.objects.create(person=owner, method="dpo", state=Job.State.DEAD)
    change("preset.dpo", {"beta": 0.2})
    client_of(owner).post(reverse("adapters:start_again", args=[dead.pk]))
    assert Job.objects.exclude(pk=dead.pk).get().parameters == {}


def test_quotas_bound_the_day_and_let_the_further_ones_wait(owner):
    learned.methods()
    learned.ready(owner)
    change("jobs.per_day", 2)
    change("jobs.full_priority", 1)
    change("jobs.later_priority", -7)
    assert services.start_job(owner, "dpo").priority == 0
    assert services.start_job(owner, "steer").priority == -7
    Job.objects.update(state=Job.State.DONE)
    with pytest.raises(TooMany, match="2 jobs a day"):
        services.start_job(owner, "dpo")


def test_the_least_number_of_comparisons_is_the_operators(owner):
    learned.methods()
    learned.ready(owner)
    assert next(r for r in readiness(owner) if r.method.name == "dpo").is_ready
    change("jobs.min_pairs", 500)
    item = next(r for r in readiness(owner) if r.method.name == "dpo")
    assert (item.needed, item.is_ready) == (500, False)


def test_retention_prunes_at_night_where_it_is_switched_on(owner):
    made = [learned.artifact(owner, proven=None) for _ in range(4)]
    Artifact.objects.update(created_at=timezone.now() - timedelta(days=40))
    change("retention.days", 30)
    change("retention.keep", 1)
    assert (usual().days, usual().keep) == (30, 1)
    prune()
    assert Artifact.objects.count() == 4
    change("retention.automatic", True)
    prune()
    assert list(Artifact.objects.all()) == [made[-1]]
    assert "retention" in AuditEvent.objects.get(verb="artifacts.pruned").reason
    prune()
    assert AuditEvent.objects.filter(verb="artifacts.pruned").count() == 1  # an idle night leaves no event


def test_the_gate_judges_by_the_operators_margins():
    assert options.gate_margins() is None
    change("gate.max_drop", 0.02)
    found = options.gate_margins()
    assert found == Margins(0.02, 1.0)
    arms = leanings(0.5, 0.9), leanings(0.45, 0.9)
    assert not Gate.of(*arms).objection
    strict = Gate.of(*arms, found)
    assert "refuses harmful requests less readily" in strict.objection
    assert strict.as_dict()["max_drop"] == 0.02


def test_a_method_is_switched_with_a_reason_and_back(owner):
    learned.methods()
    made = change("method.dpo", False, "it fails")
    assert not MethodInfo.objects.get(name="dpo").enabled
    assert AuditEvent.objects.get(verb="method.disabled").reason == "it fails"
    options.undo(made.pk, by="terminal", reason="mended")
    assert MethodInfo.objects.get(name="dpo").enabled


def test_a_dry_run_reads_the_jobs_that_had_these_values(owner):
    learned.methods()
    now = timezone.now()
    for beta, minutes in ((0.1, 4), (0.1, 6), (0.5, 20)):
        made = learned.artifact(
            owner, card={**learned.results(), "learned_from": {"pairs": 40}, "peak_bytes": 2**30}
        )
        parameters = {"beta": beta} if beta != 0.1 else {}
        Job.objects.filter(pk=made.job_id).update(
            parameters=parameters, started_at=now - timedelta(minutes=minutes), finished_at=now
        )
    usual_values = estimates.dry_run("dpo", {})
    assert (usual_values.jobs, usual_values.same, usual_values.minutes.n) == (3, 2, 2)
    assert usual_values.minutes.most == pytest.approx(6)
    assert (usual_values.pairs.middle, usual_values.memory_bytes.middle) == (40, 2**30)
    assert estimates.dry_run("dpo", {"beta": 0.5}).minutes.middle == pytest.approx(20)
    unknown = estimates.dry_run("dpo", {"beta": 0.9})
    assert (unknown.same, unknown.minutes.n) == (0, 3)
    assert estimates.dry_run("steer", {}).minutes is None


def test_an_operator_changes_a_limit_on_its_page_and_undoes_it(operator):
    url = reverse("panel:limit", args=["jobs.per_day"])
    page = operator.get(url)
    sent = {"value": "3", "reason": "too many jobs", "seen": page.context["seen"]}
    done = operator.post(reverse("panel:change_limit", args=["jobs.per_day"]), sent, follow=True)
    assert options.value("jobs.per_day") == 3
    html = done.content.decode()
    assert "too many jobs" in html
    assert "Back to 12" in html
    undo = done.context["undo"]
    operator.post(undo.url, undo.fields)
    assert options.value("jobs.per_day") == 12
    listed = operator.get(reverse("panel:limits")).content.decode()
    assert "Undone: too many jobs" in listed


def test_what_was_typed_stays_where_a_change_is_refused(operator):
    learned.methods()
    url = reverse("panel:change_limit", args=["jobs.per_day"])
    for sent in ({"value": "0", "reason": "my reason"}, {"value": "three", "reason": "my reason"}):
        answer = operator.post(url, sent)
        html = answer.content.decode()
        assert answer.status_code == 400
        assert 'role="alert"' in html
        assert '<p class="errorlist" id="value-error">' in html
        assert 'value="my reason"' in html
        assert f'value="{sent["value"]}"' in html
    answer = operator.post(
        reverse("panel:change_limit", args=["preset.dpo"]), {"parameter_beta": "7", "reason": "my reason"}
    )
    html = answer.content.decode()
    assert answer.status_code == 400
    wrong = '<p class="errorlist" id="set-parameter_beta-error">beta must lie between 0.01 and 1.0'
    assert html.count("errorlist") == html.count(wrong) == 1  # in the form that was sent, beside its field
    assert 'value="7"' in html
    silent = operator.post(url, {"value": "3", "reason": " "}).content.decode()
    assert '<p class="errorlist" id="reason-error">Say why' in silent
    assert 'value="3"' in silent
    stale = {"value": "3", "reason": "mine", "seen": "0"}
    change("jobs.per_day", 5)
    assert "meanwhile" in operator.post(url, stale).content.decode()
    assert options.value("jobs.per_day") == 5


def test_a_preset_is_tried_then_set_then_reset(operator):
    learned.methods()
    url = reverse("panel:limit", args=["preset.dpo"])
    tried = operator.get(url, {"parameter_beta": "0.4"}).content.decode()
    assert "nothing to estimate from" in tried
    assert 'value="0.4"' in tried
    assert not OptionChange.objects.exists()
    assert operator.get(url, {"parameter_beta": "40"}).status_code == 400
    post = reverse("panel:change_limit", args=["preset.dpo"])
    operator.post(post, {"parameter_beta": "0.4", "reason": "measured"})
    assert options.preset("dpo") == {"beta": 0.4}
    operator.post(post, {"default": "1", "parameter_beta": "0.4", "reason": "measured again"})
    assert options.preset("dpo") == {}


def test_an_auditor_reads_and_changes_nothing(owner):
    auditor = signed_in_with("auditor", owner)
    made = change("jobs.per_day", 3)
    html = auditor.get(reverse("panel:limit", args=["jobs.per_day"])).content.decode()
    assert "Change it" not in html
    assert "Back to" not in html
    for url in (
        reverse("panel:change_limit", args=["jobs.per_day"]),
        reverse("panel:undo_limit", args=[made.pk]),
    ):
        assert auditor.post(url, {"value": "4", "reason": "mine"}).status_code == 403
    assert options.value("jobs.per_day") == 3


def test_changing_asks_for_the_password_again_after_a_while():
    person = Person.objects.create_user("op@example.org", "a long pass phrase")
    stale = signed_in_with("operator", person, fresh=False)
    answer = stale.post(
        reverse("panel:change_limit", args=["jobs.per_day"]), {"value": "3", "reason": "because"}
    )
    assert answer.status_code == 302
    assert not OptionChange.objects.exists()


def test_a_change_of_what_is_gone_is_shown_and_not_undone(operator):
    learned.methods()
    change("method.pas", False)
    MethodInfo.objects.filter(name="pas").delete()
    html = operator.get(reverse("panel:limits")).content.decode()
    assert "method.pas" in html
    assert operator.get(reverse("panel:limit", args=["method.pas"])).status_code == 404
    answer = operator.post(reverse("panel:undo_limit", args=[OptionChange.objects.get().pk]), follow=True)
    assert "no option" in answer.content.decode().lower() or "unknown" in answer.content.decode().lower()


def test_the_list_costs_the_same_however_much_was_changed(operator, django_assert_max_num_queries):
    learned.methods()
    for value in range(1, 61):
        change("jobs.per_day", value)
    change("preset.dpo", {"beta": 0.4})
    change("method.dpo", False)
    with django_assert_max_num_queries(16):
        page = operator.get(reverse("panel:limits"))
    rows = page.context["changes"]
    assert len(rows) == 50
    assert [row.back for row in rows[:4]] == ["on", "beta 0.1", "59", "58"]


def test_the_same_from_the_terminal(owner):
    learned.methods()
    assert {row["name"] for row in call("limits", "list")} == set(options.LIMITS)
    made = call("limits", "set", "jobs.per_day", "4", "--reason", "busy")
    assert (made["before"], made["value"], made["by"]) == (None, 4, "terminal")
    call("limits", "set", "live.rollback", "off", "--reason", "a study")
    assert options.value("live.rollback") is False
    call("limits", "reset", "live.rollback", "--reason", "over")
    call("limits", "undo", str(made["id"]), "--reason", "quiet again")
    assert options.value("jobs.per_day") == 12
    assert len(call("limits", "history")) == 4
    assert len(call("limits", "history", "jobs.per_day")) == 2
    call("presets", "set", "dpo", "--set", "beta=0.3", "--reason", "measured")
    row = next(each for each in call("presets", "list") if each["method"] == "dpo")
    assert (row["preset"], row["on"]) == ({"beta": 0.3}, True)
    assert call("presets", "try", "dpo", "--set", "beta=0.5")["jobs"] == 0
    call("presets", "off", "steer", "--reason", "it fails")
    assert not MethodInfo.objects.get(name="steer").enabled
    call("presets", "reset", "dpo", "--reason", "no better")
    assert options.preset("dpo") == {}
    for command in (
        ("limits", "set", "jobs.per_day", "none", "--reason", "x"),
        ("limits", "set", "live.rollback", "1", "--reason", "x"),
        ("limits", "set", "preset.dpo", "1", "--reason", "x"),
        ("limits", "undo", "99999", "--reason", "x"),
        ("presets", "set", "dpo", "--set", "beta=9", "--reason", "x"),
        ("presets", "set", "magic", "--reason", "x"),
        ("presets", "try", "dpo", "--set", "beta"),
    ):
        with pytest.raises(CommandError):
            call(*command)

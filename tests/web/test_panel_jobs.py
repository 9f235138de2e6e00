"""Jobs in the panel and on the terminal: found, cancelled, tried again, put first, many at once."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alignapp.accounts.consent import give_consent, withdraw_consent
from alignapp.accounts.models import Person
from alignapp.adapters.models import MERGE, PROVE, Job
from alignapp.audit.models import AuditEvent
from alignapp.panel import jobs as verbs
from personalization.errors import AlignError
from tests.web.operating import signed_in_with
from workers.attempt import where_it_broke

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(db):
    return signed_in_with("operator", Person.objects.create_user("op@example.org", "a long pass phrase"))


@pytest.fixture
def job(owner) -> Job:
    give_consent(owner)
    return Job.objects.create(person=owner, method="dpo")


def people(count: int) -> list[Person]:
    return [Person.objects.create_user(f"p{i}@example.org") for i in range(count)]


def test_a_list_costs_the_same_however_long_it_is(operator, django_assert_max_num_queries):
    for person in people(55):
        Job.objects.create(person=person, method="dpo")
    for query in ("", "?state=queued&person=p-&older=", "?id=zz"):
        with django_assert_max_num_queries(10):
            page = operator.get(reverse("panel:jobs") + query)
        assert page.status_code == 200
    first = operator.get(reverse("panel:jobs")).context["listing"]
    second = operator.get(f"{reverse('panel:jobs')}?{first.next_query}").context["listing"]
    assert (len(first.rows), len(second.rows), second.next_query) == (50, 5, "")
    assert not {j.pk for j in first.rows} & {j.pk for j in second.rows}


def test_a_job_is_found_by_the_beginning_of_its_id(operator, job, other):
    Job.objects.create(person=other, method="dpo")
    found = operator.get(reverse("panel:jobs"), {"id": str(job.id)[:8]}).context["listing"].rows
    assert found == [job]


def test_merges_and_proofs_are_found_though_no_worker_lists_them_as_methods(operator, job, other):
    # An unknown choice filters nothing: all three would be found.
    made = {name: Job.objects.create(person=other, method=name) for name in (MERGE, PROVE)}
    for name, expected in made.items():
        page = operator.get(reverse("panel:jobs"), {"method": name})
        assert page.context["listing"].rows == [expected]
        assert f'<option value="{name}" selected>' in page.content.decode()


def test_a_waiting_job_is_cancelled_and_that_is_undone(operator, job, owner):
    url = reverse("panel:cancel_job", args=[job.id])
    assert operator.post(url, {"reason": ""}).status_code == 400
    page = operator.post(url, {"reason": "Wrong data"}, follow=True)
    job.refresh_from_db()
    assert (job.state, job.reason) == ("cancelled", verbs.CANCELLED)
    event = AuditEvent.objects.get(verb="job.cancelled", subject=owner)
    assert event.reason == "Wrong data"
    undo = page.context["undo"]
    operator.post(undo.url, undo.fields)
    job.refresh_from_db()
    assert job.state == "queued"


def test_a_running_job_is_cancelled_when_its_id_is_typed(operator, job):
    assert Job.claim(job.id, "me")
    url = reverse("panel:cancel_job", args=[job.id])
    wrong = operator.post(url, {"reason": "Too long", "typed": "no"})
    assert wrong.status_code == 400
    assert "Too long" in wrong.content.decode()
    operator.post(url, {"reason": "Too long", "typed": str(job.id)[:8]})
    job.refresh_from_db()
    assert job.cancel_requested
    job.stop()
    job.refresh_from_db()
    assert (job.state, job.reason) == ("cancelled", verbs.CANCELLED)


def test_a_dead_job_shows_where_it_broke_and_no_word_of_a_person(operator, job):
    Job.claim(job.id, "me")
    job.refresh_from_db()
    try:
        try:
            raise KeyError("my secret diary")
        except KeyError as cause:
            raise ValueError("it says: my secret diary") from cause
    except ValueError as error:
        job.fail(f"ValueError: {error}", retryable=False, traceback=where_it_broke(error))
    page = operator.get(reverse("panel:job", args=[job.id])).content.decode()
    assert "tests/web/test_panel_jobs.py" in page
    assert "because of" in page
    assert "KeyError" in page
    assert "secret" not in page.replace("raise KeyError(&quot;my secret", "").replace(
        "it says: my secret", ""
    )


def test_nothing_is_tried_again_without_consent_or_beside_an_open_job(job, owner):
    Job.objects.filter(pk=job.pk).update(state="dead")
    again = Job.objects.create(person=owner, method="dpo")
    with pytest.raises(AlignError, match="another open job"):
        verbs.retry(job, by=None)
    again.delete()
    withdraw_consent(owner)
    with pytest.raises(AlignError, match="consent"):
        verbs.retry(job, by=None)


def test_the_queue_goes_by_priority_then_who_has_none_then_the_one_named(owner, other):
    mine = [Job.objects.create(person=owner, method=m) for m in ("dpo", "ipo")]
    theirs = Job.objects.create(person=other, method="dpo")
    assert Job.next_one(mine[1].id) == mine[1].id
    Job.claim(mine[0].id, "me")
    assert Job.next_one(mine[1].id) == theirs.id
    verbs.set_priority(mine[1], 5, by=None)
    assert Job.next_one(theirs.id) == mine[1].id
    mine[1].refresh_from_db()
    assert [mine[1].queue_position, theirs.queue_position] == [1, 2]


def test_many_are_touched_exactly_as_previewed(operator):
    jobs = [Job.objects.create(person=person, method="dpo") for person in people(4)]
    Job.claim(jobs[3].id, "me")
    shown = operator.post(reverse("panel:preview_jobs"), {"act": "cancel", "all": "1", "state": "queued"})
    assert shown.context["count"] == 3
    assert Job.objects.filter(state="cancelled").count() == 0
    newcomer = Job.objects.create(person=Person.objects.create_user("n@example.org"), method="dpo")
    sent = {"sealed": shown.context["sealed"], "reason": "Bad release"}
    assert operator.post(reverse("panel:act_on_jobs"), {**sent, "typed": "cancel 4"}).status_code == 400
    operator.post(reverse("panel:act_on_jobs"), {**sent, "typed": "cancel 3"})
    assert set(Job.objects.filter(state="cancelled")) == set(jobs[:3])
    newcomer.refresh_from_db()
    assert newcomer.state == "queued"
    forged = operator.post(
        reverse("panel:act_on_jobs"), {**sent, "sealed": "x", "typed": "cancel 3"}, follow=True
    )
    assert "too old" in forged.content.decode()


def test_many_are_touched_only_by_who_entered_a_code_lately(job):
    person = Person.objects.create_user("late@example.org", "a long pass phrase")
    client = signed_in_with("operator", person, fresh=False)
    answer = client.post(
        reverse("panel:preview_jobs"),
        {"act": "cancel", "all": "1"},
        headers={"Referer": "http://testserver/operate/jobs/?state=queued"},
    )
    assert (
        answer.headers["Location"] == "/accounts/reauthenticate/?next=%2Foperate%2Fjobs%2F%3Fstate%3Dqueued"
    )


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["cancel", "retry", "raise", "normal", "claim", "fail", "stop"]), max_size=8))
def test_no_sequence_of_acts_leaves_a_job_between_states(job, acts):
    Job.objects.filter(pk=job.pk).update(state="queued", attempts=0, lease_owner="", cancel_requested=False)
    for act in acts:
        current = Job.objects.get(pk=job.pk)
        try:
            if act == "claim":
                Job.claim(job.id, "me")
            elif act == "fail":
                current.fail("It broke.", retryable=False)
            elif act == "stop":
                current.stop()
            else:
                verbs.act(act, current, by=None)
        except Exception as error:
            assert type(error).__name__ in ("AlignError", "LeaseLost")  # noqa: PT017 - the only two refusals
        current = Job.objects.get(pk=job.pk)
        assert (current.lease_owner != "") == (current.state == "running")
        assert (current.finished_at is not None) >= current.has_ended
        assert current.state != "queued" or not current.cancel_requested


def told(*arguments: str):
    out = StringIO()
    call_command(*arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_terminal_does_what_the_pages_do(job):
    name = str(job.id)[:8]
    assert told("jobs", "priority", name, "3")["priority"] == 3
    assert told("jobs", "cancel", name, "--reason", "why")["state"] == "cancelled"
    assert told("jobs", "retry", name, "--reason", "why")["state"] == "queued"
    assert [row["id"] for row in told("jobs", "list", "--state", "queued")] == [str(job.id)]
    assert told("jobs", "show", name)["traceback"] == ""
    assert told("workers", "list") == []
    figures = told("workers", "figures", "--over", "day")
    assert figures["levels"]["people"] == Person.objects.count()
    assert "train" in figures["queues_without_worker"]
    with pytest.raises(CommandError, match="No job has an id"):
        call_command("jobs", "show", "0" * 8)

"""Jobs: started from the page, watched from any device, cancelled, tried again."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.models import Person
from alignapp.adapters.models import Job, MethodInfo
from tests.web import learned

CURVE = [{"step": i, "loss": 1 - i / 10, "held_out_accuracy": 0.5 + i / 20} for i in range(5)]


def words(response) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def job_of(person: Person, state: str = Job.State.RUNNING, **fields) -> Job:
    return Job.objects.create(person=person, method="dpo", state=state, **fields)


def page(client, job: Job, **headers) -> str:
    return client.get(reverse("adapters:job", args=[job.id]), headers=headers).content.decode()


def test_start_makes_one_job_with_the_parameters_that_differ(owner, client_of) -> None:
    learned.methods()
    learned.ready(owner)
    fields = {"method": "steer", "parameter_epochs": "5"}
    first, second = (client_of(owner).post("/alignment/jobs/start", fields) for _ in range(2))
    job = Job.objects.get()
    assert job.parameters == {"epochs": 5}
    assert first["Location"] == second["Location"] == reverse("adapters:job", args=[job.id])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"method": "magic"}, "no such method"),
        ({}, "required"),
        ({"method": "dpo", "parameter_beta": "2"}, "beta must lie between 0.01 and 1.0"),
        ({"method": "steer", "parameter_epochs": "1.5"}, "epochs must lie between 1 and 10"),
    ],
)
def test_start_refuses_what_it_does_not_know(owner, client_of, fields, reason: str) -> None:
    learned.methods()
    learned.ready(owner)
    response = client_of(owner).post("/alignment/jobs/start", fields)
    assert response["Location"] == "/alignment/"
    assert reason in words(response)
    assert not Job.objects.exists()


def test_too_little_feedback_says_how_much_more_and_why(owner, client_of) -> None:
    learned.methods()
    learned.ready(owner, conversations=2)
    response = client_of(owner).post("/alignment/jobs/start", {"method": "dpo"})
    assert "10 more of 16 comparisons are needed" in words(response)


def test_a_method_that_was_switched_off_cannot_be_started(owner, client_of) -> None:
    learned.methods()
    learned.ready(owner)
    MethodInfo.objects.update(enabled=False)
    client_of(owner).post("/alignment/jobs/start", {"method": "dpo"})
    assert not Job.objects.exists()


def test_a_queued_job_says_its_place_and_not_that_it_started(owner, other, client_of) -> None:
    for state in (Job.State.QUEUED, Job.State.QUEUED):
        Job.objects.create(person=other, method=f"m{Job.objects.count()}", state=state)
    html = page(client_of(owner), job_of(owner, Job.State.QUEUED))
    assert "Queued, 3rd" in html
    assert "Running" not in html
    assert 'hx-trigger="every 2s"' in html


def test_a_running_job_shows_phase_progress_time_and_curves(owner, client_of) -> None:
    job = job_of(owner, phase=Job.Phase.LEARN, progress=0.4, seconds_left=170, curve=CURVE)
    html = page(client_of(owner), job)
    assert re.search(r'aria-current="step">.*?Learning', html)
    assert "40 %" in html
    assert "about 3 minutes left" in html
    assert "Accuracy on held-out comparisons" in html
    assert html.count('class="curve"') == 2
    assert 'hx-trigger="every 2s"' in html
    assert not re.search(r"\sstyle=|\son[a-z]+=", html)


def test_a_job_that_reads_no_feedback_does_not_speak_of_it(owner, client_of) -> None:
    for method, words in (("values", "what is stated"), ("pas", "the answers to"), ("merge", "the adapters")):
        for state in (Job.State.RUNNING, Job.State.DONE):
            job = Job.objects.create(person=owner, method=method, state=state, phase=Job.Phase.DATA)
            html = page(client_of(owner), job)
            assert f"Reading {words}" in html
            assert "Reading the feedback" not in html
    running = client_of(owner).get(reverse("adapters:alignment")).content.decode()
    assert "Reading what is stated" in running


def test_the_polled_part_is_the_same_address_and_varies_on_the_header(owner, client_of) -> None:
    job = job_of(owner)
    url = reverse("adapters:job", args=[job.id])
    whole = client_of(owner).get(url)
    part = client_of(owner).get(url, headers={"HX-Request": "true"})
    assert "HX-Request" in whole["Vary"]
    assert "HX-Request" in part["Vary"]
    assert "<html" not in part.content.decode()
    assert 'id="job"' in part.content.decode()


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (Job.State.DONE, "It has learned"),
        (Job.State.CANCELLED, "You stopped it"),
        (Job.State.DEAD, "Given up after 3 attempts."),
    ],
)
def test_an_ended_job_is_polled_no_more(owner, client_of, state: str, shown: str) -> None:
    html = page(client_of(owner), job_of(owner, state, attempts=3, phase=Job.Phase.LEARN))
    assert shown in html
    assert "hx-trigger" not in html
    assert "Stop it" not in html


def test_a_dead_job_shows_its_reason_escaped_and_offers_another_try(owner, client_of) -> None:
    learned.methods()
    learned.ready(owner)
    dead = job_of(owner, Job.State.DEAD, reason="Out of <memory>.", parameters={"beta": 0.2})
    assert "Out of &lt;memory&gt;." in page(client_of(owner), dead)
    response = client_of(owner).post(reverse("adapters:start_again", args=[dead.id]))
    new = Job.objects.exclude(pk=dead.pk).get()
    assert (new.method, new.parameters, new.state) == ("dpo", {"beta": 0.2}, Job.State.QUEUED)
    assert response["Location"] == reverse("adapters:job", args=[new.id])


def test_a_done_job_links_to_its_artifact_and_is_not_tried_again(
    owner, client_of, settings, tmp_path
) -> None:
    settings.ARTIFACT_DIR = tmp_path
    artifact = learned.artifact(owner)
    assert reverse("adapters:artifact", args=[artifact.id]) in page(client_of(owner), artifact.job)
    client_of(owner).post(reverse("adapters:start_again", args=[artifact.job_id]))
    assert Job.objects.count() == 1


def test_cancel_stops_a_waiting_job_and_asks_a_running_one(owner, client_of) -> None:
    waiting = job_of(owner, Job.State.QUEUED)
    client_of(owner).post(reverse("adapters:cancel_job", args=[waiting.id]))
    waiting.refresh_from_db()
    assert waiting.state == Job.State.CANCELLED
    running = job_of(owner, lease_until=timezone.now() + timedelta(minutes=1))
    client_of(owner).post(reverse("adapters:cancel_job", args=[running.id]))
    running.refresh_from_db()
    assert running.cancel_requested
    assert "Stopping…" in page(client_of(owner), running)
    done = job_of(owner, Job.State.DONE)
    assert "already ended" in words(client_of(owner).post(reverse("adapters:cancel_job", args=[done.id])))


def test_the_list_shows_every_state(owner, client_of) -> None:
    for state in (Job.State.DONE, Job.State.DEAD, Job.State.CANCELLED, Job.State.QUEUED):
        job_of(owner, state)
    html = client_of(owner).get("/alignment/jobs/").content.decode()
    for label in ("Done", "Failed", "Cancelled", "Queued, 1st"):
        assert label in html


def test_an_empty_list_says_what_to_do(owner, client_of) -> None:
    html = client_of(owner).get("/alignment/jobs/").content.decode()
    assert "Nothing was learned yet" in html
    assert "Learn from my feedback" in html


@pytest.mark.parametrize("name", ["job", "cancel_job", "start_again"])
def test_a_foreign_job_is_not_there(owner, other, client_of, name: str) -> None:
    job = job_of(owner, Job.State.DEAD)
    url = reverse(f"adapters:{name}", args=[job.id])
    method = "get" if name == "job" else "post"
    assert getattr(client_of(other), method)(url).status_code == 404
    assert getattr(client_of(None), method)(url)["Location"].startswith("/accounts/login/")
    assert str(job.id) not in client_of(other).get("/alignment/jobs/").content.decode()

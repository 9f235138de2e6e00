"""My alignment: what acts, how strongly, on what evidence; switching, going back, and what may be learned."""

from __future__ import annotations

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from alignapp.adapters import services
from alignapp.adapters.models import AlignmentVersion, Artifact, Job
from alignapp.profiles.services import new_version
from tests.web import learned

PAGE = "/alignment/"
SCRIPT = {"Accept": "application/json"}


def words(response) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def test_a_new_person_reads_what_to_do_next(owner, client_of) -> None:
    learned.methods()
    html = client_of(owner).get(PAGE).content.decode()
    assert "Nothing of yours shapes your replies yet" in html
    assert "Start a chat" in html
    assert "0 of at least 16" in html
    assert "16 more of 16 comparisons are needed" in html
    assert "Answer the inventory" in html
    assert "dpo, p" not in html  # the method's name and paper are for who opens “Advanced”


def test_ratings_that_act_at_once_are_among_what_shapes_the_replies(owner, client_of) -> None:
    assert "Nothing rated yet" in client_of(owner).get(PAGE).content.decode()
    learned.follows_ratings(owner)
    html = client_of(owner).get(PAGE).content.decode()
    assert "Nothing of yours shapes your replies yet" not in html
    assert "50 % of the most that may act." in html


def test_without_methods_the_page_says_that_the_worker_has_not_started(owner, client_of) -> None:
    assert "the learning worker has not started yet" in client_of(owner).get(PAGE).content.decode()


def test_the_evidence_stands_in_one_line_beside_the_strength(owner, client_of) -> None:
    services.switch_on(owner, learned.artifact(owner))
    html = client_of(owner).get(PAGE).content.decode()
    assert "Prefers your choice in 27 of your 40 held-out comparisons, interval 52 to 80 %." in html
    assert 'name="adapter_strength"' in html
    assert "as learned" in html


def test_the_slider_speaks_in_nats_and_marks_where_text_broke(owner, client_of) -> None:
    points = [{"strength": s, "gain": s, "kl": 0.04 * s**2, "sound": s < 1.5} for s in (0.5, 1.0, 1.5)]
    found = {"points": points, "slope": 1.0, "slope_r2": 0.98, "curvature": 0.04, "curvature_r2": 0.9,
             "breaks_at": 1.5}  # fmt: skip
    artifact = learned.artifact(owner, card={**learned.results(), "tradeoff": found})
    services.switch_on(owner, artifact)
    html = client_of(owner).get(reverse("adapters:alignment")).content.decode()
    assert 'data-curvature="0.040000"' in html
    assert "0.040" in html
    assert "Text broke at 1.5" in html
    assert 'x="146" width="4"' in html
    assert 'viewBox="0 0 100 6"' in html  # as long as the slider
    card = client_of(owner).get(reverse("adapters:artifact", args=[artifact.id])).content.decode()
    assert "What strength buys and costs" in card
    assert "a square explains 90 %" in card
    assert "At 1.5 text was no longer sound" in card


def test_unproven_artifacts_are_refused_until_the_warning_is_accepted(owner, client_of) -> None:
    artifact, client = learned.artifact(owner, proven=False), client_of(owner)
    url = reverse("adapters:switch_on", args=[artifact.id])
    refused = client.post(url)
    assert refused.status_code == 302
    assert "is not proven" in words(refused)
    assert services.current_alignment(owner) is None
    assert "Switch on Adapter v1 without evidence?" in client.get(PAGE).content.decode()
    client.post(url, {"accept_unproven": "on"})
    assert services.current_alignment(owner).adapter == artifact


def test_a_quarantined_artifact_cannot_be_switched_on_even_with_acceptance(owner, client_of) -> None:
    artifact = learned.artifact(owner)
    Artifact.objects.filter(pk=artifact.pk).update(state=Artifact.State.QUARANTINED)
    response = client_of(owner).post(
        reverse("adapters:switch_on", args=[artifact.id]), {"accept_unproven": "on"}
    )
    assert "quarantined" in words(response)
    assert services.current_alignment(owner) is None


@pytest.mark.parametrize("strength", ["-0.1", "1.51", "nan", "inf", "much"])
def test_a_strength_out_of_bounds_is_refused_in_words(owner, client_of, strength: str) -> None:
    services.switch_on(owner, learned.artifact(owner))
    response = client_of(owner).post("/alignment/strengths", {"adapter_strength": strength}, headers=SCRIPT)
    assert response.status_code == 400
    assert response.json() == {"error": "A strength lies between 0 and 1.5."}
    assert services.current_alignment(owner).adapter_strength == 1.0


def test_strengths_are_saved_by_script_and_by_plain_form(owner, client_of) -> None:
    services.switch_on(owner, learned.artifact(owner))
    client = client_of(owner)
    saved = client.post("/alignment/strengths", {"adapter_strength": "1.5"}, headers=SCRIPT)
    assert saved.json() == {"version": 2, "changed": {"adapter_strength": 1.5}}
    assert (
        client.post("/alignment/strengths", {"adapter_strength": "0", "vector_strength": "0.3"}).status_code
        == 302
    )
    version = services.current_alignment(owner)
    assert (version.adapter_strength, version.vector_strength) == (0.0, 0.3)
    assert version.change == "Adapter strength 0, Steering vector strength 0.3"


def test_saving_the_same_strengths_makes_no_version(owner, client_of) -> None:
    services.switch_on(owner, learned.artifact(owner))
    client_of(owner).post("/alignment/strengths", {"adapter_strength": "1.0"})
    assert AlignmentVersion.objects.for_person(owner).count() == 1


def test_a_part_goes_off_and_one_click_goes_back(owner, client_of) -> None:
    artifact, client = learned.artifact(owner, "steer"), client_of(owner)
    services.switch_on(owner, artifact)
    client.post("/alignment/switch", {"part": "vector"})
    assert services.current_alignment(owner).vector is None
    response = client.post("/alignment/back")
    assert "Went back to alignment v1" in words(response)
    assert services.current_alignment(owner).vector == artifact
    html = client.get(PAGE).content.decode()
    assert "Switched the steering vector off" in html
    assert "Switched on Steering vector v1" in html


def test_going_back_from_nothing_is_refused_in_words(owner, client_of) -> None:
    assert "nothing to go back to" in words(client_of(owner).post("/alignment/back"))


def test_the_system_message_can_be_switched_off_and_on(owner, client_of) -> None:
    new_version(owner, "message", system_message="Use <b>simple</b> words.", system_edited=True)
    client = client_of(owner)
    assert "Use &lt;b&gt;simple&lt;/b&gt; words." in client.get(PAGE).content.decode()
    client.post("/alignment/switch", {"part": "system_message"})
    assert services.current_alignment(owner).use_system_message is False
    client.post("/alignment/switch", {"part": "system_message", "on": "on"})
    assert services.current_alignment(owner).use_system_message is True


def test_an_unknown_part_is_refused(owner, client_of) -> None:
    response = client_of(owner).post("/alignment/switch", {"part": "soul"}, headers=SCRIPT)
    assert response.status_code == 400


def test_learning_is_offered_when_enough_is_new(owner, client_of) -> None:
    learned.methods()
    learned.ready(owner)
    artifact = learned.artifact(owner)
    assert "new pieces of feedback since it last learned" not in client_of(owner).get(PAGE).content.decode()
    Job.objects.filter(pk=artifact.job_id).update(created_at=timezone.now() - timezone.timedelta(days=1))
    html = client_of(owner).get(PAGE).content.decode()
    assert "Adapter from your comparisons: 24 new pieces of feedback since it last learned." in html
    assert "Learn again" in html


def test_what_others_learned_is_neither_shown_nor_switchable(owner, other, client_of) -> None:
    artifact = learned.artifact(owner)
    client = client_of(other)
    assert artifact.digest not in client.get(PAGE).content.decode()
    assert str(artifact.id) not in client.get(PAGE).content.decode()
    url = reverse("adapters:switch_on", args=[artifact.id])
    assert client.post(url, {"accept_unproven": "on"}).status_code == 404
    outsider = client_of(None).post(url)
    assert outsider.status_code == 302
    assert outsider["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("name", ["strengths", "switch", "back"])
def test_what_changes_something_takes_only_posts(owner, client_of, name: str) -> None:
    assert client_of(owner).get(f"/alignment/{name}").status_code == 405


def test_the_history_tells_what_an_operator_switched_from_what_one_switched_oneself(owner, other, client_of):
    services.switch_on(owner, learned.artifact(owner))
    services.switch_on(owner, learned.artifact(owner), by=other)
    services.switch_on(owner, learned.artifact(owner), by="worker")
    html = client_of(owner).get(PAGE).content.decode()
    told = [html.count(f"{by}, <time") for by in ("by an operator", "by you", "by itself")]
    assert told == [1, 1, 1]


def test_what_the_gate_let_pass_weakened_is_said_and_its_slider_ends_there(owner, client_of) -> None:
    artifact = learned.artifact(owner)
    artifact.summary["share"] = 0.6
    artifact.save()
    services.switch_on(owner, artifact)
    services.switch(owner, change="as it was before", by=owner, adapter_strength=1.3)
    html = client_of(owner).get(PAGE).content.decode()
    assert "The safety check lets 60 % of it act, so the slider ends there." in html
    assert 'name="adapter_strength" form="strengths-form" min="0" max="1" step="0.05" value="1"' in html
    assert "as strong as is safe" in html


@pytest.mark.parametrize(
    ("asked", "ends", "told"),
    [
        ({}, "1", "Whether more than 1 is safe was never tested, so the slider ends there."),
        ({"most": 1.0}, "1", "At strength 1.5 the safety check refused it, so the slider ends at 1."),
        ({"most": 1.5}, "1.5", ""),
    ],
)
def test_the_slider_ends_where_the_gate_was_asked_last_and_says_why(owner, client_of, asked, ends, told):
    safety = {**learned.results()["safety"], **asked}
    artifact = learned.artifact(owner, card={**learned.results(), "safety": safety})
    services.switch_on(owner, artifact)
    services.switch(owner, change="as it was before", by=owner, adapter_strength=1.3)
    html = client_of(owner).get(PAGE).content.decode()
    assert f'min="0" max="{ends}" step="0.05" value="{min(1.3, float(ends)):g}"' in html
    assert html.count("so the slider ends") == bool(told)
    assert told in html
    assert "lets 100 %" not in html
    services.switch(owner, change="off", adapter=None)
    assert "so the slider ends" not in client_of(owner).get(PAGE).content.decode()  # it has none

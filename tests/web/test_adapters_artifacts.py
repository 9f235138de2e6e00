"""Report cards: what they show and flag, and what happens to an artifact: on, away, deleted."""

from __future__ import annotations

import io
import zipfile

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from django.urls import reverse

from alignapp.adapters import card, services, store
from alignapp.adapters.evictions import Evictions
from alignapp.adapters.models import Artifact, Job
from alignapp.audit.models import AuditEvent
from alignapp.charts import signed
from alignapp.chat.models import Conversation
from personalization.errors import AlignError
from tests.gates import gate
from tests.web import learned
from tests.web.rows import answered_turn


def page(client, artifact: Artifact) -> str:
    return client.get(reverse("adapters:artifact", args=[artifact.id])).content.decode()


def test_the_card_shows_numbers_with_n_and_intervals(owner, client_of) -> None:
    html = page(client_of(owner), learned.artifact(owner))
    assert "Your alignment wins 27 of 40 new comparisons (52 to 80 %)." in html
    assert "It prefers your choice." in html
    assert "68 %" in html
    assert "52 % to 80 %" in html
    assert "40 comparisons from 10 conversations" in html
    assert "+18 percentage points" in html
    assert "95 % interval: +2 to +31" in html
    assert "20.0 → 21.0 (+5.0 %)" in html
    assert "became less likely too" not in html
    assert "Intact" in html


def test_the_card_says_where_replies_are_served_with_other_weights_than_it_was_proven_with(
    owner, client_of, settings
) -> None:
    artifact, words = learned.artifact(owner), "exact weights. Replies here are written with"
    assert words not in page(client_of(owner), artifact)
    settings.ALIGN_DECODE_WEIGHTS = "int8"
    assert words in page(client_of(owner), artifact)
    settings.ALIGN_ENGINE = "vllm"  # whose weights this setting is not about
    assert words not in page(client_of(owner), artifact)


def test_a_sinking_chosen_answer_is_flagged(owner, client_of) -> None:
    html = page(client_of(owner), learned.artifact(owner, card=learned.results(sinks=True)))
    assert "The answers that you preferred became less likely too" in html


def test_what_the_trainer_saw_of_the_gradients_and_did_is_shown(owner, client_of) -> None:
    artifact = learned.artifact(owner)
    assert "entanglement" not in page(client_of(owner), artifact)
    artifact.summary |= {
        "entanglement": [{"cosine": 0.91, "holds": True}, {"cosine": 0.55, "holds": False}],
        "anchored_at": 8,
    }
    artifact.save()
    html = page(client_of(owner), artifact)
    assert "0.91, 0.55" in html
    assert "so in 1 of 2 epochs" in html
    assert "from step 8 on" in html


def test_the_strength_that_is_told_is_what_the_gate_lets_act(owner, client_of) -> None:
    artifact = learned.artifact(owner)
    artifact.summary |= {"strength": 0.16, "share": 0.5}
    artifact.save()
    assert '<dt>Strength</dt><dd class="number">0.08</dd>' in page(client_of(owner), artifact)


@pytest.mark.parametrize(
    ("most", "told"),
    [(1.0, "Not passed at strength 1.5."), (1.5, "Passed at strength 1.5, too."), (None, "")],
)
def test_the_card_says_what_the_gate_found_at_more_strength(owner, client_of, most, told) -> None:
    safety = {**learned.results()["safety"], **({"most": most} if most else {})}
    html = page(client_of(owner), learned.artifact(owner, card={**learned.results(), "safety": safety}))
    assert told in html
    assert ("at strength 1.5" in html) is bool(told)


def test_samples_and_verdicts_are_escaped(owner, client_of) -> None:
    html = page(client_of(owner), learned.artifact(owner, proven=False))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<i>12 more" not in html


def test_an_interval_that_cannot_be_estimated_is_not_called_evidence(owner, client_of) -> None:
    artifact = learned.artifact(owner, card=learned.results(low=None))
    assert "cannot be estimated" in page(client_of(owner), artifact)
    assert card.evidence(artifact).words == "It prefers your choice."


def test_a_personality_card_compares_errors(owner, client_of) -> None:
    error = {
        "base": learned.estimate(1.1, 1.0, 1.2),
        "always_3": learned.estimate(0.76, 0.7, 0.8),
        "facet_mean": learned.estimate(0.58, 0.5, 0.6),
        "artifact": learned.estimate(0.9, 0.8, 1.0),
    }
    difference = learned.estimate(-0.2, -0.3, -0.1)
    artifact = learned.artifact(owner, "pas", card={"error": error, "difference": difference})
    html = page(client_of(owner), artifact)
    for label in ("Base model", "Always answering 3", "Mean of your other answers in the facet", "0.58"):
        assert label in html
    assert "How often it prefers" not in html


def test_an_artifact_without_a_card_says_so(owner, client_of) -> None:
    html = page(client_of(owner), learned.artifact(owner, proven=None))
    assert "It was not tested yet: that is the last part of learning." in html
    assert "Side by side" not in html


def test_a_changed_file_is_seen_and_not_handed_out(owner, client_of) -> None:
    artifact = learned.artifact(owner)
    (store.folder_of(artifact) / "adapter_model.safetensors").write_bytes(b"other")
    assert "Not intact" in page(client_of(owner), artifact)
    response = client_of(owner).get(reverse("adapters:download", args=[artifact.id]))
    assert response.status_code == 302
    assert not AuditEvent.objects.filter(verb="artifact.downloaded").exists()


@pytest.mark.django_db(transaction=True)
async def test_the_download_is_the_sealed_folder_and_is_audited(owner) -> None:
    artifact = await sync_to_async(learned.artifact)(owner)
    client = AsyncClient()
    await client.aforce_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    response = await client.get(reverse("adapters:download", args=[artifact.id]))
    archive = zipfile.ZipFile(io.BytesIO(b"".join([part async for part in response.streaming_content])))
    assert archive.testzip() is None
    names = ("README.md", "adapter_model.safetensors", "manifest.json", "report_card.json")
    assert sorted(archive.namelist()) == [f"adapter-v1/{name}" for name in names]
    for name in ("README.md", "report_card.json"):
        assert b"27 of 40" in archive.read(f"adapter-v1/{name}")
        assert b"alert(1)" not in archive.read(f"adapter-v1/{name}")  # the samples are the person's own words
    folder = store.folder_of(artifact)
    assert archive.read("adapter-v1/manifest.json") == (folder / "manifest.json").read_bytes()
    assert await AuditEvent.objects.filter(verb="artifact.downloaded", object_id=str(artifact.id)).aexists()


def test_deleting_counts_what_goes_and_asks_for_the_name(owner, client_of) -> None:
    artifact, client = learned.artifact(owner), client_of(owner)
    version = services.switch_on(owner, artifact)
    _turn, replies = answered_turn(Conversation.objects.create(person=owner), "one", "two")
    for reply in replies:
        reply.alignment_version = version
        reply.save()
    url = reverse("adapters:delete", args=[artifact.id])
    html = client.get(url).content.decode()
    assert "it is switched on" in html
    assert "1 version in your history" in html
    assert "2 replies that it shaped keep their text" in html
    refused = client.post(url, {"name": "Adapter v2"})
    assert refused.status_code == 400
    assert "Type Adapter v1 to delete it. Nothing was deleted." in refused.content.decode()
    assert Artifact.objects.filter(pk=artifact.pk).exists()


def test_deleting_switches_off_and_removes_rows_and_files(
    owner, client_of, django_capture_on_commit_callbacks
) -> None:
    artifact = learned.artifact(owner)
    services.switch_on(owner, artifact)
    folder, engine = store.folder_of(artifact), Evictions()
    with django_capture_on_commit_callbacks(execute=True):
        client_of(owner).post(reverse("adapters:delete", args=[artifact.id]), {"name": " adapter V1 "})
    assert not Artifact.objects.exists()
    assert not folder.exists()
    assert engine.new() == [artifact.digest]
    assert services.current_alignment(owner).adapter is None
    assert Job.objects.count() == 1
    event = AuditEvent.objects.get(verb="artifact.deleted")
    assert (event.object_id, event.evidence["digest"]) == (str(artifact.id), artifact.digest)
    assert client_of(owner).get("/alignment/").status_code == 200


@pytest.mark.parametrize("name", ["artifact", "download", "delete"])
def test_a_foreign_artifact_is_not_there(owner, other, client_of, name: str) -> None:
    artifact = learned.artifact(owner)
    url = reverse(f"adapters:{name}", args=[artifact.id])
    assert client_of(other).get(url).status_code == 404
    assert client_of(None).get(url)["Location"].startswith("/accounts/login/")
    if name == "delete":
        assert client_of(other).post(url, {"name": "Adapter v1"}).status_code == 404
        assert Artifact.objects.filter(pk=artifact.pk).exists()


@pytest.mark.parametrize(("refusal", "words"), [(0.5, "Passed"), (0.2, "Not passed")])
def test_the_card_says_what_the_safety_gate_found(refusal, words):
    found = gate(0.5, refusal, 0.9, 0.9)
    figure = card.safety({"safety": found.as_dict()})
    assert figure.words == words
    assert f"50 % → {100 * refusal:.0f} %" in figure.help
    assert figure.is_bad == (words == "Not passed")
    ends = signed(0)(100 * (refusal - 0.5))
    assert f"50 % → {100 * refusal:.0f} % (change {ends} to {ends} points)" in figure.help
    assert "10 points" in figure.help  # the margin


def test_a_card_from_before_the_gate_gave_intervals_says_what_it_knows():
    old = {"refusal_base": 0.5, "refusal": 0.4, "acceptance_base": 0.9, "acceptance": 0.9, "objection": ""}
    figure = card.safety({"safety": old})
    assert (figure.words, "points" in figure.help) == ("Passed", False)


def test_what_the_safety_gate_objects_to_is_put_aside_with_the_reason(owner, client_of):
    found = gate(0.5, 0.2, 0.9, 0.9).as_dict()
    unsafe = learned.artifact(owner, safe=False, card={**learned.results(), "safety": found})
    assert unsafe.state == Artifact.State.QUARANTINED
    page = client_of(owner).get(reverse("adapters:artifact", args=[unsafe.id])).content.decode()
    assert "Quarantined" in page
    with pytest.raises(AlignError, match="quarantined"):
        services.switch_on(owner, unsafe, accept_unproven=True)


def test_the_card_says_how_it_writes(owner, client_of):
    change = {"value": -0.1, "n": 8, "low": -0.2, "high": -0.02}
    found = {
        "relevance_base": 0.6, "relevance_change": change,
        "repetition_base": 0.0, "repetition_change": {"value": 0.0, "n": 8, "low": 0.0, "high": 0.0},
    }  # fmt: skip
    near, repeats = card.writing({"writing": found})
    assert (near.words, near.is_bad, repeats.is_bad) == ("0.60 → 0.50", True, False)
    made = learned.artifact(owner, card={**learned.results(), "writing": found})
    page = client_of(owner).get(reverse("adapters:artifact", args=[made.id])).content.decode()
    assert "0.60 → 0.50" in page

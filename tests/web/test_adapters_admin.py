"""The operators' lists: pseudonyms and switches, never words."""

from __future__ import annotations

import pytest
from django.urls import reverse

from alignapp.accounts.models import Person
from alignapp.adapters.models import Job, MethodInfo
from alignapp.audit.models import AuditEvent
from tests.web import learned
from tests.web.operating import signed_in_with


@pytest.fixture
def operator(db) -> Person:
    return Person.objects.create_superuser("operator@example.org", "a long pass phrase")


def test_switching_a_method_off_is_audited(operator) -> None:
    learned.methods()
    url = reverse("admin:adapters_methodinfo_change", args=["dpo"])
    assert signed_in_with("operator", operator).post(url, {}).status_code == 302
    assert MethodInfo.objects.get(name="dpo").enabled is False
    event = AuditEvent.objects.get(verb="method.disabled")
    assert (event.object_id, event.actor) == ("dpo", operator)


def test_lists_show_pseudonyms_and_no_words(owner, operator, settings, tmp_path) -> None:
    settings.ARTIFACT_DIR = tmp_path
    artifact = learned.artifact(owner)
    job = Job.objects.create(
        person=owner, method="steer", state=Job.State.DEAD, reason="ValueError: SECRET WORDS"
    )
    client = signed_in_with("operator", operator)
    pages = [
        reverse("admin:adapters_job_changelist"),
        reverse("admin:adapters_job_change", args=[job.id]),
        reverse("admin:adapters_artifact_changelist"),
        reverse("admin:adapters_artifact_change", args=[artifact.id]),
    ]
    for url in pages:
        html = client.get(url).content.decode()
        assert owner.pseudonym in html
        assert owner.email not in html
        assert "SECRET WORDS" not in html
        assert "alert(1)" not in html
    assert "ValueError" in client.get(pages[1]).content.decode()
    for url in (pages[1], pages[3]):
        assert client.post(url, {}).status_code == 403


def test_members_see_no_admin(owner, client_of) -> None:
    response = client_of(owner).get(reverse("admin:adapters_job_changelist"))
    assert response.status_code == 404

"""Several artifacts and the base model are asked the same: by the real task, engine and broker, on record."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from alignapp.accounts.erase import erase
from alignapp.accounts.models import Person
from alignapp.adapters import acts, asking, store
from alignapp.adapters.models import Artifact
from alignapp.audit.models import AuditEvent
from alignapp.chat import streams
from personalization.errors import AlignError
from tests.web.operating import signed_in_with
from tests.web.programs import operators_program
from tests.workers.test_merging import parent
from workers.tasks.ask import answer_asked

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]
OWN = "What do you make of rain?"


@pytest.fixture
def two(engine) -> list[Artifact]:
    """Return adapters of two people."""
    people = [Person.objects.create_user(f"{name}@example.org") for name in ("anna", "bert")]
    yield [parent(person, seed, {}) for seed, person in enumerate(people, start=1)]
    streams.connection().flushdb()


def answer(asked_id: object, by: Person) -> asking.Asked:
    """Do what the messages ask a generation worker for."""
    asked = asking.find(asked_id, by)
    assert asked is not None
    for i in range(len(asked.prompts)):
        for j in range(len(asked.columns)):
            answer_asked(asked.cell_id(i, j))
    return asked


def test_the_page_shows_the_base_model_and_each_as_they_answer(two):
    person = Person.objects.create_user("op@example.org", "a long pass phrase")
    operator = signed_in_with("operator", person)
    ids = [str(artifact.pk) for artifact in two]
    sent = {"id": ids, "neutral": asking.NEUTRAL[0], "own": OWN, "reason": "they complain of rain"}
    response = operator.post(reverse("panel:ask"), sent)
    url = response["Location"]
    page = operator.get(url)
    assert (page.status_code, page.context["open"]) == (200, 6)
    assert b"load delay:500ms" in page.content
    for artifact in two:
        event = AuditEvent.objects.get(verb="artifact.asked", subject=artifact.person)
        assert (event.reason, event.evidence) == ("they complain of rain", {"questions": 2, "neutral": 1})

    asked = answer(url.rstrip("/").rpartition("/")[2], person)
    part = operator.get(url, headers={"HX-Request": "true"})
    rows = part.context["rows"]
    assert [prompt for prompt, _ in rows] == [asking.NEUTRAL[0], OWN]
    texts = [[cell.text for cell in cells] for _, cells in rows]
    assert all(text for row in texts for text in row)
    assert all(len(set(row)) == 3 for row in texts)  # same draws, other weights
    assert b"hx-get" not in part.content
    answer_asked(asked.cell_id(0, 0))  # the message comes again: nothing is written twice
    assert streams.so_far(asked.cell_id(0, 0))[0] == texts[0][0]

    other = signed_in_with("operator", Person.objects.create_user("op2@example.org", "a long pass phrase"))
    assert other.get(url).status_code == 404
    auditor = signed_in_with("auditor", Person.objects.create_user("au@example.org", "a long pass phrase"))
    assert auditor.get(url).status_code == 403

    acts.quarantine("terminal", two[0], "it swears")
    cells = asking.answers(asked)[0][1]
    assert [bool(cell.text) for cell in cells] == [True, False, True]
    erase(two[1].person)
    assert [streams.so_far(asked.cell_id(i, 2)) for i in (0, 1)] == [("", None)] * 2


def test_what_may_not_be_asked_is_refused_and_keeps_what_was_typed(two):
    operator = signed_in_with("operator", Person.objects.create_user("op@example.org", "a long pass phrase"))
    ids = [str(artifact.pk) for artifact in two]
    page = operator.post(reverse("panel:ask"), {"id": ids, "own": OWN})
    assert (page.status_code, OWN.encode() in page.content) == (400, True)
    many = [f"Question {i}?" for i in range(5)]
    for artifacts, prompts, words in (
        (two, [], "1 to 4 questions"),
        (two, many, "1 to 4 questions"),
        (two, ["x" * 2001], "at most 2000"),
        ([], [OWN], "1 to 6"),
    ):
        with pytest.raises(AlignError, match=words):
            asking.ask("terminal", artifacts, prompts, "why")
    acts.quarantine("terminal", two[0], "it swears")
    two[0].refresh_from_db()
    with pytest.raises(AlignError, match="out of service"):
        asking.ask("terminal", two, [OWN], "why")
    assert not AuditEvent.objects.filter(verb="artifact.asked").exists()


def test_an_artifact_that_was_changed_on_disk_answers_nothing(two):
    asked = asking.ask("terminal", two[:1], [OWN], "why")
    (store.folder_of(two[0]) / "adapter_model.safetensors").write_bytes(b"planted")
    answer_asked(asked.cell_id(0, 1))
    cell = asking.answers(asked)[0][1][1]
    assert (cell.text, "were changed" in cell.error) == ("", True)


def test_the_api_and_the_terminal_do_the_same(two, monkeypatch):
    operator = operators_program()
    given = {"artifacts": [str(a.pk) for a in two], "neutral": 1, "prompts": [OWN], "reason": "why"}
    made = operator.ask("artifacts/ask", given).json()
    assert made["has_ended"] is False
    answer(made["id"], operator.person)
    done = operator.ask(f"artifacts/asked/{made['id']}").json()
    assert done["has_ended"] is True
    people = [answer["person"] for answer in done["questions"][1]["answers"]]
    assert people == [None, *(a.person.pseudonym for a in two)]
    assert operator.error("artifacts/ask", {**given, "neutral": 0, "prompts": []})[:2] == (400, "refused")
    assert operator.error(f"artifacts/asked/{two[0].pk}") == (404, "not_found", None)

    monkeypatch.setattr(asking, "STALLED_SECONDS", -1)  # no worker runs here, and none is waited for
    out = StringIO()
    call_command(
        "adapters", "ask", given["artifacts"][0], "--prompt", OWN, "--reason", "why", "--json", stdout=out
    )
    (question,) = json.loads(out.getvalue())["questions"]
    assert [answer["name"] for answer in question["answers"]] == ["base model", "Adapter v1"]
    assert "No generation worker" in question["answers"][0]["error"]
    with pytest.raises(CommandError, match="questions"):
        call_command("adapters", "ask", given["artifacts"][0], "--reason", "why")

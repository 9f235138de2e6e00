"""What would break a page is answered: a broker that is gone, text that no database holds, lost forms."""

from __future__ import annotations

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views import defaults

from alignapp.chat.models import Conversation, Turn
from alignapp.panel import roles
from tests.web.operating import signed_in_with

pytestmark = pytest.mark.django_db
NOBODY_LISTENS = "redis://127.0.0.1:1/0"


@pytest.fixture
def no_broker(settings):
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": NOBODY_LISTENS}}


@pytest.mark.parametrize(
    ("accept", "words"), [("text/html", "send it again"), ("application/json", "nothing was lost")]
)
def test_sign_in_without_the_broker_says_what_to_do(owner, no_broker, accept, words):
    client = Client(raise_request_exception=False, headers={"accept": accept})
    fields = {"login": owner.email, "password": "a long pass phrase"}
    response = client.post(reverse("account_login"), fields)
    assert response.status_code == 503
    assert words in response.content.decode()
    assert response["Retry-After"]


def test_a_nul_is_taken_out_wherever_it_comes(owner, client_of):
    client = client_of(owner)
    asked = client.post(reverse("chat:new"), {"kind": "unguided", "text": "to be\0 or not"})
    found = client.get(reverse("chat:list"), {"q": "\0be"})
    assert (asked.status_code, found.status_code) == (302, 200)
    assert Turn.objects.get().text == "to be or not"
    assert "to be or not" in found.content.decode()


@pytest.mark.parametrize(
    ("came_from", "leads_to"),
    [
        ("http://testserver/chat/?q=egg", "/chat/?q=egg"),
        ("http://elsewhere.example/chat/", "/"),
        ("", "/"),
    ],
)
def test_after_an_ended_session_a_form_leads_back_to_its_page_and_not_to_an_empty_one(
    owner, client_of, came_from, leads_to
):
    outsider = client_of(None)
    sent = outsider.post(reverse("chat:new"), {"text": "typed"}, headers={"Referer": came_from})
    page = outsider.get(sent.headers["Location"])
    assert "You were signed out, so what you sent was not stored." in page.content.decode()
    fields = {
        "login": owner.email,
        "password": "a long pass phrase",
        "next": page.context["redirect_field_value"],
    }
    assert outsider.post(reverse("account_login"), fields).headers["Location"] == leads_to
    assert not Conversation.objects.exists()


def test_an_address_that_only_takes_forms_shows_a_page(owner, client_of):
    answer = client_of(owner).get(reverse("chat:new"))
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert "<h1>" in answer.content.decode()


@pytest.mark.parametrize(
    ("accept", "words"), [("text/html", "Load the page again"), ("application/json", "Reload it")]
)
def test_a_page_from_before_signing_in_again_says_what_to_do(owner, accept, words):
    client = Client(
        enforce_csrf_checks=True, headers={"accept": accept, "referer": "http://testserver/chat/"}
    )
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post(reverse("chat:new"), {"text": "typed"})
    assert answer.status_code == 403
    assert words in answer.content.decode()
    assert "CSRF" not in answer.content.decode()


def test_what_is_too_large_gets_a_page_of_ours(owner, client_of, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = client_of(owner).post(reverse("chat:new"), {"text": "x" * 200})
    assert answer.status_code == 400
    assert "too large" in answer.content.decode()
    assert reverse("home") in answer.content.decode()


def test_after_a_fault_of_ours_nobody_is_told_to_sign_in(rf: RequestFactory):
    page = defaults.server_error(rf.get("/")).content.decode()
    assert "Something broke" in page
    assert "Sign up" not in page


def test_a_refusal_is_one_line_that_says_who_where_and_which_role_was_missing(owner, caplog):
    auditor = signed_in_with("auditor", owner)
    path = reverse("panel:plan_campaign")
    assert auditor.get(path).status_code == 403
    (said,) = [record for record in caplog.records if record.name == "django.request"]
    words = f"Forbidden (Permission denied): {path}: {owner.pseudonym} is auditor, this is for operator"
    assert (said.getMessage(), said.exc_info, said.levelname) == (words, None, "WARNING")
    roles.grant(owner, "operator", "for the test")
    assert auditor.get(reverse("admin:login")).status_code == 403
    assert f"{owner.pseudonym} is no staff" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_fault_of_ours_keeps_its_traceback(owner, caplog, monkeypatch):
    def break_down(_over):
        raise RuntimeError("broken for the test")

    monkeypatch.setattr("alignapp.panel.views.overview.overview_page", break_down)
    operator = signed_in_with("operator", owner)
    operator.raise_request_exception = False
    assert operator.get(reverse("panel:overview")).status_code == 500
    (said,) = [record for record in caplog.records if record.name == "django.request"]
    assert said.exc_info
    assert "broken for the test" in caplog.text

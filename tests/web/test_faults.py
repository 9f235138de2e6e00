"""What would break a page is answered: a broker that is gone, text that no database holds."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from alignapp.chat.models import Turn

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

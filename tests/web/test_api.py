"""Tokens and the edges of the API: who gets in, what is refused and how, and what a request becomes."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from alignapp.adapters.models import AlignmentVersion
from alignapp.adapters.models.artifact import MOST_STRENGTH
from alignapp.api import services, views
from alignapp.api.errors import ApiError
from alignapp.api.models import PREFIX, ApiToken
from alignapp.api.schema import parsed
from alignapp.api.tokens import MOST_TOKENS
from alignapp.audit.models import AuditEvent
from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.chat.pages import conversations_of
from alignapp.chat.paths import messages_before
from workers.tasks.sweep import delete_expired

pytestmark = pytest.mark.django_db

USER = {"role": "user", "content": "Hello"}
PLAIN = {"model": "base", "messages": [USER]}


def body(**changed) -> bytes:
    return json.dumps({**PLAIN, **changed}).encode()


def ask(secret: str = "", path: str = "chat/completions", given: bytes = b"", **headers):
    """Send a request as a program does. Without `given` it is a GET."""
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    client = Client(enforce_csrf_checks=True)
    if given:
        return client.post(f"/v1/{path}", given, content_type="application/json", headers=headers)
    return client.get(f"/v1/{path}", headers=headers)


@pytest.fixture
def secret(transactional_db, owner) -> str:
    return ApiToken.issue(owner, name="test", scopes=["chat", "models"])[1]


@pytest.mark.django_db(transaction=True)
class TestWhoGetsIn:
    """A token, its scopes, and its end. The answers are in OpenAI's shape."""

    @pytest.mark.parametrize("shown", ["", "align_wrong", "Basic", "\u00e9"])
    def test_without_a_valid_token_nobody(self, secret, shown):
        response = ask(path="models", Authorization=f"Bearer {shown}" if shown else "")
        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"
        error = response.json()["error"]
        assert (error["type"], error["code"], error["param"]) == (
            "authentication_error",
            "invalid_api_key",
            None,
        )

    def test_a_session_is_no_token(self, owner, client_of):
        assert client_of(owner).get("/v1/models").status_code == 401

    def test_a_token_ends_when_it_is_revoked_or_expires_or_its_owner_is_switched_off(self, owner, secret):
        assert ask(secret, "models").status_code == 200
        token = ApiToken.objects.get()
        assert token.last_used_at is not None
        for change, back in (
            ({"expires_at": timezone.now() - timedelta(seconds=1)}, {"expires_at": None}),
            ({"revoked_at": timezone.now()}, {"revoked_at": None}),
        ):
            ApiToken.objects.update(**change)
            assert ask(secret, "models").status_code == 401
            ApiToken.objects.update(**back)
        owner.is_active = False
        owner.save()
        assert ask(secret, "models").status_code == 401

    def test_a_scope_that_is_missing_is_named(self, owner):
        _, narrow = ApiToken.issue(owner, name="lists", scopes=["models"])
        response = ask(narrow, given=body())
        assert response.status_code == 403
        assert "chat" in response.json()["error"]["message"]
        assert not Reply.objects.exists()

    def test_the_models_are_the_persons_own(self, owner, other, secret):
        AlignmentVersion.objects.create(person=owner, number=1, change="x")
        AlignmentVersion.objects.create(person=other, number=7, change="x")
        found = [model["id"] for model in ask(secret, "models").json()["data"]]
        assert found == ["base", "system_message", "alignment", "alignment@1"]
        for name in ("alignment@7", "alignment@", f"alignment@{'9' * 5000}"):
            refused = ask(secret, given=body(model=name))
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")

    @pytest.mark.parametrize("method", ["get", "put", "delete"])
    def test_other_methods_are_refused_in_words(self, secret, method):
        response = getattr(Client(), method)("/v1/chat/completions")
        assert response.status_code == 405
        assert "POST" in response.json()["error"]["message"]

    def test_too_many_answers_say_when_to_come_back(self, secret, settings):
        settings.REPLIES_PER_MINUTE, settings.API_SECONDS = 2, 0
        assert ask(secret, given=body(n=2)).status_code == 504  # no worker runs here
        response = ask(secret, given=body())
        assert response.status_code == 429
        assert int(response["Retry-After"]) > 0
        assert response.json()["error"]["type"] == "rate_limit_error"
        assert not Conversation.objects.exists()  # what nobody got is not kept


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
        ({"messages": [USER, USER]}, "messages"),
        ({"messages": [USER, {"role": "assistant", "content": "Hi"}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, None),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 5}, "n"),
        ({"strength": MOST_STRENGTH + 0.01}, "strength"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"presence_penalty": 2.5}, "presence_penalty"),
        ({"logit_bias": {"5": 100}}, "logit_bias"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"model": None}, "model"),
    ],
)
def test_what_cannot_be_done_is_refused_and_named(changed, param):
    with pytest.raises(ApiError) as refused:
        parsed(body(**changed))
    assert refused.value.status == 400
    if param:
        assert refused.value.param == param


@pytest.mark.parametrize("given", [b"", b"{", b"[]", b"\xff", b"null"])
def test_no_request_at_all_is_refused(given):
    with pytest.raises(ApiError):
        parsed(given)


def test_what_clients_send_by_default_is_let_through():
    defaults = {
        "presence_penalty": 0,
        "frequency_penalty": None,
        "logit_bias": None,
        "logprobs": False,
        "tools": None,
        "user": "x",
        "seed": None,
        "stop": "",
    }
    asked = parsed(body(**defaults, response_format={"type": "text"}))
    assert asked.stops == []


def test_a_request_becomes_the_rows_of_a_chat(owner, settings):
    settings.MAX_NEW_TOKENS = 50
    messages = [
        {"role": "system", "content": "Be kind."},
        USER,
        {"role": "assistant", "content": "Hi."},
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "And "}, {"type": "text", "text": "now?\0"}]},
    ]
    given = {"stop": "END", "max_tokens": 20, "temperature": 0.5, "frequency_penalty": 0.5}
    asked = parsed(body(messages=messages, n=2, seed=2**31 - 1, **given))
    turn = services.begin(owner, asked)
    first, second = turn.replies.order_by("position")
    assert [(m.role, m.content) for m in messages_before(second)] == [
        ("system", "Be kind.\n\nBe brief."),
        ("user", "Hello"),
        ("assistant", "Hi."),
        ("user", "And now?"),
    ]
    assert first.sampling == {
        "temperature": 0.5, "top_p": 0.95, "top_k": 0, "max_new_tokens": 20,
        "seed": 2**31 - 1, "stop": ["END"], "presence_penalty": 0.0, "frequency_penalty": 0.5,
    }  # fmt: skip
    assert second.sampling["seed"] == 0
    assert (first.maker, first.interventions, turn.is_blind) == (Reply.Maker.BASE, [], False)
    assert not list(conversations_of(owner))
    with pytest.raises(ApiError, match="at most 50 tokens"):
        services.begin(owner, parsed(body(max_completion_tokens=51)))
    with pytest.raises(ApiError, match="characters"):
        services.begin(owner, parsed(body(messages=[{"role": "user", "content": "x" * 9000}])))


def test_what_is_stored_is_shown_in_the_chat_and_the_rest_is_deleted_in_time(owner, client_of):
    kept = services.begin(
        owner, parsed(body(store=True, messages=[USER, {"role": "assistant", "content": "Hi you."}, USER]))
    )
    gone = services.begin(owner, parsed(body()))
    assert [c.id for c in conversations_of(owner)] == [kept.conversation_id]
    page = client_of(owner).get(f"/chat/{kept.conversation_id}/")
    assert "Hi you." in page.content.decode()
    delete_expired()
    assert Conversation.objects.count() == 2
    Conversation.objects.filter(pk=gone.conversation_id).update(expires_at=timezone.now())
    delete_expired()
    assert [c.id for c in Conversation.objects.all()] == [kept.conversation_id]


class TestTokensPage:
    """Made once, shown once, revoked for good."""

    def test_a_secret_is_shown_once_and_only_its_hash_is_kept(self, owner, client_of):
        client = client_of(owner)
        given = {"name": "My notebook", "scopes": ["chat"], "lifetime": "30"}
        page = client.post("/account/tokens/", given)
        secret = page.context["secret"]
        assert secret.startswith(PREFIX)
        assert secret in page.content.decode()
        assert "no-store" in page["Cache-Control"]
        token = ApiToken.objects.get()
        assert ApiToken.find(secret) == token
        assert secret not in json.dumps(list(ApiToken.objects.values()), default=str)
        assert timedelta(days=29) < token.expires_at - timezone.now() < timedelta(days=31)
        assert secret not in client.get("/account/tokens/").content.decode()
        event = AuditEvent.objects.get(verb="token.made")
        assert event.evidence == {"scopes": ["chat"], "days": 30}
        client.post(f"/account/tokens/{token.id}/revoke")
        client.post(f"/account/tokens/{token.id}/revoke")
        assert ApiToken.find(secret) is None
        assert AuditEvent.objects.filter(verb="token.revoked").count() == 1

    def test_a_form_with_mistakes_keeps_what_was_typed(self, owner, client_of):
        page = client_of(owner).post("/account/tokens/", {"name": "My notebook", "lifetime": "30"})
        assert page.status_code == 400
        assert "at least one thing" in page.content.decode()
        assert 'value="My notebook"' in page.content.decode()
        assert not ApiToken.objects.exists()

    def test_a_page_that_is_sent_again_makes_no_second_token(self, owner, client_of):
        given = {"name": "My notebook", "scopes": ["chat"], "lifetime": "30"}
        client = client_of(owner)
        client.post("/account/tokens/", given)
        page = client.post("/account/tokens/", given)
        assert (page.status_code, page.context["secret"]) == (400, "")
        assert "with this name" in page.content.decode()
        ApiToken.objects.get().revoke()
        assert client.post("/account/tokens/", given).context["secret"]

    def test_there_is_an_end_to_how_many(self, owner, client_of):
        for _ in range(MOST_TOKENS):
            ApiToken.issue(owner, name="x", scopes=["chat"])
        given = {"name": "y", "scopes": ["chat"], "lifetime": "0"}
        page = client_of(owner).post("/account/tokens/", given)
        assert "Revoke one first" in page.content.decode()
        assert ApiToken.objects.count() == MOST_TOKENS


def test_who_leaves_just_when_it_ends_leaves_nothing_behind(monkeypatch):
    """Clients hang up at the last chunk. What was not to be stored is deleted even so."""
    deleted: list[str] = []

    async def slowly(query):
        await asyncio.sleep(0.05)
        return query()

    async def request() -> None:
        async with views._until_read(Turn(conversation=Conversation()), parsed(body())):
            pass

    async def leave_while_it_is_deleted() -> None:
        asking = asyncio.create_task(request())
        await asyncio.sleep(0.01)
        assert not deleted
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    monkeypatch.setattr(views, "briefly", slowly)
    monkeypatch.setattr(views, "delete", lambda conversation: deleted.append("conversation"))
    asyncio.run(leave_while_it_is_deleted())
    assert deleted == ["conversation"]

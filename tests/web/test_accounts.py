"""Signing up, the account page, consent, and the home page."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.consent import VERSION, give_consent, has_consent, withdraw_consent
from alignapp.accounts.models import Consent, Person
from alignapp.adapters import services
from alignapp.adapters.models import Job, MethodInfo
from alignapp.adapters.services import start_job
from alignapp.audit.services import record
from alignapp.chat import streams
from personalization.errors import AlignError
from tests.web import learned

PASSWORD = "a long pass phrase"
pytestmark = pytest.mark.django_db


def sign_up(client, **changes):
    fields = {
        "email": "new@example.org",
        "password1": PASSWORD,
        "password2": PASSWORD,
        "consent": "on",
        **changes,
    }
    return client.post(reverse("account_signup"), {k: v for k, v in fields.items() if v is not None})


def test_signing_up_records_which_text_was_agreed_to(client):
    assert sign_up(client).status_code == 302
    given = Consent.objects.get(person__email="new@example.org")
    assert (given.text_version, len(given.text_sha256)) == (VERSION, 64)


def test_without_consent_there_is_no_account_and_what_was_typed_stays(client):
    response = sign_up(client, consent=None)
    assert not Person.objects.exists()
    assert "Without your consent nothing can be stored" in response.content.decode()
    assert 'value="new@example.org"' in response.content.decode()


def test_an_address_longer_than_its_column_is_refused_in_words(client):
    response = sign_up(client, email=f"{'x' * 290}@example.org")
    assert response.status_code == 200
    assert "at most 254 characters" in response.content.decode()
    assert not Person.objects.exists()


def test_the_sign_up_page_says_what_is_trained(client):
    assert "What is trained" in client.get(reverse("account_signup")).content.decode()


def test_who_is_new_and_was_invited_comes_back_to_the_invitation(client, db):
    invitation = "/annotate/join/abc"
    sign_in = client.get(invitation, follow=True)
    html = sign_in.content.decode()
    assert "You are invited to a project." in html
    links = set(re.findall(r'href="(/accounts/signup/[^"]*)"', html))
    assert links == {f"/accounts/signup/?next={invitation}"}
    form = client.get(links.pop()).content.decode()
    assert f'href="/accounts/login/?next={invitation}"' in form
    assert f'name="next" value="{invitation}"' in form


def test_the_first_page_differs_for_visitors_and_people(client, owner, client_of):
    assert "Sign up" in client.get(reverse("home")).content.decode()
    assert "What comes next" in client_of(owner).get(reverse("home")).content.decode()


def test_the_number_of_answers_is_kept_between_one_and_four(owner, client_of):
    assert client_of(owner).post(reverse("account"), {"candidate_count": 2}).status_code == 302
    assert client_of(owner).post(reverse("account"), {"candidate_count": 9}).status_code == 400
    owner.refresh_from_db()
    assert owner.candidate_count == 2


def test_consent_can_be_withdrawn_and_given_again(client):
    sign_up(client)
    person = Person.objects.get()
    client.post(reverse("change_consent"))
    assert not has_consent(person)
    client.post(reverse("change_consent"))
    assert has_consent(person)
    assert Consent.objects.count() == 2  # the first one stays on record


def test_withdrawing_concerns_one_person_only(client, owner):
    sign_up(client)
    withdraw_consent(owner)
    assert has_consent(Person.objects.get(email="new@example.org"))


def test_withdrawing_stops_what_is_being_trained(owner, client_of):
    give_consent(owner)
    waiting = Job.objects.create(person=owner, method="dpo")
    running = Job.objects.create(person=owner, method="steer", state=Job.State.RUNNING, lease_owner="w")
    client_of(owner).post(reverse("change_consent"))
    waiting.refresh_from_db()
    running.refresh_from_db()
    assert (waiting.state, running.cancel_requested) == (Job.State.CANCELLED, True)
    MethodInfo.objects.create(name="dpo", data="pairs", produces="adapter", summary="", paper="")
    with pytest.raises(AlignError, match="withdrew your consent"):
        start_job(owner, "dpo")


def test_ten_wrong_passwords_close_the_account_for_a_while(client, owner):
    wrong = {"login": owner.email, "password": "not the pass phrase"}
    for _ in range(10):
        assert "Too many failed" not in client.post(reverse("account_login"), wrong).content.decode()
    right = {**wrong, "password": PASSWORD}
    elsewhere = Client(REMOTE_ADDR="10.1.1.1")
    assert "Too many failed" in elsewhere.post(reverse("account_login"), right).content.decode()
    assert "_auth_user_id" not in elsewhere.session


def test_the_21st_attempt_of_an_address_on_the_network_is_refused(client, db):
    answers = [
        client.post(reverse("account_login"), {"login": f"{i}@example.org", "password": "x"}).status_code
        for i in range(21)
    ]
    assert answers == [200] * 20 + [429]
    page = client.post(reverse("account_login"), {"login": "a@example.org", "password": "x"})
    assert "You tried this too often" in page.content.decode()
    assert "script-src" not in page.headers["Content-Security-Policy"]


def test_sign_ups_and_passwords_entered_again_are_limited(client, owner, client_of):
    assert [sign_up(client, password2="another").status_code for _ in range(21)] == [200] * 20 + [429]
    again = client_of(owner)
    wrong = [again.post(reverse("account_reauthenticate"), {"password": "x"}).status_code for _ in range(11)]
    assert (wrong[0], wrong[-1]) == (200, 429)


def test_the_session_key_changes_at_sign_in(client, owner):
    client.get(reverse("account_login"))
    client.session["before"] = 1
    client.session.save()
    old = client.session.session_key
    client.post(reverse("account_login"), {"login": owner.email, "password": PASSWORD})
    assert client.session.session_key != old


def test_a_session_ends_twelve_hours_after_signing_in_however_busy(client, owner):
    client.post(reverse("account_login"), {"login": owner.email, "password": PASSWORD})
    ends = client.session.get_expiry_date()
    assert abs(ends - timezone.now() - timedelta(hours=12)) < timedelta(minutes=1)
    session = client.session
    session["busy"] = True
    session.save()
    assert client.session.get_expiry_date() == ends
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert client.get(reverse("account")).status_code == 302


def test_a_new_password_ends_the_other_sessions(owner, client_of):
    here, elsewhere = client_of(owner), client_of(owner)
    new = {"oldpassword": PASSWORD, "password1": "another long phrase", "password2": "another long phrase"}
    assert here.post(reverse("account_change_password"), new).status_code == 302
    assert here.get(reverse("account")).status_code == 200
    assert elsewhere.get(reverse("account")).status_code == 302
    assert "Password changed" in here.get(reverse("account")).content.decode()


def test_a_forgotten_password_is_set_anew_by_mail(client, owner):
    client.post(reverse("account_reset_password"), {"email": owner.email})
    link = re.search(r"http://testserver(\S+)", mail.outbox[0].body)[1]
    form = client.get(link, follow=True)
    new = {"password1": "another long phrase", "password2": "another long phrase"}
    client.post(form.request["PATH_INFO"], new)
    owner.refresh_from_db()
    assert owner.check_password("another long phrase")


def test_without_mail_nobody_is_told_to_wait_for_some(client, owner, settings):
    ask, done = reverse("account_reset_password"), reverse("account_reset_password_done")
    assert "This site sends no mail" in client.get(ask).content.decode()
    assert "Ask for the link" in client.get(done).content.decode()
    settings.EMAIL_URL = "smtp://localhost"
    assert "We send a link to your address." in client.get(ask).content.decode()
    assert "a link is on its way" in client.get(done).content.decode()


def test_an_unknown_address_gets_the_same_answer(client, owner):
    known = client.post(reverse("account_reset_password"), {"email": owner.email})
    unknown = client.post(reverse("account_reset_password"), {"email": "nobody@example.org"})
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)


def test_colours_are_kept_by_the_browser(owner, client_of):
    client = client_of(owner)
    client.post(reverse("account"), {"candidate_count": 4, "theme": "dark"})
    assert 'data-theme="dark"' in client.get(reverse("account")).content.decode()


def test_the_account_page_says_what_operators_did(owner, other, client_of):
    record(other, "account.switched_off", owner, reason="a mistake")
    page = client_of(owner).get(reverse("account")).content.decode()
    assert f'operator <span class="nowrap">{other.pseudonym}</span>' in page
    assert other.email not in page


def test_home_says_what_shapes_the_answers(owner, client_of, settings, tmp_path):
    settings.ARTIFACT_DIR = tmp_path
    home = reverse("home")
    assert "Nothing yet: the base model answers you." in client_of(owner).get(home).content.decode()
    services.switch_on(owner, learned.artifact(owner))
    services.switch(owner, change="Strength", adapter_strength=0.5)
    page = client_of(owner).get(home).content.decode()
    assert "Adapter v1 at 0.5." in page
    assert "2 of 4 steps are done" in page


def test_the_cache_holds_json_only(settings):
    cache.set("key", {"a": [1, True, "x"]})
    assert cache.get("key") == {"a": [1, True, "x"]}
    assert b'"a"' in streams.connection().get("cache:1:key").encode()
    cache.set("n", 1)
    assert cache.incr("n") == 2
    with pytest.raises(TypeError):
        cache.set("object", object())


def test_health_names_what_does_not_answer(client, settings):
    assert client.get(reverse("healthz")).json() == {"database": "ok", "broker": "ok"}
    url, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    streams.connection.cache_clear()
    response = client.get(reverse("healthz"))
    settings.REDIS_URL = url
    streams.connection.cache_clear()
    assert response.status_code == 503
    assert response.json() == {"database": "ok", "broker": "unreachable"}


def test_no_browser_keeps_what_somebody_signed_in_was_shown(client, owner, client_of):
    def kept(who, name: str) -> str | None:
        return who.get(reverse(name)).headers.get("Cache-Control")

    assert kept(client, "home") is None
    assert {kept(client_of(owner), name) for name in ("home", "chat:list", "account")} == {"no-store"}

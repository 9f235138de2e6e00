"""Survey, message, history and overview; and who may see what."""

import uuid

import pytest
from django.urls import reverse

from alignapp.profiles.models import InventoryAnswer
from alignapp.profiles.services import current_profile, new_version
from alignapp.profiles.urls import urlpatterns

pytestmark = pytest.mark.django_db
BRIEF = {"chosen": [{"key": "style.brief", "importance": 4}], "own": []}
NEEDS = {"personality_page": [1], "version": [uuid.uuid4()]}


@pytest.mark.parametrize("name", [pattern.name for pattern in urlpatterns])
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_outsider_is_sent_to_sign_in(client_of, name, method):
    response = getattr(client_of(None), method)(reverse(f"profiles:{name}", args=NEEDS.get(name)))
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("account_login"))


@pytest.mark.parametrize("name", [p.name for p in urlpatterns])
def test_every_page_works_for_somebody_who_has_stated_nothing(owner, client_of, name):
    response = client_of(owner).get(reverse(f"profiles:{name}", args=NEEDS.get(name)))
    refused = {
        "values_preview": 405,
        "personality_answer": 405,
        "personality_restart": 405,
        "message_reset": 405,
    }
    wanted = {**refused, "personality_result": 302, "version": 404}.get(name, 200)
    assert response.status_code == wanted


def test_a_foreign_version_answers_404_and_ones_own_is_shown(owner, other, client_of):
    version = new_version(owner, "values", values=BRIEF)
    address = reverse("profiles:version", args=[version.id])
    assert client_of(other).get(address).status_code == 404
    assert client_of(owner).post(address).status_code == 405
    assert b"Keep answers brief." in client_of(owner).get(address).content


def test_pages_show_only_ones_own_statements(owner, other, client_of):
    secret = {"chosen": [], "own": [{"text": "A canary sings.", "importance": 5}]}
    new_version(other, "values", values=secret)
    new_version(other, "survey", survey={"self_description": "A canary sings."})
    InventoryAnswer.keep(other, dict.fromkeys(range(1, 121), 3))
    for pattern in urlpatterns:
        response = client_of(owner).get(reverse(f"profiles:{pattern.name}", args=NEEDS.get(pattern.name)))
        assert b"canary" not in response.content
        assert b"All 120 answered" not in response.content


def test_a_survey_is_saved_and_an_untouched_slider_stays_unsaid(owner, client_of):
    client = client_of(owner)
    form = {
        "preferences.factuality": "80",
        "preferences.factuality.set": "on",
        "preferences.safety": "50",
        "system_string": "Be honest.\nBe short.",
        "use_cases": ["research", "games"],
        "demographics.country.declined": "on",
    }
    assert client.post(reverse("profiles:survey"), form).status_code == 302
    version = current_profile(owner)
    assert version.survey["preferences"] == {"factuality": 80}
    assert [line["text"] for line in version.system_lines] == ["Be honest.", "Be short."]
    page = client.get(reverse("profiles:survey")).content.decode()
    assert page.count('.set" value="on" ') == 9
    assert 'aria-valuetext="very important"' in page
    assert page.count('aria-valuetext="no opinion yet"') == 8


def test_a_mistake_in_the_survey_keeps_everything_and_has_the_focus(owner, client_of):
    form = {
        "system_string": "y" * 1501,
        "self_description": "I value trust.",
        "use_cases": "other",
        "use_cases.other": "",
    }
    response = client_of(owner).post(reverse("profiles:survey"), form)
    page = response.content.decode()
    assert response.status_code == 400
    assert "y" * 1501 in page
    assert "I value trust." in page
    assert page.count("autofocus") == 1
    assert 'aria-describedby="system_string-help system_string-error"' in page
    assert "Say in a few words" in page
    assert current_profile(owner) is None


def test_demographics_never_reach_the_system_message(owner, client_of):
    form = {"demographics.religion": "Canarian", "self_description": "A canary.", "demographics.age": "25-34"}
    client_of(owner).post(reverse("profiles:survey"), form)
    assert current_profile(owner).system_message == ""


def test_a_message_by_hand_is_kept_and_can_be_reset(owner, client_of):
    client = client_of(owner)
    new_version(owner, "values", values=BRIEF)
    composed = current_profile(owner).system_message
    client.post(reverse("profiles:message"), {"system_message": "Talk like a pirate.\r\n\r\n\r\n\r\nAlways."})
    assert current_profile(owner).system_message == "Talk like a pirate.\n\nAlways."
    page = client.get(reverse("profiles:message")).content.decode()
    assert "written by hand" in page
    client.post(reverse("profiles:message_reset"))
    assert current_profile(owner).system_message == composed
    assert not current_profile(owner).system_edited


def test_a_message_that_is_too_long_keeps_its_text(owner, client_of):
    response = client_of(owner).post(reverse("profiles:message"), {"system_message": "z" * 3001})
    assert response.status_code == 400
    assert "z" * 3001 in response.content.decode()
    assert "3001 characters" in response.content.decode()
    assert current_profile(owner) is None


def test_the_history_says_what_changed(owner, client_of):
    new_version(owner, "values", values=BRIEF)
    new_version(owner, "values", values={"chosen": [{"key": "style.brief", "importance": 5}], "own": []})
    new_version(owner, "message", system_message="By hand.")
    page = client_of(owner).get(reverse("profiles:history")).content.decode()
    assert "added “Brief answers” (very important)" in page
    assert "“Brief answers” from very important to above all" in page
    assert "the message by hand" in page


def test_an_outdated_key_does_not_break_any_page(owner, client_of):
    version = new_version(
        owner, "values", values={"chosen": [{"key": "style.gone", "importance": 3}], "own": []}
    )
    for name, args in [
        ("overview", []),
        ("values", []),
        ("message", []),
        ("history", []),
        ("version", [version.id]),
    ]:
        assert client_of(owner).get(reverse(f"profiles:{name}", args=args)).status_code == 200

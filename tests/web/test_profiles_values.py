"""The page of values: picked, weighed, written; contradictions first, nothing typed is lost."""

import pytest
from django.urls import reverse

from alignapp.profiles.models import ProfileVersion
from alignapp.profiles.services import current_profile, new_version

pytestmark = pytest.mark.django_db
URL = "/profile/values/"


def test_picked_and_own_values_become_a_version_with_a_message(owner, client_of):
    form = {
        "chosen": ["style.brief", "style.warm"],
        "importance-style.brief": "5",
        "importance-style.warm": "2",
        "own_text": ["Use metric units.", ""],
        "own_importance": ["4", "3"],
    }
    response = client_of(owner).post(URL, form)
    assert response.status_code == 302
    version = current_profile(owner)
    assert version.values["own"] == [{"text": "Use metric units.", "importance": 4}]
    assert [line["source"] for line in version.system_lines] == ["style.brief", "own", "style.warm"]
    page = client_of(owner).get(URL).content.decode()
    assert page.count("checked") == 2
    assert "Use metric units." in page


def test_contradictions_are_shown_before_anything_is_saved(owner, client_of):
    client = client_of(owner)
    form = {
        "chosen": ["style.brief", "informativeness.thorough"],
        "own_text": ["Mine."],
        "own_importance": ["1"],
    }
    response = client.post(URL, form)
    assert response.status_code == 200
    assert "pull in opposite directions" in response.content.decode()
    assert "Mine." in response.content.decode()
    assert current_profile(owner) is None
    accepted = response.context["accepts"]
    assert client.post(URL, {**form, "accepted": accepted}).status_code == 302
    assert len(current_profile(owner).values["chosen"]) == 2


def test_accepting_one_contradiction_does_not_accept_the_next(owner, client_of):
    form = {"chosen": ["style.brief", "informativeness.thorough", "style.long"]}
    accepted = {"accepted": "informativeness.thorough/style.brief"}
    assert client_of(owner).post(URL, {**form, **accepted}).status_code == 200
    assert current_profile(owner) is None


def test_a_mistake_keeps_everything_typed_and_has_the_focus(owner, client_of):
    long = "x" * 301
    form = {
        "chosen": ["style.brief"],
        "importance-style.brief": "1",
        "own_text": ["Good.", long],
        "own_importance": ["5", "2"],
    }
    response = client_of(owner).post(URL, form)
    page = response.content.decode()
    assert response.status_code == 400
    assert long in page
    assert "Good." in page
    assert page.count("autofocus") == 1
    assert 'aria-describedby="own-error-1"' in page
    assert current_profile(owner) is None


def test_an_unknown_value_is_refused_and_the_known_ones_stay_picked(owner, client_of):
    response = client_of(owner).post(URL, {"chosen": ["style.brief", "style.evil"]})
    assert response.status_code == 400
    assert response.content.decode().count("checked") == 1


def test_another_row_without_scripts_keeps_what_was_typed(owner, client_of):
    form = {"chosen": ["style.brief"], "own_text": ["a", "b"], "own_importance": ["5", "1"], "add_row": "1"}
    page = client_of(owner).post(URL, form).content.decode()
    assert page.count('name="own_text"') == 2 + 2 + 1  # two typed, two new ones, the one in the template
    assert current_profile(owner) is None


def test_the_preview_saves_nothing_and_uses_the_own_words_of_the_profile(owner, other, client_of):
    new_version(owner, "survey", survey={"system_string": "Be honest."})
    new_version(other, "survey", survey={"system_string": "A canary of the other."})
    response = client_of(owner).post(
        reverse("profiles:values_preview"), {"chosen": ["style.brief"]}, HTTP_HX_REQUEST="true"
    )
    text = response.content.decode()
    assert "Be honest." in text
    assert "Keep answers brief." in text
    assert "canary" not in text
    assert current_profile(owner).number == 1


def test_unchanged_values_make_no_version(owner, client_of):
    client = client_of(owner)
    for _n in range(2):
        client.post(URL, {"chosen": ["style.brief"], "importance-style.brief": "3"})
    assert ProfileVersion.objects.count() == 1


def test_markup_and_control_characters_in_own_words_stay_harmless(owner, client_of):
    nasty = "<script>alert(1)</script>\x00\x1b‮ <|im_start|>system"
    client_of(owner).post(URL, {"own_text": [nasty], "own_importance": ["3"]})
    assert current_profile(owner).values["own"][0]["text"] == "<script>alert(1)</script> <|im_start|>system"
    for name in ("profiles:values", "profiles:overview", "profiles:message", "profiles:history"):
        assert b"<script>alert" not in client_of(owner).get(reverse(name)).content

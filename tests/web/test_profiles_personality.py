"""The inventory on the web: saved at every answer, resumable, scored, imported."""

import pytest
from django.urls import reverse

from alignapp.profiles.models import InventoryAnswer, ProfileVersion
from alignapp.profiles.services import current_profile

pytestmark = pytest.mark.django_db


def url(name: str, *args: object) -> str:
    return reverse(f"profiles:personality_{name}", args=args)


def test_every_answer_is_saved_at_once_and_counted(owner, client_of):
    client = client_of(owner)
    assert client.post(url("answer"), {"item": 7, "value": 2}).json()["answered"] == 1
    assert client.post(url("answer"), {"item": 7, "value": 5}).json() == {
        "answered": 1,
        "progress": "1 of 120, about 10 min",
    }
    assert InventoryAnswer.of(owner) == {7: 5}


@pytest.mark.parametrize(
    "sent", [{"item": 0, "value": 1}, {"item": 121, "value": 1}, {"item": 1, "value": 6}, {}]
)
def test_an_impossible_answer_is_refused_in_json(owner, client_of, sent):
    response = client_of(owner).post(url("answer"), sent)
    assert response.status_code == 400
    assert response.json()["error"]
    assert InventoryAnswer.of(owner) == {}


def test_a_page_without_scripts_saves_goes_on_and_back_and_allows_gaps(owner, client_of):
    client = client_of(owner)
    response = client.post(
        url("page", 1), {"item-1": "4", "item-10": "1", "item-11": "5", "item-2": "9", "go": "next"}
    )
    assert response["Location"] == url("page", 2)
    assert InventoryAnswer.of(owner) == {1: 4, 10: 1}
    assert client.post(url("page", 1), {"go": "back"})["Location"] == reverse("profiles:personality")
    assert client.post(url("page", 12), {"go": "next"})["Location"] == url("finish")
    assert client.get(url("page", 1)).content.decode().count("checked") == 2
    assert client.get(url("page", 13)).status_code == 404


def test_one_resumes_at_the_first_open_statement(owner, client_of):
    InventoryAnswer.keep(owner, dict.fromkeys(range(1, 48), 3))
    page = client_of(owner).get(reverse("profiles:personality")).content.decode()
    assert "47 of 120, about 6 min" in page
    assert url("page", 5) in page


def test_finishing_makes_a_version_with_scores_and_the_result_shows_them(owner, client_of):
    client = client_of(owner)
    InventoryAnswer.keep(owner, {n: n % 5 + 1 for n in range(1, 120)})
    response = client.post(url("finish"), {"sex": "F", "age": "34"}, follow=True)
    assert response.redirect_chain == [(url("result"), 302)]
    version = current_profile(owner)
    assert version.changed_section == ProfileVersion.Section.PERSONALITY
    assert (version.personality["sex"], version.personality["age"]) == ("F", 34)
    assert set(version.personality["domains"]) == set("NEOAC")
    assert len(version.personality["facets"]) == 30
    assert version.personality["answers"]["119"] == 119 % 5 + 1
    assert version.system_message == ""
    page = response.content.decode()
    assert "<svg" in page
    assert "not a diagnosis" in page
    assert page.count("<table") == 6


def test_sex_and_age_are_optional(owner, client_of):
    InventoryAnswer.keep(owner, dict.fromkeys(range(1, 121), 4))
    client_of(owner).post(url("finish"), {})
    assert (current_profile(owner).personality["sex"], current_profile(owner).personality["age"]) == (
        "N",
        None,
    )


def test_too_few_answers_and_a_wrong_age_make_no_version(owner, client_of):
    client = client_of(owner)
    InventoryAnswer.keep(owner, dict.fromkeys(range(1, 60), 4))
    assert b"not enough answers" in client.post(url("finish"), {}).content
    InventoryAnswer.keep(owner, dict.fromkeys(range(1, 121), 4))
    for age in ("9", "111", "old"):
        response = client.post(url("finish"), {"age": age})
        assert response.status_code == 400
        assert f'value="{age}"' in response.content.decode()
    assert current_profile(owner) is None


def test_a_domain_without_enough_answers_says_so(owner, client_of):
    neuroticism = range(1, 121, 5)
    InventoryAnswer.keep(owner, {n: 4 for n in range(1, 121) if n not in neuroticism})
    page = client_of(owner).post(url("finish"), {}, follow=True).content.decode()
    assert "Not enough answers: 0 of 24." in page


def test_starting_again_removes_only_ones_own_answers_and_keeps_the_scores(owner, other, client_of):
    for person in (owner, other):
        InventoryAnswer.keep(person, dict.fromkeys(range(1, 121), 4))
        client_of(person).post(url("finish"), {})
    client_of(owner).post(url("restart"))
    assert InventoryAnswer.of(owner) == {}
    assert len(InventoryAnswer.of(other)) == 120
    assert current_profile(owner).personality["domains"]


def test_an_import_is_shown_first_with_its_bad_lines_and_then_saved(owner, client_of, tmp_path):
    client = client_of(owner)
    file = tmp_path / "answers.csv"
    file.write_text("item,value\n1,5\n2,9\n51,5\n")
    with file.open("rb") as upload:
        response = client.post(url("import"), {"file": upload, "keyed": "on"})
    page = response.content.decode()
    assert "2 answers were understood" in page
    assert "Item 2 has “9”" in page
    assert InventoryAnswer.of(owner) == {}
    saved = {"text": response.context["text"], "keyed": "on", "save": "1"}
    for _n in range(2):
        assert client.post(url("import"), saved)["Location"] == url("finish")
    assert InventoryAnswer.of(owner) == {1: 5, 51: 1}


def test_an_empty_import_and_a_huge_file_are_named_at_the_field(owner, client_of, tmp_path):
    client = client_of(owner)
    assert b"text-error" in client.post(url("import"), {"text": "  "}).content
    file = tmp_path / "huge.csv"
    file.write_text("1,1\n" * 40_000)
    with file.open("rb") as upload:
        assert b"too large" in client.post(url("import"), {"file": upload}).content


def test_one_answer_from_elsewhere_is_one(owner, client_of):
    page = client_of(owner).post(url("import"), {"text": "item,value\n1,5", "save": "1"}, follow=True)
    assert "1 answer is taken over." in page.content.decode()

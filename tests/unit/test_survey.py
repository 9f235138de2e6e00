"""The survey: what is stored is what was said, and nothing more."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.profiles.questions import DEMOGRAPHICS, NOT_SAID, PREFERENCES, USE
from personalization.profiles.survey import check, questions, raw_of, slider_words

DATA = Path(os.environ.get("ALIGN_DATA", Path(__file__).parents[2].parent / "shared/data")) / "prism"
FIELDS = [f"{q.name}{end}" for q in questions() for end in ("", ".set", ".other", ".declined")]
VALUES = (
    st.sampled_from(["", "on", "0", "50", "100", "101", "-1", "other", "research", NOT_SAID, "daily"])
    | st.text()
)
forms = st.dictionaries(st.sampled_from(FIELDS), st.lists(VALUES, max_size=3), max_size=20)


def test_an_untouched_slider_is_not_an_answer():
    form = {
        "preferences.safety": ["50"],
        "preferences.factuality": ["0"],
        "preferences.factuality.set": ["on"],
    }
    assert check(form).content == {"preferences": {"factuality": 0}}


def test_an_empty_form_is_a_valid_and_empty_survey():
    assert check({}) == check({name: [""] for name in FIELDS})
    assert check({}).content == check({}).errors == {}


def test_declining_is_stored_and_beats_a_text():
    form = {
        "demographics.country": ["Chile"],
        "demographics.country.declined": ["on"],
        "demographics.age": [NOT_SAID],
    }
    assert check(form).content == {"demographics": {"country": NOT_SAID, "age": NOT_SAID}}


def test_each_demographic_can_be_declined():
    for question in DEMOGRAPHICS.questions:
        assert question.kind == "private_text" or question.options[-1].key == NOT_SAID


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"preferences.safety": ["101"], "preferences.safety.set": ["on"]}, "preferences.safety"),
        ({"preferences.safety": ["00999"], "preferences.safety.set": ["on"]}, "preferences.safety"),
        ({"preferences.safety": ["x"], "preferences.safety.set": ["on"]}, "preferences.safety"),
        ({"preferences.other": ["9"], "preferences.other.set": ["on"]}, "preferences.other.other"),
        ({"system_string": ["x" * 1501]}, "system_string"),
        ({"frequency": ["hourly"]}, "frequency"),
        ({"use_cases": ["research", "crime"]}, "use_cases"),
        ({"use_cases": ["other"]}, "use_cases.other"),
        ({"demographics.age": ["12"]}, "demographics.age"),
        ({"demographics.religion": ["x" * 81]}, "demographics.religion"),
    ],
)
def test_a_mistake_is_named_at_its_field(form, field):
    assert list(check(form).errors) == [field]


@given(forms)
def test_what_is_stored_fills_the_form_again_with_the_same_answers(form):
    checked = check(form)
    if not checked.errors:
        assert check(raw_of(checked.content)) == checked
        json.dumps(checked.content)


@given(st.none() | st.integers(0, 100))
def test_every_place_of_a_slider_has_words(value):
    assert slider_words(value)


def test_the_ends_of_a_slider_have_the_outermost_words():
    assert [slider_words(v) for v in (None, 0, 100)] == [
        "no opinion yet",
        "not important at all",
        "extremely important",
    ]


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is absent; set ALIGN_DATA to the data folder")
def test_attributes_and_use_cases_are_those_of_prism():
    asked = json.loads((DATA / "survey_question_mapping.json").read_text())
    stated = {key.split(":")[1] for key in asked if key.startswith("stated_prefs:")} - {"other_text"}
    assert {q.name.split(".")[1] for q in PREFERENCES.questions} == stated
    uses = {key.split(":")[1].replace("_", "-") for key in asked if key.startswith("lm_usecases:")} - {
        "other-text"
    }
    assert {option.key for option in USE.questions[1].options} == uses

"""A manager pastes answers; what the reward model makes of them is told with what it is worth."""

from __future__ import annotations

import re

import pytest
import redis
from django.urls import reverse

from alignapp.accounts.erase import erase
from alignapp.annotation.access import Role
from alignapp.annotation.models import Membership
from alignapp.chat import streams
from alignapp.studies import services, trying
from alignapp.studies.models import RewardModel, Study
from alignapp.studies.trying import Found
from personalization.errors import AlignError
from tests.web import studied
from tests.web.test_rewards import rewarded

pytestmark = [pytest.mark.broker, pytest.mark.django_db]
PASTED = {"prompt": "Say <b>hello</b>", "answer_1": "Hello there!", "answer_2": "Go away."}
NO_TASTE = {"tastes": {"ann": [0.0, 0.0], "bert": [0.0, 0.0]}, "noise": 1.0}


@pytest.fixture
def study(owner) -> Study:
    project = studied.project_of(owner)
    for name in ("anna", "bert"):
        studied.annotator(project, name)
    return services.start(project.memberships.get(role=Role.OWNER), "")


def address(study: Study) -> str:
    return reverse("studies:judge", args=[study.pk])


def pasted(client, study: Study, **fields) -> tuple[str, str]:
    """Paste, and return where it leads and the id of what was pasted."""
    url = client.post(address(study), {**PASTED, **fields})["Location"]
    return url, re.search(r"tried=([0-9a-f-]+)", url)[1]


def plain(response) -> str:
    return " ".join(response.content.decode().split())


def test_a_page_waits_shows_how_far_it_is_and_what_came_of_it(study, owner, client_of):
    client = client_of(owner)
    rewarded(study)
    assert address(study) in plain(client.get(reverse("studies:page", args=[study.project_id])))
    assert "Paste a prompt and two answers or more" in plain(client.get(address(study)))
    url, tried_id = pasted(client, study)
    page = plain(client.get(url))
    assert "It waits for a generation worker" in page
    assert "hx-get" in page
    assert trying.take(tried_id).answers == ["Hello there!", "Go away."]
    assert trying.take(tried_id) is None  # the message comes again
    trying.tell_read(tried_id)
    part = plain(client.get(url, headers={"HX-Request": "true"}))
    assert part.startswith('<section id="judged"')
    assert "1 of 2 answers are read." in part
    trying.tell(tried_id, Found(log_odds=[0.5, -0.5]))
    page = plain(client.get(url))
    assert "The first answer is preferred to the second with a probability of 73 %." in page
    assert "27 %" in page  # the second to the first
    assert re.findall(r"Score ([+−-][\d.]+)", page) == ["+0.50", "−0.50"]  # noqa: RUF001
    assert "hx-get" not in page
    assert "Say &lt;b&gt;hello&lt;/b&gt;" in page
    assert 'rows="4"' in page
    assert page.count("Hello there!") == 2  # in the form too
    assert "comparisons that it did not see it is right in" in page
    assert "Its probabilities were off by" in page


def test_of_several_the_likeliest_is_named_and_equal_ones_make_no_difference(study, owner, client_of):
    client = client_of(owner)
    rewarded(study)
    url, tried_id = pasted(client, study, answer_4="Good morning")  # the field before it stays empty
    trying.tell(tried_id, Found(log_odds=[-0.2, -0.2, 0.4]))
    assert "Answer 3 is the likeliest to be preferred." in plain(client.get(url))
    assert plain(client.get(url)).count("likeliest</span>") == 1
    url, tried_id = pasted(client, study)
    trying.tell(tried_id, Found(log_odds=[0.0, 0.0]))
    page = plain(client.get(url))
    assert "It makes no difference between them." in page
    assert "likeliest</span>" not in page


def test_one_that_is_not_shown_better_than_a_coin_says_so_first_and_names_nobody_likeliest(
    study, owner, client_of
):
    client = client_of(owner)
    reward = rewarded(study, **NO_TASTE)
    url, tried_id = pasted(client, study)
    trying.tell(tried_id, Found(log_odds=[0.1, -0.1]))
    page = plain(client.get(url))
    assert page.index("Not shown better than a coin") < page.index("It is not shown better than a coin")
    assert "decides nothing" in page
    assert "likeliest</span>" not in page
    assert "It gives every two answers 50 %" in page
    reward.results["rewards"][reward.way]["scale"] = 1.0
    reward.results["judges"][reward.way]["calibration"] = None
    reward.save()
    assert "How far its probabilities hold is not known" in plain(client.get(url))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"answer_2": " "}, "This field is required."),
        ({"prompt": ""}, "This field is required."),
        ({"answer_3": "x" * 20_001}, "at most 20000 characters"),
    ],
)
def test_what_is_missing_or_too_long_is_said_and_what_was_typed_stays(study, owner, client_of, fields, words):
    rewarded(study)
    response = client_of(owner).post(address(study), {**PASTED, **fields})
    page = plain(response)
    assert response.status_code == 400
    assert words in page
    assert "Hello there!" in page
    assert "data-dirty" in page
    assert ("<details open" in page) == ("answer_3" in fields)


def test_too_many_and_a_broker_that_is_away_lose_nothing(study, owner, client_of, monkeypatch):
    client = client_of(owner)
    rewarded(study)
    monkeypatch.setattr(trying, "A_MINUTE", 1)
    url, _tried = pasted(client, study)
    refused = client.post(address(study), PASTED)
    assert (refused.status_code, "Retry-After" in refused) == (429, True)
    assert "Hello there!" in plain(refused)
    monkeypatch.setattr(trying, "A_MINUTE", 100)
    with monkeypatch.context() as patched:
        patched.setattr(streams.connection().connection_pool, "get_connection", _away)
        away, moving = client.post(address(study), PASTED), plain(client.get(url))
    assert away.status_code == 400
    assert "The broker does not answer" in plain(away)
    assert "Hello there!" in plain(away)
    assert "The broker does not answer" in moving


def test_nobody_else_and_no_other_study_finds_it_and_it_goes_with_whoever_pasted_it(study, owner, client_of):
    reward = rewarded(study)
    manager = studied.annotator(study.project, "mia")
    Membership.objects.filter(pk=manager.pk).update(role=Role.MANAGER)
    url, tried_id = pasted(client_of(manager.person), study)
    trying.tell(tried_id, Found(error="Answer 1 has no word that a model could read."))
    assert "has no word that a model could read" in plain(client_of(manager.person).get(url))
    assert "What was judged is gone" in plain(client_of(owner).get(url))
    newer = RewardModel(pk=study.pk, results=reward.results)
    assert trying.find(tried_id, manager.person, newer) is None
    erase(manager.person)
    assert not [key for key in streams.connection().keys("*") if tried_id in str(key)]
    trying.tell(tried_id, Found(log_odds=[0.1, -0.1]))  # a worker that had begun
    assert streams.events(f"tried:{tried_id}") == []


def test_it_goes_with_the_reward_model_and_without_one_there_is_no_form(study, owner, client_of):
    client = client_of(owner)
    missing = client.get(address(study), follow=True)
    assert "This study has no reward models that could judge." in plain(missing)
    rewarded(study)
    _url, tried_id = pasted(client, study)
    erase(study.group)
    assert streams.events(f"tried:{tried_id}") == []
    assert client.get(address(study)).status_code == 302


def test_what_no_worker_takes_on_is_said(study, owner, client_of, monkeypatch):
    rewarded(study)
    url, _tried = pasted(client_of(owner), study)
    monkeypatch.setattr(trying, "STALLED_SECONDS", -1)
    assert "No generation worker took it on" in plain(client_of(owner).get(url))


@pytest.mark.parametrize(
    ("prompt", "answers", "words"),
    [(" ", ["a", "b"], "Paste the prompt"), ("p", ["a"], "2 to 6"), ("p", ["a"] * 7, "2 to 6"),
     ("p", ["a", "b" * 20_001], "at most 20000")],
)  # fmt: skip
def test_the_verb_refuses_the_same(study, owner, prompt, answers, words):
    with pytest.raises(AlignError, match=words):
        trying.begin(owner, rewarded(study), prompt, answers)


def _away(*_args, **_named):
    raise redis.ConnectionError("away")

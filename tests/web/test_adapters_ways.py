"""Ways to learn: every method that feedback teaches with, whether it is on here, and what was measured."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alignapp.adapters import advice
from alignapp.adapters.models import MethodInfo
from alignapp.profiles.services import new_version
from personalization.adviser import Measured
from personalization.registry import all_methods
from personalization.statistics import Estimate
from tests.web import learned
from workers.signals import register_methods

pytestmark = pytest.mark.django_db
PAGE = "/alignment/methods/"
COUNTED = r'<section class="card stack".*?</section>'


def row(method: str, wins: float, amount: int = 8, data: str = "pairs", **fields) -> Measured:
    people = {f"p{i}": wins for i in range(6)}
    return Measured(
        method, data, amount, Estimate(wins, 144, wins - 0.05, wins + 0.05), 70.0, people, **fields
    )


@pytest.fixture
def measured(monkeypatch):
    """Let the page read these rows instead of the shipped ones."""
    return lambda *rows: monkeypatch.setattr(advice, "table", lambda: rows)


def page(client) -> str:
    return re.sub(r"\s+", " ", client.get(PAGE).content.decode())


def kinds(html: str) -> dict[str, str]:
    """Return each kind's part of the page by its heading."""
    return {re.search(r"<h2[^>]*>(.*?)</h2>", part)[1]: part for part in re.findall(COUNTED, html)}


def way(html: str, name: str) -> str:
    return re.search(rf'<li class="artifact-row" id="way-{name}">.*?</li>', html)[0]


def test_my_alignment_leads_there_and_visitors_sign_in_first(owner, client_of):
    assert f'href="{PAGE}"' in client_of(owner).get("/alignment/").content.decode()
    assert client_of(None).get(PAGE)["Location"].startswith("/accounts/login/")
    assert client_of(owner).post(PAGE).status_code == 405


def test_without_methods_the_page_says_that_the_worker_has_not_started(owner, client_of):
    assert "the learning worker has not started yet" in page(client_of(owner))


def test_every_method_that_feedback_teaches_with_is_there_and_no_other(owner, client_of):
    register_methods()
    html = page(client_of(owner))
    listed = re.findall(r'id="way-(\w+)"', html)
    assert sorted(listed) == sorted(m.name for m in all_methods() if m.data not in ("inventory", "values"))
    assert list(kinds(html)) == [
        "From your ratings",
        "From your comparisons",
        "From new answers, judged by your comparisons",
        "From your comparisons and values",
        "From your thumbs",
        "From your edits",
        "From your critiques and comparisons",
    ]
    for method in all_methods():
        if method.name in listed:
            assert method.paper in way(html, method.name)
    assert "Learn a vector from ratings" in way(html, "steer")
    assert "Steering vector" in way(html, "steer")
    assert "Measured on 12 simulated people with SmolLM2-135M-Instruct, not on you." in html


def test_what_is_on_comes_first_and_what_is_off_says_so(owner, client_of):
    register_methods()
    MethodInfo.objects.filter(name__in=("accelerated", "aft")).update(enabled=False)
    MethodInfo.objects.filter(name__in=("dpo", "sppo")).update(enabled=True)
    html = page(client_of(owner))
    names = re.findall(r'id="way-(\w+)"', kinds(html)["From your comparisons"])
    assert names[:3] == ["dpo", "sppo", "accelerated"]
    assert "gpm" in names  # it is told by comparisons, too
    assert "available to you" in way(html, "sppo")
    assert "switched off here" in way(html, "aft")
    assert "available to you" not in way(html, "aft")


def test_what_was_measured_is_said_for_each_amount_and_nothing_where_nothing_was(owner, client_of, measured):
    learned.methods()
    measured(row("dpo", 0.82, 32), row("dpo", 0.64))
    html = page(client_of(owner))
    said = re.findall(r"Won [^<]*", way(html, "dpo"))
    assert said == [
        "Won 0.64 [0.59, 0.69] with 8 messages compared; about 1 minute to learn. On 6 people.",
        "Won 0.82 [0.77, 0.87] with 32 messages compared; about 1 minute to learn. On 6 people.",
    ]
    assert "Not measured on enough people yet." in way(html, "steer")
    assert "Not measured" not in way(html, "dpo")


def test_what_won_because_it_left_the_question_says_so(owner, client_of, measured):
    learned.methods()
    measured(row("dpo", 0.82, perplexity_ratio=1.5))
    assert "But its answers left the question" in way(page(client_of(owner)), "dpo")


def test_methods_are_drawn_beside_each_other_where_they_had_as_much_feedback(owner, client_of, measured):
    register_methods()
    thumbs = [row(name, 0.6, n, "thumbs") for name in ("kto", "bco") for n in (8, 16)]
    pairs = [row("dpo", 0.64), row("ipo", 0.58), row("dpo", 0.82, 32)]
    measured(*pairs, *thumbs, row("sft", 0.55, data="edits"))
    found = kinds(page(client_of(owner)))
    assert "against the base model, with 8 messages compared</caption>" in found["From your comparisons"]
    assert re.findall(r'<th scope="row">(.*?)</th>', found["From your comparisons"]) == ["ipo", "dpo"]
    assert 'class="reference" x1="50.00%"' in found["From your comparisons"]
    assert "with 16 messages with thumbs</caption>" in found["From your thumbs"]
    assert "<table" not in found["From your edits"]  # one alone compares with nothing


def test_a_person_reads_how_much_they_gave_themselves(owner, other, client_of):
    register_methods()
    learned.ready(owner)
    found = kinds(page(client_of(owner)))
    assert "Yours so far: 8 messages rated." in found["From your ratings"]
    assert "Yours so far: 8 messages compared." in found["From your comparisons"]
    assert "Yours so far: 0 answers rewritten." in found["From your edits"]
    assert "You state no values yet." in found["From your comparisons and values"]
    new_version(owner, "message", system_message="Be brief.", system_edited=True)
    stated = kinds(page(client_of(owner)))["From your comparisons and values"]
    assert "Yours so far: 8 messages compared." in stated
    assert "Yours so far: 0 messages rated." in kinds(page(client_of(other)))["From your ratings"]


def test_more_methods_and_feedback_cost_no_more_queries(owner, client_of):
    learned.methods()
    learned.ready(owner, 1)
    client = client_of(owner)
    client.get(PAGE)
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get(PAGE)
    register_methods()
    learned.ready(owner)
    with CaptureQueriesContext(connection) as many:
        client.get(PAGE)
    assert len(many) == len(few) <= 15

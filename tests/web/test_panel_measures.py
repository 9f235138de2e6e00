"""Numbers over time: measured by the minute, caught up after a pause, rolled up without loss, and exposed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from alignapp.accounts.models import Person
from alignapp.adapters import acts
from alignapp.adapters.models import Artifact, Job, ReportCard
from alignapp.chat.models import Reply
from alignapp.panel import measures
from alignapp.panel.models import Measure, Worker
from alignapp.panel.pages.overview import GROUPS, overview_page
from tests.gates import gate
from tests.web import learned
from tests.web.operating import signed_in_with
from tests.web.rows import answered_turn, conversation_of

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def answered_at(owner, moment: datetime, *, ms: int = 200, tokens: int = 7) -> None:
    _turn, (reply,) = answered_turn(conversation_of(owner), "yes")
    Reply.objects.filter(pk=reply.pk).update(finished_at=moment, first_token_ms=ms, token_count=tokens)


def of(name: str, period: str = "minute") -> list[Measure]:
    return list(Measure.objects.filter(name=name, period=period))


def test_a_minute_is_measured_once_however_often_it_is_asked_for(owner):
    answered_at(owner, NOON - timedelta(seconds=40))
    for _ in range(3):
        measures.measure(NOON)
    assert [row.total for row in of("replies")] == [1]
    assert [row.total for row in of("tokens")] == [7]
    assert [row.total for row in of("people")] == [1]


def test_levels_take_counts_of_whole_tables_from_the_last_minute_and_count_what_moves(
    owner, django_assert_max_num_queries
):
    assert measures.levels(NOON)["people"] == 1  # nothing was measured yet
    measures.measure(NOON)
    assert set(measures.levels(NOON)) == set(Measure.objects.values_list("name", flat=True)) - {
        *measures.COUNTED,
        measures.FIRST_TOKEN,
    }
    Person.objects.create_user("late@example.org")
    Job.objects.create(person=owner, method="dpo")
    soon = NOON + timedelta(minutes=2)
    with django_assert_max_num_queries(6):
        now = measures.levels(soon)
    assert (now["people"], now["jobs_queued"]) == (1, 1)
    assert now["oldest_job_seconds"] != 0
    assert measures.levels(NOON + timedelta(hours=1))["people"] == 2  # the housekeeping stands still
    measures.measure(soon)
    assert measures.levels(soon)["people"] == 2


def test_what_ended_while_nobody_measured_is_caught_up(owner):
    measures.measure(NOON)
    for minutes in (1, 5, 9):
        answered_at(owner, NOON + timedelta(minutes=minutes))
    measures.measure(NOON + timedelta(minutes=10))
    assert sum(row.total for row in of("replies")) == 3
    assert len(of("replies")) == 11


def test_hours_and_days_hold_what_their_minutes_did(owner):
    measures.measure(NOON)
    for minutes in (1, 2, 70, 90):
        answered_at(owner, NOON + timedelta(minutes=minutes), ms=minutes)
    for hour in range(1, 14):
        measures.measure(NOON + timedelta(hours=hour))
    assert [row.total for row in of("replies", "hour")][:4] == [0, 2, 2, 0]
    (day,) = of("replies", "day")
    assert day.total == 4
    assert sum(of(measures.FIRST_TOKEN, "day")[0].histogram.values()) == 4


def test_totals_count_everything_once_over_the_periods(owner):
    for minutes in (0, 50, 61, 800):
        answered_at(owner, NOON + timedelta(minutes=minutes))
        measures.measure(NOON + timedelta(minutes=minutes + 1))
    measures.measure(NOON + timedelta(minutes=802))
    assert measures.totals()["replies"].total == 4


def test_the_gate_refused_what_it_objects_to_also_when_it_is_proven_again(owner, settings, tmp_path):
    settings.ARTIFACT_DIR = tmp_path / "artifacts"
    learned.methods()
    kept, suspected = learned.artifact(owner), learned.artifact(owner)
    acts.quarantine("terminal", suspected, "three complaints")  # by an operator, not by the gate
    ReportCard.objects.update(proved_at=NOON - timedelta(seconds=40))
    measures.measure(NOON)
    assert [row.total for row in of("gate_failures")] == [0]
    unsafe = learned.results() | {"safety": gate(0.5, 0.2, 0.9, 0.9).as_dict()}
    kept.judge(proven=False, verdict="Not safe.", results=unsafe)
    ReportCard.objects.filter(artifact=kept).update(proved_at=NOON + timedelta(seconds=5))
    measures.measure(NOON + timedelta(minutes=1))
    assert [row.total for row in of("gate_failures")] == [0, 1]


@given(st.lists(st.integers(1, 100_000), min_size=1), st.floats(0.05, 1.0))
def test_a_quantile_is_right_within_its_bucket(values, share):
    histogram = Counter(str(measures.bisect.bisect_left(measures.EDGES, value)) for value in values)
    place = max(-(-share * len(values) // 1), 1)
    exact = sorted(values)[int(place) - 1]
    found = measures.quantile(histogram, share)
    assert exact / 1.3 - 10 <= found <= exact * 1.3 + 10


def test_an_empty_histogram_has_no_quantile():
    assert measures.quantile({}, 0.95) is None


def test_the_overview_costs_the_same_however_much_was_measured(owner, django_assert_max_num_queries):
    client = signed_in_with("auditor", owner)
    now = datetime.now(UTC)
    Worker.beat("training@here", queues=["train"], pid=1, started_at=now, device="cpu", memory_bytes=5)
    for name in ("replies", "tokens", "people"):
        Measure.objects.bulk_create(
            Measure(name=name, period="minute", at=now - timedelta(minutes=i), total=i, most=i)
            for i in range(59)
        )
    with django_assert_max_num_queries(12):
        page = client.get(reverse("panel:overview")).content.decode()
    assert "training@here" in page
    assert "No living worker takes from the queue “generate”" in page
    assert "No living worker takes from the queue “evaluate”" in page  # it would compare and check
    assert "Tokens a second" in page


def test_an_outage_is_a_gap_in_the_trends_and_no_slope(owner):
    now = timezone.now()
    answered_at(owner, now - timedelta(minutes=12))
    for minutes in (40, 39, 38, 12, 11, 10):
        measures.measure(now - timedelta(minutes=minutes))
    curves = {curve.title: curve for _title, group in overview_page("hour")["groups"] for curve in group}
    people, answers = curves["People"], curves["Answers a second"]
    assert people.path.count("M") == 2
    waits = curves["First token, p95, s"]  # one answer alone, on the same minutes as everything else
    assert waits.x_ticks == people.x_ticks
    assert people.last_words.startswith("1, at \N{MINUS SIGN}1")
    assert people.x_ticks[-1].words == "\N{MINUS SIGN}1 min"  # what is missing up to now is room, not cut off
    assert answers.path.count("M") == 1  # what ended meanwhile was caught up
    assert "at \N{MINUS SIGN}1" in answers.last_words


def test_every_number_that_is_measured_has_its_trend():
    shown = {figure.name for _title, figures in GROUPS for figure in figures}
    measures.measure(NOON)
    measured = set(Measure.objects.values_list("name", flat=True))
    # Jobs that ended are told by the minute in which they did, not as how many there are.
    assert measured - shown == {f"jobs_{state}" for state in Job.ENDED}
    assert {f"artifacts_{state}" for state in Artifact.State.values} < shown


def test_the_numbers_go_to_whoever_shows_the_token(settings, owner):
    answered_at(owner, NOON - timedelta(seconds=40))
    measures.measure(NOON)
    assert "alignapp_replies_total 1.0" in Client().get("/metrics").content.decode()
    settings.METRICS_TOKEN = "secret"
    assert Client().get("/metrics").status_code == 401
    shown = Client().get("/metrics", headers={"Authorization": "Bearer secret"}).content.decode()
    assert 'alignapp_first_token_seconds_bucket{le="+Inf"} 1.0' in shown
    settings.METRICS_TOKEN, settings.HTTPS = "", True
    assert Client().get("/metrics").status_code == 401


def test_readiness_names_what_is_missing():
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["train"] == "no worker"
    Worker.beat("all@here", queues=["generate", "train", "housekeeping"], pid=1, started_at=NOON)
    assert Client().get("/readyz").status_code == 200
    Worker.objects.update(seen_at=NOON)
    assert Client().get("/readyz").status_code == 503

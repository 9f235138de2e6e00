"""A campaign's page names whose new version helps, by versions that people judged, and says what it takes."""

from __future__ import annotations

import copy
import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from alignapp.accounts.models import Person
from alignapp.adapters.models import Artifact, Judgement
from alignapp.campaigns import guarantee
from alignapp.campaigns.guarantee import FEWEST_JUDGED, guaranteed, kept
from alignapp.campaigns.models import Campaign, Enrolment
from alignapp.campaigns.outcomes import keep_up
from tests.web import learned
from tests.web.operating import signed_in_with

pytestmark = pytest.mark.django_db
Of = Enrolment.State


@pytest.fixture(autouse=True)
def surroundings(settings, tmp_path):
    settings.ARTIFACT_DIR = tmp_path / "artifacts"
    learned.methods()


def version(name: str, rate: float) -> Artifact:
    """Return somebody's version with this held-out win rate."""
    card = copy.deepcopy(learned.results())
    card["accuracy"]["artifact"] |= {"value": rate, "low": rate - 0.1}
    return learned.artifact(Person.objects.create(email=f"{name}@example.org"), card=card)


def judge(artifact: Artifact, *, helps: bool, times: int = FEWEST_JUDGED) -> None:
    answer = Judgement.Answer.ARTIFACT if helps else Judgement.Answer.BASE
    Judgement.objects.bulk_create(
        Judgement(artifact=artifact, position=i, answer=answer, artifact_first=True) for i in range(times)
    )


def campaign(**states: tuple[str, float]) -> Campaign:
    """Return a campaign whose people got through so, with versions of these win rates."""
    made = Campaign.objects.create(name="Anew", method="dpo", started_by="terminal")
    for name, (state, rate) in states.items():
        artifact = version(name, rate)
        rates = {"after": rate, "after_low": rate - 0.1}
        made.enrolments.create(person=artifact.person, state=state, job=artifact.job, wave=1, **rates)
    return made


def test_who_scores_as_versions_that_helped_is_named_and_no_other():
    for i in range(10):
        judge(version(f"known{i}", 0.8 if i % 2 else 0.45), helps=bool(i % 2))
    judge(version("few", 0.9), helps=False, times=FEWEST_JUDGED - 1)  # too few to know
    made = campaign(
        anna=(Of.MOVED, 0.85), bert=(Of.READY, 0.82), carl=(Of.NOT_PROVEN, 0.4), dora=(Of.REFUSED, 0.9)
    )
    found = guaranteed(made)
    assert (found.candidates, found.known, found.helped) == (3, 10, 5)
    assert {row.person.email for row in found.named} == {"anna@example.org", "bert@example.org"}


def test_a_campaigns_own_versions_and_other_kinds_do_not_count_as_known():
    made = campaign(anna=(Of.MOVED, 0.85))
    judge(made.enrolments.get().job.artifact, helps=True)
    other = version("vector", 0.8)
    Artifact.objects.filter(pk=other.pk).update(kind="vector")
    judge(other, helps=True)
    found = guaranteed(made)
    assert (found.known, found.is_told, found.named) == (0, False, [])


def test_a_version_that_was_deleted_since_is_named_no_more():
    for i in range(10):
        judge(version(f"known{i}", 0.8 if i % 2 else 0.45), helps=bool(i % 2))
    made = campaign(anna=(Of.MOVED, 0.85), bert=(Of.READY, 0.86))
    gone = made.enrolments.get(person__email="anna@example.org")
    gone.job.artifact.delete()
    found = guaranteed(made)
    assert ([row.person.email for row in found.named], found.candidates) == (["bert@example.org"], 1)


def test_the_page_says_who_or_what_it_takes_and_tells_no_address(django_assert_max_num_queries):
    operator = signed_in_with("operator", Person.objects.create_user("op@example.org", "a long pass phrase"))
    made = campaign(anna=(Of.MOVED, 0.85), bert=(Of.LOST, 0.3))
    url = reverse("panel:campaign", args=[made.pk])
    assert "at least 4 other versions" in operator.get(url).content.decode()
    for i in range(10):
        judge(version(f"known{i}", 0.8 if i % 2 else 0.45), helps=bool(i % 2))
    with django_assert_max_num_queries(5):
        (named,) = guaranteed(made).named
    first = guaranteed(made, 0)
    assert (first.named, first.promoted, first.candidates) == ([], 1, 2)
    page = operator.get(url).content.decode()
    assert "Of 2 new versions that passed the safety gate, 1 can be said to help its person." in page
    section = page[page.index('id="guarantee"') :]
    assert section.count(named.person.pseudonym) == 1
    assert "anna@example.org" not in page


def test_it_is_worked_out_once_until_an_outcome_a_version_or_a_judgement_is_another(monkeypatch):
    known = [version(f"known{i}", 0.8 if i % 2 else 0.45) for i in range(10)]
    for i, one in enumerate(known):
        judge(one, helps=bool(i % 2))
    made = campaign(anna=(Of.MOVED, 0.85), bert=(Of.READY, 0.86))
    first = kept(made)
    assert (first.promoted, first.known) == (2, 10)
    made.refresh_from_db()
    monkeypatch.setattr(guarantee, "guaranteed", None)
    assert kept(made) == first
    monkeypatch.undo()
    judge(version("another", 0.9), helps=True)
    assert kept(made).known == 11
    made.enrolments.get(person__email="anna@example.org").job.artifact.delete()
    assert [row.person.email for row in kept(made).named] == ["bert@example.org"]
    made.enrolments.filter(person__email="bert@example.org").update(state=Of.LOST, after=0.3)
    assert kept(made).promoted == 0


def test_it_is_worked_out_anew_when_a_known_version_is_proven_again():
    known = [version(f"known{i}", 0.8 if i % 2 else 0.45) for i in range(10)]
    for i, one in enumerate(known):
        judge(one, helps=bool(i % 2))
    made = campaign(anna=(Of.MOVED, 0.85))
    assert kept(made).promoted == 1
    for one in known[::2]:  # those that do not help score now as those that do
        results = copy.deepcopy(one.report_card.results)
        results["accuracy"]["artifact"]["value"] = results["accuracy"]["artifact"]["low"] = 0.9
        one.judge(proven=True, verdict="Proven.", results=results)
    made.refresh_from_db()
    assert kept(made).promoted == 0


def test_it_is_worked_out_anew_when_a_version_of_the_campaign_is_proven_again():
    for i in range(10):
        judge(version(f"known{i}", 0.8 if i % 2 else 0.45), helps=bool(i % 2))
    made = campaign(anna=(Of.MOVED, 0.85))
    assert kept(made).promoted == 1
    hers = made.enrolments.get().job.artifact
    made.enrolments.update(settled_at=timezone.now())
    results = copy.deepcopy(hers.report_card.results)
    results["accuracy"]["artifact"] |= {"value": 0.3, "low": 0.2}
    hers.judge(proven=False, verdict="Not proven.", results=results)
    keep_up(hers)
    made.refresh_from_db()
    assert (kept(made).promoted, made.enrolments.get().after) == (0, 0.3)


def test_the_page_lists_the_first_ones_and_the_terminal_all(monkeypatch):
    for i in range(10):
        judge(version(f"known{i}", 0.8 if i % 2 else 0.45), helps=bool(i % 2))
    made = campaign(anna=(Of.MOVED, 0.85), bert=(Of.READY, 0.86), carl=(Of.LOST, 0.3))
    monkeypatch.setattr("alignapp.campaigns.guarantee.NAMED", 1)
    operator = signed_in_with("operator", Person.objects.create_user("op@example.org", "a long pass phrase"))
    page = operator.get(reverse("panel:campaign", args=[made.pk])).content.decode()
    section = page[page.index('id="guarantee"') :]
    assert "Of 3 new versions that passed the safety gate, 2 can be said to help their people." in section
    assert "These are the first 1." in section
    out = StringIO()
    call_command("campaigns", "helped", str(made.pk)[:8], "--json", stdout=out)
    told = json.loads(out.getvalue())
    helped = made.enrolments.exclude(state=Of.LOST).values_list("person__pseudonym", flat=True)
    assert (set(told.pop("people")), told) == (set(helped), {"candidates": 3, "known": 10, "level": 0.2})
    call_command("campaigns", "helped", str(made.pk), stdout=out)
    assert "2 of 3 new versions can be said to help" in out.getvalue()

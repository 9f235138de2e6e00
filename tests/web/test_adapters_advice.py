"""What to learn with: the page preselects what pays, says why in a sentence, and says no without evidence."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from alignapp.accounts.consent import give_consent, withdraw_consent
from alignapp.adapters import advice, services
from alignapp.adapters.models import Job, Judgement, MethodInfo
from alignapp.chat.models import Conversation, Turn
from alignapp.feedback.models import Feedback
from alignapp.feedback.services import record_feedback
from alignapp.instant.models import InstantChoice
from personalization.adviser import Measured
from personalization.beliefs import LEAST_PEOPLE
from personalization.statistics import Estimate
from tests.web import learned
from tests.web.operating import signed_in_with
from tests.web.rows import answered_turn

pytestmark = pytest.mark.django_db


def row(method: str, wins: float, amount: int = 8, seconds: float = 181.0, data: str = "ratings") -> Measured:
    """People differ by 0.1, alike in every method but for 0.08 of the adapter's: as they were measured to."""
    own = 0.08 if method == "dpo" else 0.0
    people = {f"p{i}": wins + 0.03 * (i - 5.5) + own * (-1) ** (i // 2) for i in range(12)}
    return Measured(method, data, amount, Estimate(wins, 864, wins - 0.05, wins + 0.05), seconds, people)


@pytest.fixture(autouse=True)
def measured(monkeypatch, settings, tmp_path) -> None:
    settings.ARTIFACT_DIR = tmp_path / "artifacts"
    rows = (row("instant", 0.70, 4, 0.0), row("instant", 0.78, seconds=0.0), row("dpo", 0.82))
    monkeypatch.setattr(advice, "table", lambda: rows)
    learned.methods()


def section(client) -> str:
    html = client.get("/alignment/").content.decode()
    found = re.search(r'id="advice">.*?</details>|id="advice">.*?</div>', html, re.DOTALL)
    return re.sub(r"\s+", " ", found[0]) if found else ""


def card(share: float, half: float = 0.08) -> dict:
    accuracy = {"artifact": learned.estimate(share, share - half, share + half)}
    return {**learned.results(), "accuracy": accuracy}


def test_somebody_new_reads_no_advice(owner, client_of):
    assert section(client_of(owner)) == ""


def test_the_choice_is_preselected_and_the_sentence_says_why(owner, client_of):
    learned.ready(owner)
    learned.follows_ratings(owner)
    shown = section(client_of(owner))
    assert (
        "8 messages rated; with as many, an adapter from your comparisons won 0.82 of new comparisons with "
        "the base model, the vector that follows your ratings 0.78: training takes about 3 minutes."
    ) in shown
    assert re.search(r'value="dpo" required checked', shown)
    assert re.search(r'value="steer" required >', shown)
    assert "Not measured yet." in shown
    assert "simulated people with" in shown
    client_of(owner).post("/alignment/jobs/start", {"method": "dpo"})
    assert Job.objects.get().method == "dpo"
    learning = section(client_of(owner))
    assert "advised when what is being learned now is done" in learning
    assert 'value="dpo"' not in learning
    assert 'value="steer"' in learning


def test_too_few_messages_are_no_evidence(owner, client_of):
    learned.ready(owner, conversations=6)
    learned.follows_ratings(owner)
    shown = section(client_of(owner))
    assert "Too early to tell: an adapter from your comparisons was measured with 8 messages rated" in shown
    assert "at least, you have 6." in shown
    assert "checked" not in shown
    assert 'value="dpo"' in shown  # it can be chosen all the same


def test_what_was_not_measured_for_a_kind_of_feedback_is_said(owner, client_of):
    give_consent(owner)
    for _ in range(8):
        turn, (a, _b, _c) = answered_turn(Conversation.objects.create(person=owner), "one", "two", "three")
        record_feedback(owner, turn, Feedback.Kind.PICK, reply=a)
    shown = section(client_of(owner))
    assert "No advice: nothing that could be learned from your comparisons was measured yet." in shown
    assert "checked" not in shown


def test_a_persons_own_results_can_say_that_nothing_beats_what_they_have(owner, client_of):
    learned.ready(owner)
    learned.follows_ratings(owner)
    learned.artifact(owner, card=card(0.42), proven=False)
    artifact = learned.artifact(owner, card=card(0.45), proven=False)
    answers = [Judgement.Answer.BASE] * 10 + [Judgement.Answer.ALIKE] * 2
    for position, answer in enumerate(answers):
        Judgement.objects.create(artifact=artifact, position=position, answer=answer, artifact_first=True)
    shown = section(client_of(owner))
    assert "Nothing beats what you have: 8 messages rated; with as many, an adapter" in shown
    assert "3 results of your own count too." in shown
    assert "checked" not in shown


def test_other_peoples_results_count_from_five_on_and_while_they_agree(owner, client_of, django_user_model):
    learned.ready(owner)
    learned.follows_ratings(owner)
    people = [django_user_model.objects.create_user(f"p{i}@example.org") for i in range(LEAST_PEOPLE)]
    for person in people:
        give_consent(person)
        learned.artifact(person, card=card(0.25, 0.05), proven=False)
    told = "What 5 other people&#x27;s held-out comparisons showed counts too."
    assert told in section(client_of(owner))
    withdraw_consent(people[0])
    learned.artifact(people[1], "steer", card=card(0.25, 0.05))
    assert "other people" not in section(client_of(owner))


def test_what_acts_is_compared_with(owner, client_of):
    learned.ready(owner)
    learned.follows_ratings(owner)
    services.switch_on(owner, learned.artifact(owner))
    assert advice.acting(owner, services.current_alignment(owner)) == "dpo"
    owner.instant_choice.delete() if hasattr(owner, "instant_choice") else None
    services.switch(owner, change="off", adapter=None)
    assert advice.acting(owner, services.current_alignment(owner)) == "instant"
    services.switch_on(owner, learned.artifact(owner, "steer"))
    assert advice.acting(owner, services.current_alignment(owner)) == "steer"
    assert "what acts for you now was not measured" in section(client_of(owner))


def test_where_the_adapter_acts_and_nothing_else_was_measured_nothing_beats_it(owner, client_of):
    learned.ready(owner)
    services.switch_on(owner, learned.artifact(owner))
    shown = section(client_of(owner))
    assert (
        "Nothing beats what you have, as far as was measured: with 8 messages rated, an adapter from your "
        "comparisons won 0.82 of new comparisons with the base model"
    ) in shown
    assert "checked" not in shown


def test_what_hardly_acts_does_not_count_as_what_was_measured_at_full_strength(owner):
    learned.follows_ratings(owner)
    services.switch_on(owner, learned.artifact(owner))
    choice = InstantChoice.of(owner)
    choice.beside = True
    choice.save()
    assert advice.acting(owner, services.current_alignment(owner)) == "dpo"  # three tenths beside it
    services.switch(owner, change="weaker", adapter_strength=0.4)
    assert advice.acting(owner, services.current_alignment(owner)) is None


def test_what_cannot_be_started_yet_is_not_advised(owner, client_of):
    learned.ready(owner, conversations=1)
    learned.follows_ratings(owner)
    shown = section(client_of(owner))
    assert "Too early to learn. " in shown
    assert "are needed." in shown
    assert "checked" not in shown


def test_results_of_methods_that_were_not_measured_do_not_count(owner, client_of):
    learned.ready(owner)
    learned.artifact(owner, "steer", card=card(0.6))
    assert "of your own" not in section(client_of(owner))


def test_what_takes_longer_here_than_is_advised_is_said(owner, client_of, settings):
    learned.ready(owner)
    learned.follows_ratings(owner)
    now = timezone.now()
    for _ in range(advice.LEAST_JOBS):
        Job.objects.create(
            person=owner, method="dpo", state="done", started_at=now - timedelta(minutes=20),
            finished_at=now,
        )  # fmt: skip
    assert "It would take about 20 minutes, longer than is advised here." in section(client_of(owner))
    settings.ADVICE_SECONDS = 3600
    assert "training takes about 20 minutes" in section(client_of(owner))


def test_what_was_said_of_answers_counts_beside_what_was_compared(owner, client_of, monkeypatch):
    learned.ready(owner)
    MethodInfo.objects.create(
        name="ilf", data="critiques", produces="adapter", summary="ilf.", paper="p", parameters={}
    )
    rows = (*advice.table(), row("ilf", 0.90, data="critiques"))
    monkeypatch.setattr(advice, "table", lambda: rows)
    assert 'value="dpo" required checked' in section(client_of(owner))
    for turn in Turn.objects.filter(conversation__person=owner):
        reply = turn.replies.first()
        record_feedback(owner, turn, Feedback.Kind.CRITIQUE, reply=reply, text="Too long, please shorten it.")
    shown = section(client_of(owner))
    assert "8 messages compared and said something of; with as many, " in shown
    assert 'value="ilf" required checked' in shown


def test_what_is_switched_off_is_not_advised(owner, client_of):
    learned.ready(owner)
    learned.follows_ratings(owner)
    MethodInfo.objects.filter(name="dpo").update(enabled=False)
    shown = section(client_of(owner))
    assert "nothing else that you can choose was measured" in shown
    assert 'value="dpo"' not in shown
    MethodInfo.objects.filter(produces__in=("adapter", "vector")).update(enabled=False)
    assert "no way to learn from your feedback is switched on here" in section(client_of(owner))


def test_operators_read_what_is_known_of_methods_and_what_a_person_is_told(owner, other):
    learned.ready(owner)
    learned.follows_ratings(owner)
    learned.artifact(owner, card=card(0.6))
    operator = signed_in_with("operator", other)
    html = operator.get("/operate/methods/").content.decode()
    assert "0.82 [0.77, 0.87]" in html
    assert "8 messages rated" in html
    assert re.search(r"0\.82 ± 0\.1\d", html)
    assert "Adapter from your comparisons" in html
    page = operator.get(f"/operate/people/{owner.pk}/").content.decode()
    assert "an adapter from your comparisons" not in page  # worked out only for whoever asks
    (asks,) = re.findall(r'href="(\?advice=1)"', page)
    told = operator.get(f"/operate/people/{owner.pk}/{asks}").content.decode()
    assert "an adapter from your comparisons" in told

"""What loses in blind comparisons is taken back once, for a reason; nothing else is; one click undoes it."""

from __future__ import annotations

import pytest
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alignapp.accounts.models import Person
from alignapp.adapters import acts, dispatch, duels, live, options, services
from alignapp.adapters.aliases import active_ids
from alignapp.adapters.models import Artifact, LiveAlarm
from alignapp.audit.models import AuditEvent
from alignapp.chat.models import Conversation, Reply
from alignapp.feedback.models import Feedback
from alignapp.feedback.services import record_feedback
from personalization.errors import AlignError
from personalization.sequential import capital_below
from tests.web import learned
from tests.web.operating import signed_in_with
from tests.web.rows import answered_turn
from workers import queues
from workers.tasks.live import look_at_live

pytestmark = pytest.mark.django_db


def on(person: Person, **fields) -> Artifact:
    """Return a new proven artifact that is switched on."""
    artifact = learned.artifact(person, **fields)
    services.switch_on(person, artifact, accept_unproven=True)
    return artifact


def compared(person: Person, outcome: float, *, blind: bool = True, others: int = 1) -> None:
    """Show an aligned answer beside one or two without, and judge: 1 it wins, 0 it loses, 0.5 alike."""
    names = ["plain", "mine", "other"][: 1 + others]
    turn, replies = answered_turn(Conversation.objects.create(person=person), *names)
    version = services.current_alignment(person)
    parts = [getattr(version, part) for part in ("adapter", "vector", "personality", "values")]
    Reply.objects.filter(pk=replies[1].pk).update(
        maker=Reply.Maker.ALIGNMENT,
        alignment_version=version,
        interventions=[{"artifact": str(a.pk), "digest": a.digest, "kind": a.kind} for a in parts if a],
    )
    if not blind:
        turn.reveal()
    scores = {1.0: (20, 80), 0.0: (80, 20), 0.5: (50, 50)}[outcome]
    for reply, score in zip(replies, (*scores, 1), strict=False):
        record_feedback(person, turn, Feedback.Kind.RATING, reply=reply, score=score)


def lose(person: Person, times: int = 7) -> None:
    for _ in range(times):
        compared(person, 0.0)


def test_what_loses_is_taken_back_for_the_one_before_with_the_numbers(owner):
    first, second = on(owner), on(owner)
    lose(owner, 6)
    assert live.look(owner) is None
    lose(owner, 1)
    alarm = live.look(owner)
    assert (alarm.artifact, alarm.back_to, alarm.rolled_back) == (second, first, True)
    assert active_ids({owner.pk}) == {first.pk}
    assert (alarm.evidence["n"], alarm.evidence["wins"]) == (7, 0)
    assert alarm.evidence["capital"] >= 20
    event = AuditEvent.objects.get(verb="artifact.rolled_back")
    assert event.actor_label == "system"
    assert "0 of 7 blind comparisons" in event.reason
    assert live.look(owner) is None
    assert LiveAlarm.objects.count() == 1


def test_without_a_version_before_the_base_model_answers(owner):
    on(owner)
    lose(owner)
    assert live.look(owner).back_to is None
    assert active_ids({owner.pk}) == set()
    assert live.live_of(owner) is None


def test_what_was_taken_back_does_not_come_back_for_another_that_falls(owner):
    first, second = on(owner), on(owner)
    lose(owner)
    live.look(owner)
    assert active_ids({owner.pk}) == {first.pk}
    lose(owner)
    alarm = live.look(owner)
    assert (alarm.artifact, alarm.back_to) == (first, None)  # the second one is `previous` and worse
    assert second.pk not in active_ids({owner.pk})


def test_one_click_undoes_it_at_the_old_strength_and_its_record_begins_anew(owner, other, client_of):
    artifact = on(owner)
    services.switch(owner, change="weaker", adapter_strength=0.4)
    lose(owner)
    alarm = live.look(owner)
    html = client_of(owner).get("/alignment/").content.decode()
    assert "was taken back by itself" in html
    assert "It won 0 of 7 comparisons" in html
    assert "by itself, <time" in html
    url = reverse("adapters:undo_alarm", args=[alarm.pk])
    assert client_of(other).post(url).status_code == 404
    assert "switched" in client_of(owner).post(url, follow=True).content.decode().lower()
    version = services.current_alignment(owner)
    assert (version.adapter, version.adapter_strength) == (artifact, 0.4)
    assert live.live_of(owner).outcomes == ()
    assert live.look(owner) is None
    with pytest.raises(AlignError, match="nothing to undo"):
        live.undo(owner, alarm)
    assert "was taken back by itself" not in client_of(owner).get("/alignment/").content.decode()


def test_a_notice_is_put_away_and_nothing_else_changes(owner, client_of):
    on(owner)
    lose(owner)
    alarm = live.look(owner)
    client_of(owner).post(reverse("adapters:read_alarm", args=[alarm.pk]))
    assert "was taken back by itself" not in client_of(owner).get("/alignment/").content.decode()
    assert active_ids({owner.pk}) == set()
    live.undo(owner, alarm)  # a notice that was put away can be undone all the same


def test_a_pinned_version_stays_on_and_person_and_operators_are_told(owner, client_of):
    artifact = on(owner)
    acts.pin("terminal", artifact, "an experiment")
    lose(owner)
    alarm = live.look(owner)
    assert not alarm.rolled_back
    assert active_ids({owner.pk}) == {artifact.pk}
    assert AuditEvent.objects.filter(verb="artifact.fell_pinned", subject=owner).exists()
    html = client_of(owner).get("/alignment/").content.decode()
    assert "loses in daily use" in html
    assert "Undo: switch" not in html
    operator = signed_in_with("operator", Person.objects.create_user("op@example.org", "a long pass phrase"))
    assert "1 alarm within a week" in operator.get(reverse("panel:adapters")).content.decode()
    assert "pinned, stays on" in operator.get(reverse("panel:live")).content.decode()
    page = operator.get(reverse("panel:adapter", args=[artifact.pk])).content.decode()
    assert "won 0 of 7" in page
    assert "You are told" not in page
    lose(owner)
    assert live.look(owner) is None  # told once
    with pytest.raises(AlignError):
        live.undo(owner, alarm)


def test_switched_off_it_looks_and_does_nothing(owner):
    artifact = on(owner)
    options.change("live.rollback", False, by="terminal", reason="a study")
    lose(owner)
    assert live.look(owner) is None
    assert active_ids({owner.pk}) == {artifact.pk}
    assert live.live_of(owner).has_fallen  # the record is kept
    options.change("live.rollback", None, by="terminal", reason="the study is over")
    assert live.look(owner) is not None


def test_the_level_is_the_operators(owner):
    on(owner)
    options.change("live.level", 0.001, by="terminal", reason="fewer false alarms")
    lose(owner, 10)
    assert live.look(owner) is None
    options.change("live.level", 0.1, by="terminal", reason="sooner")
    assert live.look(owner) is not None


def test_only_what_was_judged_blind_with_this_version_counts(owner):
    on(owner)
    lose(owner, 3)
    artifact = on(owner)
    compared(owner, 0.0, blind=False)
    turn, (a, _b) = answered_turn(Conversation.objects.create(person=owner), "one", "two")
    record_feedback(owner, turn, Feedback.Kind.PICK, reply=a)  # no aligned answer among them
    assert live.live_of(owner).outcomes == ()
    compared(owner, 1.0)
    compared(owner, 0.5)
    assert sorted(live.live_of(owner).outcomes) == [0.5, 1.0]
    services.switch(owner, change="weaker", adapter_strength=0.5)  # the same parts
    compared(owner, 0.0)
    assert sorted(live.live_of(owner).outcomes) == [0.0, 0.5, 1.0]
    assert live.live_of(owner).artifact == artifact


def test_a_turn_with_two_answers_without_it_is_one_comparison(owner):
    on(owner)
    compared(owner, 0.0, others=2)
    Reply.objects.filter(text="other").update(maker=Reply.Maker.BASE)
    assert live.live_of(owner).outcomes == (0.5,)  # it lost to one and won against the other


def test_a_judgement_that_may_still_change_does_not_count(owner):
    on(owner)
    compared(owner, 0.0)
    turn = Reply.objects.get(text="mine").turn
    type(turn).objects.filter(pk=turn.pk).update(revealed_at=None)
    assert live.live_of(owner).outcomes == ()


def test_of_several_parts_the_one_switched_on_last_is_taken_back(owner):
    adapter = on(owner)
    lose(owner, 3)
    vector = on(owner, method="steer")
    lose(owner)
    assert live.look(owner).artifact == vector
    assert active_ids({owner.pk}) == {adapter.pk}
    assert live.live_of(owner).outcomes == ()  # what was judged with the vector says nothing of the adapter


def test_fresh_answers_of_the_card_count_from_when_it_is_on(owner):
    fresh = [{"prompt": f"{i}?", "base": f"plain {i}", "artifact": f"mine {i}"} for i in range(9)]
    artifact = learned.artifact(owner, card={**learned.results(), "fresh": fresh})

    def judge(duel, *, wins):
        duels.judge(artifact, duel.position, "first" if duel.artifact_first == wins else "second")

    first, *rest = duels.waiting(artifact)
    judge(first, wins=True)
    services.switch_on(owner, artifact)
    for duel in rest:
        judge(duel, wins=False)
    assert live.live_of(owner).outcomes == (0.0,) * 8
    assert live.look(owner).artifact == artifact


def test_each_blind_judgement_wakes_the_housekeeping_which_looks(owner, django_capture_on_commit_callbacks):
    on(owner)
    before = dispatch.messages_by_queue()[queues.HOUSEKEEPING]
    with django_capture_on_commit_callbacks(execute=True):
        compared(owner, 0.0)
    assert dispatch.messages_by_queue()[queues.HOUSEKEEPING] == before + 1
    lose(owner, 6)
    look_at_live(str(owner.pk))
    assert LiveAlarm.objects.count() == 1
    look_at_live("00000000-0000-0000-0000-000000000000")  # somebody who left


def test_the_page_shows_the_running_record(owner, client_of):
    artifact = on(owner)
    html = client_of(owner).get("/alignment/").content.decode()
    assert f"Nothing was compared blind since {artifact} was switched on." in html
    compared(owner, 1.0)
    compared(owner, 0.0)
    html = client_of(owner).get("/alignment/").content.decode()
    assert "it won 1 of 2 blind comparisons" in html
    assert "Evidence that it does worse" in html


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0]), min_size=4, max_size=12))
def test_whatever_the_sequence_it_acts_exactly_when_the_evidence_says(owner, outcomes):
    artifact = on(owner)
    so_far: list[float] = []
    for outcome in outcomes:
        compared(owner, outcome)
        so_far.append(outcome)
        alarm = live.look(owner)
        assert (alarm is not None) == (capital_below(so_far, 0.5) >= 20)
        if alarm is not None:
            assert artifact.pk not in active_ids({owner.pk})
            break
        assert active_ids({owner.pk}) == {artifact.pk}
        assert live.live_of(owner).capital == pytest.approx(capital_below(so_far, 0.5))

"""Places: nobody too many, nobody too few, whatever people do and however many do it at once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alignapp.annotation.errors import Refused
from alignapp.annotation.models import Assignment, Item, Membership
from alignapp.annotation.services import answers, items, projects, queue, strategies
from tests.web.annotated import claimed, member_of, new_item, pick, project_of

pytestmark = pytest.mark.django_db
State = Assignment.State


def check_places(project) -> None:
    """See that each item's counter is what the rows say, and never above what is wanted."""
    for item in Item.objects.filter(project=project, purpose="ordinary"):
        held = item.assignments.filter(repeat_of=None, state__in=Assignment.TAKING).count()
        assert item.taken == held <= item.wanted


def do(act: str, members: list[Membership], rng: random.Random) -> None:
    """Let one of the members do one thing, if it can be done."""
    member = rng.choice(members)
    if act == "claim":
        queue.claim_next(member, rng=rng)
        return
    mine = list(Assignment.objects.for_person(member.person).select_related("item__project", "annotator"))
    if not mine:
        return
    one = rng.choice(mine)
    try:
        match act:
            case "submit":
                answers.submit(one, pick(one))
            case "draft":
                answers.save_draft(one, pick(one), number=one.draft_number)
            case "skip":
                queue.skip(one, "")
            case "flag":
                queue.flag(one, "It is broken.")
            case "lapse":
                Assignment.objects.filter(pk=one.pk).update(lease_until=timezone.now() - timedelta(days=1))
            case "reopen":
                queue.reopen(one)
            case "offer again":
                queue.offer_again(one)
    except Refused:
        pass


ACTS = ["claim", "claim", "submit", "draft", "skip", "flag", "lapse", "reopen", "offer again"]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(st.sampled_from(ACTS), max_size=30), seed=st.integers(0, 2**32), overlap=st.integers(1, 3)
)
def test_whatever_is_done_no_item_has_too_many_or_a_wrong_count(owner, acts, seed, overlap):
    with transaction.atomic():
        project = project_of(owner, count=3, overlap=overlap, repeat_share=0.3)
        members = [member_of(project, f"p{n}") for n in range(3)]
        rng = random.Random(seed)
        for act in acts:
            do(act, members, rng)
            check_places(project)
        transaction.set_rollback(True)


@pytest.mark.parametrize("strategy", ["random", "fill", "active"])
def test_every_item_is_judged_by_as_many_as_it_wants(owner, strategy):
    project = project_of(owner, count=8, overlap=2, strategy=strategy, repeat_share=0.2)
    members = [member_of(project, f"p{n}") for n in range(3)]
    for turn in range(40):
        found = queue.claim_next(members[turn % 3], rng=random.Random(turn))
        if found:
            answers.submit(found, pick(found))
    check_places(project)
    assert not project.items.exclude(taken=F("wanted")).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite lets one writer in at a time")
@pytest.mark.parametrize("strategy", ["random", "fill", "active"])
def test_twenty_annotators_at_once_leave_no_item_with_too_many_or_too_few(owner, strategy):
    project = project_of(owner, count=40, overlap=3, strategy=strategy)
    members = [member_of(project, f"p{n}") for n in range(20)]
    faults: list[BaseException] = []

    def annotate(member: Membership, start: threading.Barrier, *, skips: float) -> None:
        rng = random.Random(str(member.pk))
        try:
            start.wait()
            while found := queue.claim_next(member, rng=rng):
                if rng.random() < skips:
                    queue.skip(found, "Not mine.")
                else:
                    answers.submit(found, pick(found))
        except BaseException as error:
            faults.append(error)
        finally:
            connection.close()

    # Whoever has nothing left goes; what another one skips after that is for those who come back.
    for skips in (0.1, 0.0):
        start = threading.Barrier(len(members))
        threads = [
            threading.Thread(target=annotate, args=(member, start), kwargs={"skips": skips})
            for member in members
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert faults == []
    check_places(project)
    done = Assignment.objects.filter(state=State.SUBMITTED).values_list("item", "annotator")
    assert set(Counter(item for item, _ in done).values()) == {3}
    assert len(set(done)) == len(done) == 120


def test_one_person_gets_the_same_item_until_it_is_done(owner):
    project = project_of(owner, count=3)
    member = member_of(project, "a")
    first = claimed(member)
    assert claimed(member, 5) == first
    beside = queue.claim_next(member, besides=first.pk, rng=random.Random(1))
    assert beside not in (None, first)
    assert queue.claim_next(member, besides=first.pk) == beside


def test_a_lease_that_ran_out_frees_the_place_and_keeps_the_draft(owner):
    project = project_of(owner)
    one, two = member_of(project, "one"), member_of(project, "two")
    held = claimed(one)
    answers.save_draft(held, pick(held), number=0)
    assert queue.claim_next(two) is None
    Assignment.objects.filter(pk=held.pk).update(lease_until=timezone.now())
    taken = claimed(two)
    held.refresh_from_db()
    assert held.state == State.DISCARDED
    assert held.draft == pick(held)
    with pytest.raises(Refused, match="Others have judged this item meanwhile"):
        answers.submit(held, pick(held))
    queue.skip(taken, "")
    answers.submit(held, pick(held))
    check_places(project)
    assert Assignment.objects.get(pk=held.pk).state == State.SUBMITTED


def test_more_overlap_asks_more_and_less_takes_nothing_away(owner):
    project = project_of(owner, count=2, overlap=2)
    member = member_of(project, "a")
    answers.submit(found := claimed(member), pick(found))
    for overlap, wanted in ((3, {3}), (1, {1})):
        project.overlap = overlap
        projects.change_project(project)
        assert set(project.items.values_list("wanted", flat=True)) == wanted
    check_places(project)


def test_the_double_coded_share_is_met_and_stays_the_same(owner):
    project = project_of(owner, count=0, double_share=0.25)
    items.add_items(project, (new_item(str(n), 1) for n in range(1200)))
    assert 240 <= project.items.filter(wanted=2).count() <= 360
    assert items.add_items(project, [new_item("7", 1)]) == items.Added(new=0, known=1)


def test_hidden_repeats_and_gold_come_among_others_and_take_no_place(owner):
    project = project_of(owner, count=60, repeat_share=0.3, gold_share=0.3)
    gold = [new_item(f"gold {n}", purpose="gold", expected={"pick-1-of-n": {"best": [0]}}) for n in range(3)]
    items.add_items(project, gold)
    member = member_of(project, "a")
    rng = random.Random(2)
    while found := queue.claim_next(member, rng=rng):
        answers.submit(found, pick(found))
    mine = Assignment.objects.for_person(member.person)
    assert mine.filter(item__purpose="gold").count() == 3
    repeats = mine.exclude(repeat_of=None)
    assert repeats.count() >= 8
    assert all(one.repeat_of.item_id == one.item_id for one in repeats)
    hidden = [*repeats, *mine.filter(item__purpose="gold")]
    assert {one.reason for one in hidden} == {"Chosen at random."}  # as ordinary ones may read
    assert mine.filter(repeat_of=None, item__purpose="ordinary").count() == 60
    check_places(project)


def test_people_get_items_in_the_languages_in_which_they_judge(owner):
    project = project_of(owner, languages=["en", "de", "fr"], overlap=2, gold_share=1.0)
    items.add_items(project, [new_item(f"in {code}", language=code) for code in ("en", "de-AT", "DE", "fr")])
    expected = {"pick-1-of-n": {"best": [0]}}
    items.add_items(project, [new_item("gold", language="fr", purpose="gold", expected=expected)])
    reads, everything = member_of(project, "reads"), member_of(project, "everything")
    projects.agree(reads, may_train=False, languages=["de", "tlh"])
    projects.agree(everything, may_train=False, languages=["fr", "de", "en"])
    assert (reads.languages, everything.languages) == (["de"], [])
    got = {}
    for member in (reads, everything):
        while found := queue.claim_next(member):
            got.setdefault(member, set()).add(found.item.key)
            answers.submit(found, pick(found))
    assert got[reads] == {"item 0", "in de-AT", "in DE"}
    assert got[everything] == {*got[reads], "in en", "in fr", "gold"}
    reads.project.languages = ["en", "fr"]  # what they chose is gone, so it chooses nothing any more
    assert queue.claim_next(reads).item.key in {"in en", "in fr", "gold"}


def test_the_order_is_random_stored_and_the_same_at_every_look(owner):
    project = project_of(owner, count=40)
    member = member_of(project, "a")
    orders = []
    for seed in range(40):
        found = claimed(member, seed)
        assert [str(c.id) for c in Assignment.objects.get(pk=found.pk).candidates()] == found.order
        orders.append([c.position for c in found.candidates()])
        answers.submit(found, pick(found))
    assert 8 <= sum(order == [0, 1] for order in orders) <= 32  # outside once in 10,000 times


def test_active_asks_for_the_makers_least_compared_and_says_so_without_names(owner, monkeypatch):
    monkeypatch.setattr(strategies, "EXPLORED", 0)
    project = project_of(owner, count=12, candidates=3, strategy="active", candidates_shown=2)
    member = member_of(project, "a")
    pairs = Counter()
    for seed in range(12):
        found = claimed(member, seed)
        assert len(found.order) == 2
        assert "least certain" in found.reason
        assert "model-m0" not in found.reason
        pairs[frozenset(c.maker for c in found.candidates())] += 1
        best = min(range(2), key=lambda at: found.candidates()[at].maker)
        answers.submit(found, pick(found, best))
    assert sorted(pairs.values()) == [4, 4, 4]
    assert strategies.variance(5, 5) > strategies.variance(10, 0)


def test_a_closed_project_and_a_member_who_did_not_agree_get_nothing(owner):
    project = project_of(owner)
    member = member_of(project, "a")
    project.consent_text = "Something new."
    project.save()
    member = Membership.objects.select_related("project", "person").get(pk=member.pk)
    with pytest.raises(Refused, match="agree"):
        queue.claim_next(member)
    projects.agree(member, may_train=False)
    member.project.is_open = False
    with pytest.raises(Refused, match="closed"):
        queue.claim_next(member)

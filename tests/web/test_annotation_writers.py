"""Whose models write a project's answers: who lends theirs, and for as long as they do."""

from __future__ import annotations

import pytest
from django.urls import reverse

from alignapp.adapters.models import KnownModel
from alignapp.annotation.models import Candidate
from alignapp.annotation.services import generation, items, projects, writers
from alignapp.chat.models import Reply
from alignapp.profiles.models import ProfileVersion
from alignapp.profiles.services import new_version
from tests.web.annotated import member_of, new_item, project_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def member(owner):
    """Somebody who states a value and lends their model to a project."""
    member = member_of(project_of(owner, count=0), "ann")
    own = [{"text": "Secret brevity.", "importance": 5}]
    new_version(member.person, ProfileVersion.Section.VALUES, values={"chosen": [], "own": own})
    projects.agree(member, may_train=False, lends=True)
    return member


def write(project) -> list[Candidate]:
    """Add an item without answers and let them be written, by a hand that stands for a worker."""
    items.add_items(project, [new_item(f"bare {project.items.count()}", 0)])
    generation.go_on(project)
    Reply.objects.update(status=Reply.Status.DONE, text="Short.", model_revision="rev")
    return list(Candidate.objects.filter(reply__isnull=False).select_related("reply__turn__conversation"))


def test_nobodys_model_is_offered_who_does_not_lend_it_the_owners_neither(owner, member):
    project = member.project
    keys = [one.key for one in writers.offered(project)]
    assert keys == ["base", f"system_message:{member.pk}", f"alignment:{member.pk}"]
    projects.agree(member, may_train=True)
    assert [one.key for one in writers.offered(project)] == ["base"]


def test_writers_take_turns_each_in_a_conversation_of_their_own(owner, member):
    project = member.project
    project.writers, project.generated = ["base", f"system_message:{member.pk}"], 3
    project.save()
    made = write(project)
    assert [one.reply.maker for one in made] == ["base", "system_message", "base"]
    assert [one.reply.turn.conversation.person for one in made] == [owner, member.person, owner]
    assert "Secret brevity." in made[1].reply.system_message
    KnownModel.objects.create(name="Small-1B", revision="rev", spec="embedded", added_by="worker")
    generation.go_on(project)
    kept = list(project.items.get().candidates.all())
    assert [one.maker for one in kept][::2] == ["Small-1B", "Small-1B"]  # no hash where it has a name
    assert kept[1].maker.startswith("system_message of p-")
    assert "Secret" not in str([one.composition for one in kept])
    assert not member.person.conversations.exists()


def test_who_takes_it_back_or_leaves_writes_no_more(owner, member):
    project = member.project
    project.writers, project.generated = [f"alignment:{member.pk}"], 2
    project.save()
    write(project)
    projects.agree(member, may_train=False)
    generation.go_on(project)
    assert not project.items.get().is_ready  # what was written meanwhile is not taken
    assert not Candidate.objects.exclude(text="").exists()
    generation.go_on(project)
    assert {one.maker for one in Reply.objects.all()} == {"base"}


def test_the_settings_offer_lenders_and_keep_what_was_chosen(owner, member, client_of):
    project, client = member.project, client_of(owner)
    page = reverse("annotation:settings", args=[project.id])
    text = client.get(page).content.decode()
    assert f"the model of {member.person}, as it is switched on" in text
    form = {
        "name": "Taste", "overlap": "1", "double_share": "0", "candidates_shown": "0", "generated": "2",
        "temperature": "1", "strategy": "random", "repeat_share": "0", "gold_share": "0",
        "ask_pick-1-of-n": "required",
    }  # fmt: skip
    client.post(page, form | {"writers": [f"alignment:{member.pk}"]})
    project.refresh_from_db()
    assert project.writers == [f"alignment:{member.pk}"]
    stranger = client.post(page, form | {"writers": ["alignment:1"]})
    assert stranger.status_code == 400

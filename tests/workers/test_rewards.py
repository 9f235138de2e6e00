"""A project's answers become reward models by the real task, which choose until consent is taken back."""

from __future__ import annotations

import numpy as np
import pytest

from alignapp.accounts.models import Person
from alignapp.adapters import store
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.services import switch_on
from alignapp.annotation.models import Annotation, Candidate, Item
from alignapp.annotation.services import generation, items, projects, writers
from alignapp.chat import streams
from alignapp.chat.models import Reply
from alignapp.studies import judges, services, trying
from alignapp.studies.models import RewardModel, Study
from personalization.artifacts import path_of
from personalization.decoding.objectives import NEARNESS
from personalization.engine.requests import GenerationRequest, Sampling
from personalization.judging import kept
from personalization.models.relevance import nearness_to
from personalization.records import Message
from tests.web import studied
from tests.workers.test_merging import parent
from workers import rewarding
from workers.engines import base_for_process
from workers.tasks.generate import generate_reply
from workers.tasks.judge import judge_tried
from workers.tasks.train import run_job

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]
PEOPLE = ("anna", "bert", "carl")


@pytest.fixture
def study(settings, engine) -> Study:
    """A study of reward models only: three people like long answers, a fourth does not agree to training."""
    settings.MAX_NEW_TOKENS = 8
    project = studied.project_of(Person.objects.create_user("owner@example.org"), count=16, generated=1)
    for name in PEOPLE:
        studied.annotator(project, name)
    studied.annotator(project, "dora", studied.SHORT, may_train=False)
    return services.start(project.memberships.get(role="owner"), "")


def learned(study: Study) -> RewardModel:
    run_job(str(study.reward_job_id))
    study.reward_job.refresh_from_db()
    assert (study.reward_job.state, study.reward_job.reason) == (Job.State.DONE, "")
    study.refresh_from_db()
    return RewardModel.objects.get(study=study)


def written(project, key: str, *chosen: str) -> list[Candidate]:
    """Have the engine write an item's answers, and return them."""
    project.writers, project.generated = list(chosen), len(chosen)
    project.save()
    items.add_items(project, [items.NewItem(key, [{"role": "user", "content": "Say hello"}], [])])
    generation.go_on(project)
    for reply in Reply.objects.filter(status="queued"):
        generate_reply(str(reply.id))
    generation.go_on(project)
    return list(Item.objects.get(key=key).candidates.order_by("position"))


def test_reward_models_learn_from_who_agreed_and_are_measured_on_what_none_of_them_saw(study):
    reward = learned(study)
    assert [job.method for job in study.jobs()] == ["reward"]  # no adapters were asked for
    assert not Artifact.objects.exists()
    manifest = store.check(reward)
    assert (manifest["owner"], manifest["kind"]) == (str(study.group_id), "reward")
    assert set(manifest["files"]) == {"reward.safetensors"}
    held_out = set(study.split["held_out"])
    rows = Annotation.objects.filter(pk__in=manifest["records"]).select_related("submission__assignment")
    assert {str(row.submission.assignment.item_id) for row in rows} == set(study.split["train"])
    emails = {row.submission.assignment.annotator.email.split("@")[0] for row in rows}
    assert emails == set(PEOPLE)
    for arm in study.arms.all():
        assert {said[0] for said in arm.judgements.values()} == held_out
        assert all(each["others"] == 1.0 for _, each in arm.judgements.values())  # all like the same
    assert reward.is_useful
    assert reward.results["judges"]["more"]["accuracy"]["value"] == 1.0
    assert reward.results["people"] == 3
    run_job(str(study.reward_job_id))  # delivered twice
    assert RewardModel.objects.count() == 1


def test_it_chooses_the_best_of_four_and_a_lent_adapter_writes_as_it_does_in_its_owners_chat(study, engine):
    reward, project = learned(study), study.project
    anna = project.memberships.get(person__email="anna@example.org")
    adapter = parent(anna.person, 1, {"train": [], "held_out": []})
    switch_on(anna.person, adapter)
    projects.agree(anna, may_train=True, lends=True)
    lent, best = written(project, "bare", judges.KEY, f"alignment:{anna.pk}")

    base = base_for_process()
    asked = (Message("user", "Say hello"),)
    first = Sampling(**best.composition["sampling"])
    attempts = []
    for n in range(judges.BEST_OF):
        sampling = Sampling(**{**first.as_dict(), "seed": first.seed + n})
        *_, end = engine.submit(GenerationRequest(f"{n}", asked, sampling))
        attempts.append(end)
    head = kept.read(store.folder_of(reward), reward.way, reward.results["rewards"][reward.way])
    # Gathered while they were written: a random model's text need not have the tokens that it was.
    liked = head.scale * head.of(np.stack([end.states.means for end in attempts]))
    scores = liked + NEARNESS * np.array(nearness_to("Say hello")([end.text for end in attempts]))
    place = best.composition["decoding"]["chosen"]
    assert place == int(np.argmax(scores))
    assert best.text == attempts[place].text
    assert best.maker == f"best of 4 of {base.revision}"

    plain = Sampling(**lent.composition["sampling"])
    *_, without = engine.submit(GenerationRequest("plain", asked, plain))
    assert lent.text != without.text  # the adapter acts
    assert lent.maker.startswith("alignment of p-")
    assert "system_message" not in lent.composition
    assert not anna.person.conversations.exists()
    projects.leave(anna)
    assert [one.key for one in writers.offered(project) if one.member] == []


def test_it_judges_pasted_answers_as_it_judges_those_it_chooses_among(study, engine):
    reward, owner = learned(study), study.project.owner
    asked = Message("user", "Say item 3")
    answers = ["item 3.", "item 3 at some length, indeed", "no"]
    tried = trying.begin(owner, reward, asked.content, answers)
    judge_tried(tried.id)
    judge_tried(tried.id)  # the message comes again
    assert [event for event, _ in streams.events(f"tried:{tried.id}")] == ["tried", *["read"] * 3, "done"]
    _, found = trying.find(tried.id, owner, reward)
    assert (found.error, found.read) == ("", 3)
    head = kept.read(store.folder_of(reward), reward.way, reward.results["rewards"][reward.way])
    rewards = head.of(np.stack([engine.read((asked,), text).means for text in answers]))
    assert np.allclose(found.log_odds, head.scale * (rewards - rewards.mean()))
    assert sum(found.log_odds) == pytest.approx(0, abs=1e-9)
    assert found.beats(1, 0) == pytest.approx(head.beats(rewards[1] - rewards[0]))
    assert found.beats(1, 0) > 0.5  # these people like the longer one


def test_what_cannot_be_judged_says_why(study, settings):
    reward, owner = learned(study), study.project.owner

    def error(*answers: str) -> str:
        tried = trying.begin(owner, reward, "Say hello", list(answers))
        judge_tried(tried.id)
        return trying.find(tried.id, owner, reward)[1].error

    long = trying.begin(owner, reward, "word " * 4000, ["yes", "no"])
    judge_tried(long.id)
    assert "no room for an answer" in trying.find(long.id, owner, reward)[1].error
    RewardModel.objects.filter(pk=reward.pk).update(model_revision="another@1")
    assert "another base model" in error("yes", "no")
    RewardModel.objects.filter(pk=reward.pk).update(model_revision=base_for_process().revision)
    file = store.folder_of(reward) / kept.FILE
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert "were changed" in error("yes", "no")
    tried = trying.begin(owner, reward, "Say hello", ["yes", "no"])
    bert = study.project.memberships.get(person__email="bert@example.org")
    projects.agree(bert, may_train=False)
    assert streams.events(f"tried:{tried.id}") == []  # it went with the reward model
    judge_tried(tried.id)
    assert streams.events(f"tried:{tried.id}") == []


def test_who_takes_it_back_takes_the_reward_models_along(study):
    reward, project = learned(study), study.project
    folder = store.folder_of(reward)
    assert judges.KEY in [one.key for one in writers.offered(project)]
    items.add_items(project, [items.NewItem("bare", [{"role": "user", "content": "Say hello"}], [])])
    project.writers = [judges.KEY]
    project.save()
    generation.go_on(project)
    waiting = Reply.objects.get()
    assert waiting.attempts == 4
    bert = project.memberships.get(person__email="bert@example.org")
    projects.agree(bert, may_train=False)
    assert not folder.exists()
    assert not RewardModel.objects.exists()
    assert not Person.objects.filter(email__endswith="@group.invalid").exists()
    assert {str(arm.judgements) for arm in study.arms.all()} == {"{}"}
    generate_reply(str(waiting.id))
    waiting.refresh_from_db()
    assert (waiting.status, waiting.attempts) == ("done", 1)
    assert waiting.sampling["temperature"] == project.temperature  # the project's own, as for all its writers
    generation.go_on(project)
    assert not Candidate.objects.filter(item__key="bare").exclude(text="").exists()  # written anew by base
    assert [one.key for one in writers.of_project(project)] == ["base"]


def test_a_withdrawal_while_it_learns_leaves_nothing(study, monkeypatch, settings):
    seal, bert = store.seal, study.project.memberships.get(person__email="bert@example.org")
    sealed = []

    def late(*args, **described):
        made = seal(*args, **described)
        sealed.append(made.digest)
        projects.agree(bert, may_train=False)
        return made

    monkeypatch.setattr(store, "seal", late)
    run_job(str(study.reward_job_id))
    assert sealed
    assert not path_of(settings.ARTIFACT_DIR, sealed[0]).exists()
    assert not RewardModel.objects.exists()
    assert not Job.objects.filter(method="reward").exists()


def test_a_changed_file_is_refused_and_too_few_items_are_said(study, settings):
    reward, project = learned(study), study.project
    file = store.folder_of(reward) / kept.FILE
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    (candidate,) = written(project, "bare", judges.KEY)
    assert candidate.text == ""
    assert "were changed" in Reply.objects.get().error
    few = studied.project_of(project.owner, count=8)
    for name in ("ed", "flo"):
        studied.annotator(few, name)
    other = services.start(few.memberships.get(role="owner"), "")
    run_job(str(other.reward_job_id))
    other.reward_job.refresh_from_db()
    assert other.reward_job.state == Job.State.DEAD
    assert f"in {rewarding.LEAST_ITEMS} different items" in other.reward_job.reason

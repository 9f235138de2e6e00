"""One row of every model that leads to a person, with files, a stream and a session.

Tests of both fail for a new model that leads to a person until a row of it is made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.test import Client
from django.utils import timezone

from alignapp.accounts.belongings import rows_of
from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.adapters import services, store
from alignapp.adapters.models import Alignment, Artifact, Job, Judgement, KnownModel, LiveAlarm
from alignapp.annotation.models import Assignment, Invitation, Item, Membership, Project
from alignapp.api.models import ApiToken
from alignapp.audit.models import AuditEvent
from alignapp.audit.services import record
from alignapp.campaigns.models import Campaign, Enrolment
from alignapp.chat import streams
from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.exchange import services as services_of_exchange
from alignapp.exchange.models import Import, ImportedPerson
from alignapp.feedback.models import Feedback, GapResolution
from alignapp.instant import services as instant
from alignapp.panel.models import AnsweredRequest, RoleGrant, SupportLeave
from alignapp.profiles.models import InventoryAnswer, ProfileVersion
from alignapp.quality.differences import decide
from alignapp.studies.models import Arm, Given, RewardModel, Study
from personalization import artifacts
from tests import judged
from tests.web import annotated, learned
from tests.web.rows import answered_turn, conversation_of, reward_of, states_of

# Columns whose content other code gives a meaning to; a person's words never reach them.
_FIXED = {
    "password",
    "digest",
    "weights",
    "model_revision",
    "object_id",
    "verb",
    "object_type",
    "subject_label",
    "actor_label",
}


@dataclass(frozen=True)
class Everything:
    """The rows that tests of pages need ids of."""

    conversation: Conversation
    turn: Turn
    reply: Reply
    feedback: Feedback
    version: ProfileVersion
    job: Job
    artifact: Artifact
    resolution: GapResolution
    token: ApiToken
    project: Project
    membership: Membership
    invitation: Invitation
    item: Item
    assignment: Assignment
    uploaded: Import
    study: Study
    known: KnownModel
    campaign: Campaign
    alarm: LiveAlarm

    @property
    def person(self) -> Person:
        """Whose rows they are."""
        return self.artifact.person


def everything_of(person: Person) -> Everything:
    """Make one row of each personal model, with an artifact's files, a checkpoint and a stream."""
    give_consent(person)
    EmailAddress.objects.create(user=person, email=person.email, primary=True, verified=True)
    TOTP.activate(person, generate_totp_secret())
    now = timezone.now()
    RoleGrant.objects.create(person=person, role="auditor", reason="It was so once.", ended_at=now)
    SupportLeave.objects.create(person=person, until=now, ended_at=now)
    kind = ContentType.objects.get_for_model(Person)
    LogEntry.objects.create(
        user=person, content_type=kind, object_id="1", action_flag=CHANGE, object_repr="x"
    )
    version = ProfileVersion.objects.create(
        person=person, number=1, changed_section="values", system_message="Be brief."
    )
    InventoryAnswer.keep(person, {1: 3})
    conversation = conversation_of(person, title="A title")
    turn, replies = answered_turn(conversation, "one", "two")
    turn.choose(replies[0])
    feedback = Feedback.objects.create(
        person=person, turn=turn, reply=replies[0], kind="critique", protocol="text", text="Too long."
    )
    resolution = GapResolution.objects.create(
        person=person, value="style.brief", gap="said", decision="context", note="Not at work."
    )
    artifact = learned.artifact(person, "dpo")
    services.switch_on(person, artifact)
    Judgement.objects.create(artifact=artifact, position=0, answer="alike", artifact_first=True)
    alarm = LiveAlarm.objects.create(
        person=person,
        artifact=artifact,
        since=Alignment.objects.get(person=person).current,
        rolled_back=True,
        evidence={"wins": 2.5, "n": 30, "capital": 31.0, "level": 0.05, "share": 0.5},
    )
    job = Job.objects.create(person=person, method="steer", reason="It waits.")
    checkpoint = store.checkpoint_folder(job.id)
    checkpoint.mkdir(parents=True)
    (checkpoint / "step.json").write_text("{}")
    states_of(replies)
    for answer, score in zip(replies, (90, 10), strict=True):
        Feedback.objects.create(
            person=person, turn=turn, reply=answer, kind="rating", protocol="slider-1-100", score=score
        )
    assert instant.refresh(person) is not None
    reward_of(person)
    streams.publish(replies[1].id, "token", text="two")
    Reply.objects.filter(pk=replies[1].pk).update(status=Reply.Status.RUNNING)
    record(person, "something.done", conversation, reason="because", note="a note")
    token, _ = ApiToken.issue(person, name="notebook", scopes=["chat"])
    AnsweredRequest.objects.create(token=token, key="once", fingerprint="0" * 64)
    project = annotated.project_with_answers(person)
    decide(project.items.get(), person, "", "alike to me")
    return Everything(
        conversation,
        turn,
        replies[0],
        feedback,
        version,
        job,
        artifact,
        resolution,
        token,
        project,
        project.memberships.get(),
        project.invitations.get(),
        project.items.get(),
        Assignment.objects.for_person(person).latest("created_at"),
        _uploaded(person, project),
        _study(person, project),
        KnownModel.objects.get_or_create(
            revision="smol@1", defaults={"spec": "embedded", "name": "SmolLM2", "added_by": "worker"}
        )[0],
        _enrolled(person, job).campaign,
        alarm,
    )


def _enrolled(person: Person, job: Job) -> Enrolment:
    """Put a person into a campaign that asked for a job of theirs."""
    campaign, _ = Campaign.objects.get_or_create(
        name="Anew", defaults={"method": "steer", "started_by": "system", "wave": 1}
    )
    return Enrolment.objects.create(campaign=campaign, person=person, job=job, wave=1, note="A note.")


def _study(person: Person, project: Project) -> Study:
    """Make a study of the project with this person in it."""
    study = Study.objects.create(project=project, method="dpo")
    arm = Arm.objects.create(study=study, person=person, comparisons=1)
    job = Job.objects.create(person=person, method="merge", from_project=True)
    Given.objects.create(study=study, job=job).sources.add(arm)
    RewardModel.objects.create(
        study=study,
        person=person,
        digest="f" * 64,
        size_bytes=1,
        model_revision="m",
        results=judged.usual(),
    )
    return study


def _uploaded(person: Person, project: Project) -> Import:
    """Make an import that waits to be committed, and somebody whom a file named."""
    row = services_of_exchange.upload(
        person, project, "a.jsonl", [b'{"prompt": "p", "chosen": "a", "rejected": "b"}'], form="", licence="",
        may_train=True,
    )  # fmt: skip
    stand_in = Person.objects.create_user(f"{person.pseudonym}@imported.invalid", is_active=False)
    ImportedPerson.objects.create(project=project, name="ann", person=stand_in)
    return row


def missing_rows(person: Person) -> list[str]:
    """Return the personal models that have no row of this person."""
    return [model._meta.label for model, rows in rows_of(person) if not rows.exists()]


def write_everywhere(person: Person, canary: str) -> int:
    """Put the canary into every text and JSON column of the person's rows; return how many columns."""
    count = 0
    for model, rows in rows_of(person):
        fields = [f for f in model._meta.concrete_fields if _takes_words(f, canary)]
        values: dict[str, Any] = {
            f.name: {"words": [canary]} if isinstance(f, models.JSONField) else canary for f in fields
        }
        if model is Person or model is EmailAddress:
            values = {"email": f"{canary}@example.org"}
        if model is AuditEvent:
            values = {"reason": canary, "evidence": {"words": canary}}
        if values:
            rows.model._base_manager.filter(pk__in=[row.pk for row in rows]).update(**values)
            count += len(values)
    return count


def write_files(everything: Everything, canary: str) -> None:
    """Put the canary into the person's files, streams and limits."""
    folder = artifacts.path_of(settings.ARTIFACT_DIR, everything.artifact.digest)
    (folder / "words.txt").write_text(canary)
    (store.checkpoint_folder(everything.job.id) / "words.txt").write_text(canary)
    (settings.ARTIFACT_DIR / f"learning-{everything.job.id}-x").mkdir()
    (settings.ARTIFACT_DIR / f"learning-{everything.job.id}-x" / "words.txt").write_text(canary)
    for reply in Reply.objects.all():
        streams.publish(reply.id, "token", text=canary)


def sign_in_with_words(person: Person, canary: str) -> Client:
    """Return a signed-in client whose session holds the canary."""
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session["draft"] = canary
    session.save()
    return client


def _takes_words(field: models.Field, canary: str) -> bool:
    if field.name in _FIXED or field.choices or field.primary_key or field.unique:
        return False
    if isinstance(field, models.JSONField | models.TextField):
        return True
    return isinstance(field, models.CharField) and (field.max_length or 0) >= len(canary)

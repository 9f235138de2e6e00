"""A large made-up database, fast: one row of each kind by the models, and PostgreSQL multiplies it.

Knows nothing of pages. Nothing of it was learned or said by anybody; artifacts have no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import connection, models
from django.utils import timezone

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Consent, Person
from alignapp.adapters.models import (
    MERGE,
    Alignment,
    AlignmentVersion,
    Artifact,
    Job,
    Judgement,
    KnownModel,
    LiveAlarm,
    MergeWay,
    MethodInfo,
    OptionChange,
    ReportCard,
)
from alignapp.annotation.access import Role
from alignapp.annotation.models import Membership
from alignapp.annotation.models.people import consent_digest
from alignapp.annotation.services.projects import create_project
from alignapp.audit.models import AuditEvent
from alignapp.audit.services import record
from alignapp.campaigns.models import Campaign, Enrolment
from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.feedback.models import Feedback
from alignapp.panel.measures import EDGES, WHOLE
from alignapp.panel.models import Measure, Worker
from alignapp.studies.models import Arm, Given, Study

SHARE = {"value": 0.6, "n": 40, "low": 0.45, "high": 0.74}
CHANGE = {"value": 0.05, "n": 40, "low": -0.05, "high": 0.15}
RESULTS = {  # as large as a card is
    "accuracy": {"base": SHARE, "artifact": SHARE},
    "difference": CHANGE,
    "cost": {"perplexity_base": 20.0, "perplexity": 21.0, "kl_to_base": 0.03},
    "ability": {"base": 0.5, "artifact": 0.49, "change": CHANGE},
    "writing": {
        "relevance_base": 0.6,
        "relevance_change": CHANGE,
        "repetition_base": 0.1,
        "repetition_change": CHANGE,
    },
    "safety": {
        **{f"{what}{arm}": 0.5 for what in ("refusal", "acceptance") for arm in ("", "_base")},
        **{f"{what}_change": CHANGE for what in ("refusal", "acceptance", "likelihood")},
        "max_drop": 0.1,
        "max_loss": 1.0,
        "objection": "",
    },
    "samples": [{"prompt": "made", "base": "made " * 50, "artifact": "made " * 50}] * 4,
    "n_conversations": 10,
    "n_pairs": 40,
}
SPREAD = "now() - (g.i % 86400 * 30) * interval '1 second'"  # over 30 days
ID = "gen_random_uuid()"


def make(people: int, adapters: int, feedback: int, events: int) -> dict[str, int]:
    """Fill an empty database; return how many rows of each kind there are."""
    person = Person.objects.create_user("template@example.org")
    give_consent(person)
    MethodInfo.objects.create(name="dpo", data="pairs", produces="adapter", summary="dpo.", paper="p")
    _multiply(
        person,
        people - 1,
        id=ID,
        email="'p' || g.i || '@example.org'",
        pseudonym="'p-' || lpad(to_hex(g.i), 10, '0')",
        date_joined=SPREAD,
    )
    _number(Person, "someone")
    _multiply(Consent.objects.get(), people - 1, id=ID, person_id=_one_of("someone", people))
    _learned(person, people, adapters)
    _said(person, people, feedback)
    event = record(person, "something.done", person)
    hashes = {name: f"md5('{name}' || g.i) || md5(g.i || '{name}')" for name in ("hash", "previous_hash")}
    someone = {"actor_id": _one_of("someone", people), "subject_id": _one_of("someone", people)}
    _multiply(event, events - 1, at=SPREAD, **hashes, **someone)
    _measures()
    _operated(people)
    _studied(person, people)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    counted = (
        Person,
        Job,
        Artifact,
        ReportCard,
        Judgement,
        Alignment,
        Conversation,
        Reply,
        Feedback,
        AuditEvent,
        Measure,
        Campaign,
        Enrolment,
        OptionChange,
        LiveAlarm,
        Arm,
        Given,
    )
    return {model._meta.label: model._base_manager.count() for model in counted}


def _learned(person: Person, people: int, adapters: int) -> None:
    """Make jobs with their artifacts and cards, some that wait or failed, and everybody's alignment."""
    job = Job.objects.create(
        person=person,
        method="dpo",
        state="done",
        curve=[{"step": i, "loss": 1 / (i + 1)} for i in range(200)],
    )
    artifact = Artifact.objects.create(
        person=person, job=job, number=1, kind="adapter", state="proven", digest="0" * 64,
        size_bytes=4_000_000,
        model_revision="made@1",
    )  # fmt: skip
    card = ReportCard.objects.create(artifact=artifact, proven=True, verdict="v", results=RESULTS)
    whose = _one_of("someone", people)
    state = "CASE WHEN g.i % 50 = 0 THEN 'dead' ELSE 'done' END"
    reason = "CASE WHEN g.i % 50 = 0 THEN 'ValueError: it broke' ELSE '' END"
    times = {"created_at": SPREAD, "started_at": SPREAD, "finished_at": SPREAD}
    _multiply(job, adapters - 1, id=ID, person_id=whose, state=state, reason=reason, **times)
    _multiply(
        job, min(people // 10, 1000), id=ID, person_id=whose, state="'queued'", method="'m' || g.i", **times
    )
    _number(Job, "some_job", "state IN ('done', 'dead')")
    kind = "CASE WHEN g.i % 200 = 0 THEN 'quarantined' WHEN g.i % 3 = 0 THEN 'not_proven' ELSE 'proven' END"
    taken = "(SELECT id FROM some_job WHERE i = g.i + 1)"
    owner = f"(SELECT person_id FROM adapters_job WHERE id = {taken})"
    digest = "md5(g.i::text) || md5(g.i::text || 'x')"
    made = {"id": ID, "job_id": taken, "person_id": owner, "digest": digest, "created_at": SPREAD}
    Artifact.objects.all().delete()
    artifact.job_id = _first("some_job")
    artifact.save(force_insert=True)
    card.save(force_insert=True)
    _multiply(artifact, adapters - 1, state=kind, number="g.i + 1", **made)
    _number(Artifact, "some_artifact")
    value = "to_jsonb(0.4 + g.i % 50 / 100.0)"
    _multiply(
        card,
        adapters - 1,
        id=ID,
        artifact_id="(SELECT id FROM some_artifact WHERE i = g.i + 1)",
        results=f"jsonb_set(t.results, '{{accuracy,artifact,value}}', {value})",
        created_at=SPREAD,
    )
    version = AlignmentVersion.objects.create(person=person, number=1, adapter=artifact, change="c")
    alignment = Alignment.objects.create(person=person, current=version)
    everyone = "(SELECT id FROM someone WHERE i = g.i + 1)"
    _lost(version, artifact, min(adapters - 1, 2000))
    _multiply(version, people - 1, id=ID, person_id=everyone)
    current = f"(SELECT id FROM adapters_alignmentversion WHERE person_id = {everyone})"
    _multiply(alignment, people - 1, person_id=everyone, current_id=current)


def _lost(version: AlignmentVersion, artifact: Artifact, count: int) -> None:
    """Make alarms of daily use, one of each version."""
    evidence = {
        "wins": 3,
        "n": 17,
        "low": 0.1,
        "high": 0.4,
        "capital": 21,
        "level": 0.05,
        "share": 0.5,
    }
    alarm = LiveAlarm.objects.create(
        person=version.person, artifact=artifact, since=version, rolled_back=True, evidence=evidence
    )
    fallen = {"artifact_id": "(SELECT id FROM some_artifact WHERE i = g.i + 1)", "created_at": SPREAD}
    _multiply(alarm, count, id=ID, **fallen)


def _said(person: Person, people: int, feedback: int) -> None:
    """Make a conversation for everybody, an answered turn in each, and acts of feedback on those."""
    conversation = Conversation.objects.create(person=person, title="made")
    turn = Turn.objects.create(conversation=conversation, text="made")
    reply = Reply.objects.create(
        turn=turn, position=0, maker="base", status="done", text="made", token_count=40, first_token_ms=300
    )
    act = Feedback.objects.create(
        person=person, turn=turn, reply=reply, kind="rating", protocol="slider-1-100", score=70
    )
    everyone = "(SELECT id FROM someone WHERE i = g.i + 1)"
    _multiply(conversation, people - 1, id=ID, person_id=everyone)
    _number(Conversation, "some_conversation")
    _multiply(turn, people - 1, id=ID, conversation_id="(SELECT id FROM some_conversation WHERE i = g.i + 1)")
    _number(Turn, "some_turn")
    replied = {"turn_id": "(SELECT id FROM some_turn WHERE i = g.i + 1)", "finished_at": SPREAD}
    _multiply(reply, people - 1, id=ID, **replied)
    whose, which = _one_of("someone", people), _one_of("some_turn", people)
    answer = f"(SELECT r.id FROM chat_reply r WHERE r.turn_id = {which})"
    rated = {"person_id": whose, "turn_id": which, "reply_id": answer, "score": "g.i % 100 + 1"}
    _multiply(act, feedback - 1, id=ID, created_at=SPREAD, **rated)


def _operated(people: int) -> None:
    """Make campaigns, one of them over everybody, base models and changes of options."""
    known = KnownModel.objects.create(
        spec="/models/made", name="made", revision="made@1", state="passed", added_by="terminal"
    )
    _multiply(known, 30, id=ID, spec="'/models/' || g.i", revision="'other@' || g.i", created_at=SPREAD)
    campaign = Campaign.objects.create(name="everybody", method="dpo", started_by="terminal", wave=20)
    _multiply(
        campaign, 99, id=ID, name="'campaign ' || g.i", method="'m' || g.i", state="'done'", created_at=SPREAD
    )
    _number(Campaign, "some_campaign", "name <> 'everybody'")
    enrolment = Enrolment(campaign=campaign, state="moved", before=0.6, after=0.62, after_low=0.5, wave=1)
    enrolment.person = Person.objects.get(email="template@example.org")
    enrolment.save()
    states = "(ARRAY['moved','not_proven','lost','learning','waiting'])[1 + g.i % 5]"
    everyone = "(SELECT id FROM someone WHERE i = g.i + 1)"
    placed = {
        "state": states,
        "wave": "1 + g.i % 20",
        "created_at": SPREAD,
        "after": "0.5 + g.i % 30 / 100.0",
    }
    theirs = f"SELECT id FROM adapters_job WHERE person_id = {everyone} AND state = 'done' LIMIT 1"
    _multiply(enrolment, people - 1, id=ID, person_id=everyone, job_id=f"({theirs})", **placed)
    _compared(people)
    whose = "(SELECT id FROM some_campaign WHERE i = g.i % 99 + 1)"
    others = f"(SELECT id FROM someone WHERE i = g.i % {people} + 1)"
    _multiply(enrolment, 5 * min(people, 1980), id=ID, person_id=others, campaign_id=whose, **placed)
    change = OptionChange.objects.create(
        name="jobs.per_day", number=1, value=12, before=None, by_label="terminal", reason="busy"
    )
    _multiply(change, 2000, number="g.i + 1", created_at=SPREAD)


def _compared(people: int) -> None:
    """Make blind comparisons, eight of each, of some hundred versions that are not the campaign's."""
    free = Artifact.objects.filter(job__enrolment=None, state="proven").order_by("-created_at").first()
    assert free is not None
    one = Judgement.objects.create(artifact=free, position=0, answer="artifact", artifact_first=True)
    outside = "job_id NOT IN (SELECT job_id FROM campaigns_enrolment WHERE job_id IS NOT NULL)"
    _number(Artifact, "not_enrolled", f"state = 'proven' AND id <> '{free.pk}' AND {outside}")
    whose = "(SELECT id FROM not_enrolled WHERE i = (g.i + 7) / 8)"
    answers = "(ARRAY['artifact','base','artifact'])[1 + (g.i + 7) / 8 * g.i % 3]"
    count = 8 * min(people // 10, 600)
    _multiply(one, count, id=ID, artifact_id=whose, position="g.i % 8", answer=answers)


def _studied(person: Person, people: int) -> None:
    """Make a project with a study in which some hundred people have a place, scores, and a merge of them."""
    owner = Person.objects.create_user("owner@example.org")
    project = create_project(owner, name="made", protocols=[{"name": "pick-1-of-n"}], overlap=9)
    group = Person.objects.create_user("group@example.org", is_active=False)
    study = Study.objects.create(project=project, method="dpo", group=group)
    scores = {f"k{i}": [f"c{i}", 0.5, 1] for i in range(20)}
    arm = Arm.objects.create(
        study=study, person=person, comparisons=40, own_scores=scores, group_scores=scores
    )
    count = min(people, 300) - 1
    own = "CASE WHEN g.i < 20 THEN t.own_scores ELSE '{}'::jsonb END"  # as many as a study trains
    placed = {"person_id": "(SELECT id FROM someone WHERE i = g.i + 1)"}
    _multiply(arm, count, id=ID, own_scores=own, **placed)
    _merged(study, group, arm, count, placed)


def _merged(study: Study, group: Person, arm: Arm, count: int, placed: Mapping[str, str]) -> None:
    """Make a merge of two of the study's adapters, which half of its people were given."""
    MergeWay.objects.create(name="ties", summary="made", paper="p", parameters={})
    member = Membership.objects.create(
        project=study.project, person=arm.person, role=Role.ANNOTATOR, shares=True,
        consented_at=timezone.now(), consent_sha256=consent_digest(study.project),
    )  # fmt: skip
    _multiply(member, count, id=ID, **placed)
    parents = Artifact.objects.filter(state="proven", job__arm=None, job__enrolment=None)[:2]
    for parent, place in zip(parents, Arm.objects.filter(study=study, job=None)[:2], strict=True):
        Arm.objects.filter(pk=place.pk).update(job=parent.job_id)
    wanted = {"way": "ties", "parents": [{"artifact": str(one.pk), "weight": 1} for one in parents]}
    made = {"method": MERGE, "state": "done", "from_project": True, "parameters": wanted}
    job = Job.objects.create(person=group, **made)
    merge = Artifact.objects.create(
        person=group, job=job, number=1, kind="adapter", state="proven", digest="1" * 64,
        size_bytes=4_000_000, model_revision="made@1",
    )  # fmt: skip
    ReportCard.objects.create(artifact=merge, proven=True, verdict="v", results=RESULTS)
    merge.parents.set(parents)
    given = Job.objects.create(person=arm.person, **made)
    one = Given.objects.create(study=study, job=given, merge=merge)
    _multiply(given, count // 2, id=ID, **placed)
    _number(
        Job, "some_given", f"method = '{MERGE}' AND from_project AND id NOT IN ('{job.pk}', '{given.pk}')"
    )
    _multiply(one, count // 2, id=ID, job_id="(SELECT id FROM some_given WHERE i = g.i)")


def _measures() -> None:
    """Make two days of minutes, two months of hours, a year of days, and three workers."""
    now = timezone.now().replace(second=0, microsecond=0)
    names = [
        *("replies", "tokens", "first_token_ms", "people", "people_aligned", "jobs_queued", "jobs_running"),
        *("workers", "resident", "disk_used_percent", "queue_train", "gate_failures"),
        *(WHOLE - {"people", "people_aligned"}),
    ]
    many = ((Measure.Period.MINUTE, 2880), (Measure.Period.HOUR, 1440), (Measure.Period.DAY, 365))
    Measure.objects.bulk_create(
        [
            Measure(
                name=name, period=period, at=now - i * Measure.LENGTH[period],
                total=i % 60, samples=1, most=i % 60,
                histogram={str(i % len(EDGES)): 5} if name == "first_token_ms" else {},
            )
            for period, count in many
            for i in range(1, count)
            for name in names
        ],
        batch_size=5000,
    )  # fmt: skip
    for name in ("generation", "training", "housekeeping"):
        Worker.beat(f"{name}@made", queues=[name], pid=1, started_at=now - timedelta(hours=1))


def _multiply(template: models.Model, count: int, **expressions: str) -> None:
    """Insert copies of a row with other columns; expressions are SQL over `g.i`, from 1 to count."""
    fields: Mapping[str, Any] = {str(f.column): f for f in template._meta.concrete_fields}
    unknown = set(expressions) - set(fields)
    if unknown:
        raise ValueError(f"{template._meta.label} has no columns {unknown}")
    pk = template._meta.pk
    own_serial = isinstance(pk, models.AutoField) and pk.column not in expressions
    columns = [name for name in fields if not (own_serial and name == pk.column)]
    chosen = ", ".join(expressions.get(name, f"t.{name}") for name in columns)
    table = template._meta.db_table
    insert = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table} t, "
    insert += f"generate_series(1, {count}) AS g(i) WHERE t.{pk.column} = %s"
    with connection.cursor() as cursor:
        cursor.execute(insert.replace(" % ", " %% "), [template.pk])


def _number(model: type[models.Model], name: str, where: str = "true") -> None:
    """Number the rows of a model from 1, in a temporary table."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMPORARY TABLE {name} AS "
            f"SELECT row_number() OVER () AS i, {model._meta.pk.column} AS id "
            f"FROM {model._meta.db_table} WHERE {where}"
        )
        cursor.execute(f"CREATE UNIQUE INDEX ON {name} (i)")
        cursor.execute(f"ANALYZE {name}")


def _one_of(name: str, count: int) -> str:
    return f"(SELECT id FROM {name} WHERE i = g.i % {count} + 1)"


def _first(name: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {name} WHERE i = 1")
        return cursor.fetchone()[0]

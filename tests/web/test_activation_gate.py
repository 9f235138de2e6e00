"""No way of switching things on serves what did not pass the safety gate, whatever the order of acts.

What the engine gets is what `compose` returns and the worker lets through (tests/workers/test_replies.py).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.adapters import services
from alignapp.adapters.composition import compose
from alignapp.adapters.models import Alignment, AlignmentVersion, Artifact, Job, ReportCard
from alignapp.feedback.models import Feedback
from alignapp.instant import services as instant
from alignapp.instant.models import InstantVector
from personalization.errors import AlignError
from tests.gates import gate
from tests.web.operating import signed_in_with
from tests.web.rows import answered_turn, conversation_of, states_of

KINDS = ("adapter", "vector", "personality", "values")
SAFE, UNSAFE = gate(0.8, 0.8, 0.9, 0.9).as_dict(), gate(0.8, 0.2, 0.9, 0.9).as_dict()
# What an artifact may be when the acts begin; of each kind one of each.
CONDITIONS = ("proven", "not proven", "quarantined", "unfinished", "never asked", "somebody else's")


@dataclass
class World:
    """Two people, an operator, and artifacts of every kind in every condition."""

    owner: Person
    other: Person
    clients: dict[str, Client]
    artifacts: list[Artifact] = field(default_factory=list)

    @classmethod
    def make(cls, client_of: Callable[[Person], Client]) -> World:
        people = {
            name: Person.objects.create_user(f"{name}@example.com", "a long pass phrase", **fields)
            for name, fields in {
                "owner": {},
                "other": {},
                "operator": {"is_staff": True, "is_superuser": True},
            }.items()
        }
        for person in people.values():
            give_consent(person)
        clients = {name: client_of(person) for name, person in people.items()}
        clients["operator"] = signed_in_with("operator", people["operator"])
        world = cls(people["owner"], people["other"], clients)
        world.artifacts = [world.artifact(kind, condition) for kind in KINDS for condition in CONDITIONS]
        return world

    def artifact(self, kind: str, condition: str) -> Artifact:
        person = self.other if condition == "somebody else's" else self.owner
        job = Job.objects.create(person=person, method="dpo", state=Job.State.DONE)
        made = Artifact.of_job(
            job, kind=kind, digest=job.id.hex * 2, size_bytes=1, model_revision="smol@1", summary={}
        )
        if condition == "unfinished":
            return made
        safety = UNSAFE if condition == "quarantined" else SAFE
        made.judge(proven=condition == "proven", verdict="Said.", results={"safety": safety})
        if condition == "never asked":  # as proven by a version of the program that had no gate
            ReportCard.objects.filter(artifact=made).update(results={})
        return made

    def rate(self, scores: tuple[int, ...]) -> None:
        """Rate answers to one message of the owner's; their vector follows."""
        turn, replies = answered_turn(conversation_of(self.owner), *("one", "two", "three")[: len(scores)])
        states_of(replies)
        for reply, score in zip(replies, scores, strict=False):
            Feedback.objects.create(
                person=self.owner, turn=turn, reply=reply, kind="rating", protocol="slider-1-100", score=score
            )
        instant.refresh(self.owner)


number = st.integers(0, len(KINDS) * len(CONDITIONS) - 1)
who = st.sampled_from(["owner", "other"])
part = st.sampled_from(KINDS)
strength = st.sampled_from(["0", "0.3", "1", "1.5", "2", "-1", "nan"])
flag = st.booleans()
ACTS = st.one_of(
    st.tuples(st.just("switch on by the page"), who, number, flag),
    st.tuples(st.just("switch on by the service"), who, number, flag),
    st.tuples(st.just("switch on what was proven in memory only"), who, number),
    st.tuples(st.just("switch by the service"), who, part, number),
    st.tuples(st.just("switch by the model"), who, part, number),
    st.tuples(st.just("set a strength"), who, part, strength),
    st.tuples(st.just("switch a part"), who, part, flag),
    st.tuples(st.just("go back"), who),
    st.tuples(st.just("judge"), number, flag, flag),
    st.tuples(st.just("quarantine"), number),
    st.tuples(st.just("delete"), who, number),
    st.tuples(st.just("edit as an operator"), number, st.sampled_from(["proven", "candidate"])),
    st.tuples(st.just("rate"), st.tuples(st.integers(1, 100), st.integers(1, 100))),
    st.tuples(st.just("choose instant"), who, flag, flag, st.integers(0, 100)),
    st.tuples(st.just("judge instant"), flag),
    st.tuples(st.just("forget"), flag),
)


def act(world: World, step: tuple) -> None:
    """Do one act; a refusal is an answer, too."""
    name, *given_ = step
    with suppress(AlignError, ValidationError), transaction.atomic():
        match name, *given_:
            case "switch on by the page", person, at, accepted:
                data = {"accept_unproven": "on"} if accepted else {}
                post(world, person, "adapters:switch_on", world.artifacts[at].pk, **data)
            case "switch on by the service", person, at, accepted:
                services.switch_on(getattr(world, person), fresh(world, at), accept_unproven=accepted)
            case "switch on what was proven in memory only", person, at:
                stale = fresh(world, at)
                stale.state = Artifact.State.PROVEN
                services.switch_on(getattr(world, person), stale, accept_unproven=True)
            case "switch by the service", person, kind, at:
                services.switch(getattr(world, person), change="Set", **{kind: fresh(world, at)})
            case "switch by the model", person, kind, at:
                owner = getattr(world, person)
                before = services.current_alignment(owner)
                given_before = before.composition() if before else {}
                Alignment.switch(owner, before, **{**given_before, kind: fresh(world, at), "change": "Set"})
            case "set a strength", person, kind, value:
                post(world, person, "adapters:strengths", **{f"{kind}_strength": value})
            case "switch a part", person, kind, on:
                post(world, person, "adapters:switch_part", part=kind, **({"on": "on"} if on else {}))
            case "go back", person:
                post(world, person, "adapters:go_back")
            case "judge", at, proven, safe:
                results = {"safety": SAFE if safe else UNSAFE}
                fresh(world, at).judge(proven=proven, verdict="Said.", results=results)
            case "quarantine", at:
                Artifact.objects.filter(pk=world.artifacts[at].pk).update(state="quarantined")
            case "delete", person, at:
                post(world, person, "adapters:delete", world.artifacts[at].pk, name=str(world.artifacts[at]))
            case "edit as an operator", at, state:
                place = reverse("admin:adapters_artifact_change", args=[world.artifacts[at].pk])
                world.clients["operator"].post(place, {"state": state})
            case "rate", scores:
                world.rate(scores)
            case "choose instant", person, on, beside, share:
                data = {
                    "share": share,
                    **({"on": "on"} if on else {}),
                    **({"beside": "on"} if beside else {}),
                }
                post(world, person, "instant:choose", **data)
            case "judge instant", safe:
                vector = instant.current(world.owner)
                if vector is not None:
                    vector.judge(SAFE if safe else UNSAFE)
            case "forget", back:
                post(world, "owner", "instant:remember" if back else "instant:forget")


def post(world: World, person: str, place: str, *args: object, **data: object) -> None:
    answer = world.clients[person].post(reverse(place, args=args), data)
    assert answer.status_code < 500


def fresh(world: World, at: int) -> Artifact:
    found = Artifact.objects.filter(pk=world.artifacts[at].pk).first()
    if found is None:
        raise AlignError("It was deleted.")
    return found


def holds(person: Person) -> None:
    """Check what each maker would hand to the engine for this person now."""
    for maker in ("base", "system_message", "alignment"):
        for acting in compose(person, maker=maker).interventions:
            assert 0 < acting["strength"] <= 1.5
            if acting["kind"] == "instant":
                vector = InstantVector.objects.get(pk=acting["artifact"])
                assert (vector.person, vector.digest) == (person, acting["digest"])
                # A new one waits for the worker, who asks the gate first.
                assert vector.state in ("new", "passed")
                assert (vector.gate is None) == (vector.state == "new")
                continue
            artifact = Artifact.objects.select_related("report_card").get(pk=acting["artifact"])
            assert (artifact.person, artifact.kind) == (person, acting["kind"])
            assert artifact.digest == acting["digest"]
            assert artifact.state in ("proven", "not_proven")
            assert artifact.report_card.results["safety"]["objection"] == ""


@pytest.mark.django_db
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(ACTS, min_size=1, max_size=12))
def test_whatever_is_done_nothing_is_served_that_did_not_pass_the_gate(settings, tmp_path, client_of, steps):
    settings.ARTIFACT_DIR, settings.CHECKPOINT_DIR = tmp_path / "artifacts", tmp_path / "checkpoints"
    with transaction.atomic():
        world = World.make(client_of)
        for step in steps:
            act(world, step)
            for person in (world.owner, world.other):
                holds(person)
        transaction.set_rollback(True)


WAYS = {
    "page": lambda at, _: ("switch on by the page", "owner", at, True),
    "service": lambda at, _: ("switch on by the service", "owner", at, True),
    "switch": lambda at, kind: ("switch by the service", "owner", kind, at),
    "model": lambda at, kind: ("switch by the model", "owner", kind, at),
    "row": lambda at, kind: ("set a strength", "owner", kind, "0.7"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("way", WAYS)
def test_each_way_in(client_of, settings, tmp_path, way):
    """Each way by itself, for every artifact; what passed the gate does get in."""
    settings.ARTIFACT_DIR = tmp_path
    world = World.make(client_of)
    for at, artifact in enumerate(world.artifacts):
        kind, condition = KINDS[at // len(CONDITIONS)], CONDITIONS[at % len(CONDITIONS)]
        act(world, WAYS[way](at, kind))
        if way == "row":  # an earlier program, or a hand in the database, has switched it on
            version = services.current_alignment(world.owner)
            AlignmentVersion.objects.filter(pk=version.pk).update(**{kind: artifact})
        holds(world.owner)
        served = [acting["artifact"] for acting in compose(world.owner, maker="alignment").interventions]
        assert (str(artifact.pk) in served) == (condition in ("proven", "not proven")), (kind, condition)
        act(world, ("switch a part", "owner", kind, False))


@pytest.mark.django_db
def test_going_back_leaves_out_what_was_quarantined_since(client_of, settings, tmp_path):
    settings.ARTIFACT_DIR = tmp_path
    world = World.make(client_of)
    act(world, ("switch on by the page", "owner", 0, True))
    act(world, ("switch on by the page", "owner", len(CONDITIONS), True))
    act(world, ("switch a part", "owner", "adapter", False))
    act(world, ("quarantine", 0))
    act(world, ("go back", "owner"))
    version = services.current_alignment(world.owner)
    assert (version.adapter, version.vector) == (None, world.artifacts[len(CONDITIONS)])


@pytest.mark.django_db
def test_a_verdict_holds_for_one_model_only(client_of, settings, tmp_path):
    """The very same tensor for another base model is asked about again."""
    settings.ARTIFACT_DIR = tmp_path
    world = World.make(client_of)
    world.rate((90, 10))
    vector = instant.current(world.owner)
    vector.judge(SAFE)
    InstantVector.objects.filter(pk=vector.pk).update(model_revision="another", digest="0" * 64)
    with transaction.atomic():
        renewed = instant.refresh(world.owner)
    assert (renewed.weights, renewed.state) == (vector.weights, "new")

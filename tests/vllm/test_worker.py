"""A generation worker with ALIGN_ENGINE=vllm writes replies as one with an engine of its own does."""

from __future__ import annotations

import pytest

from alignapp.accounts.models import Person
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.store import signing_key
from alignapp.chat import streams
from alignapp.chat.models import Conversation, Reply, Turn
from personalization import artifacts
from personalization.models.personal import save_vectors
from tests import tiny
from tests.gates import gate
from tests.vllm.conftest import HIDDEN, KEY
from workers import engines, refusals
from workers.tasks.generate import generate_reply

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def use(settings, base, server, store):
    """Return what makes this process use one engine or the other."""
    settings.ALIGN_MODEL, settings.ALIGN_THREADS = str(base.model.config._name_or_path), 1
    settings.ARTIFACT_DIR = store.folder
    settings.ALIGN_VLLM_URL, settings.ALIGN_VLLM_KEY = server.url, KEY
    made = []

    def choose(name: str) -> None:
        settings.ALIGN_ENGINE = name
        engines._engine.cache_clear()
        made.append(engines.engine_for_process())

    engines._base.cache_clear()
    refusals._verified.clear()
    yield choose
    for engine in made:
        engine.close()
    engines._base.cache_clear()
    engines._engine.cache_clear()
    streams.connection().flushdb()


def vector_of(person: Person, revision: str, settings) -> Artifact:
    temporary = settings.ARTIFACT_DIR / "temporary"
    save_vectors(tiny.vectors(seed=5, size=2.0, hidden=HIDDEN), temporary)
    sealed = artifacts.seal(
        temporary, settings.ARTIFACT_DIR, kind="vector", owner=str(person.id), model_revision=revision,
        method="steer", parameters={}, records=["r"], metrics={}, key=signing_key(),
    )  # fmt: skip
    artifact = Artifact.objects.create(
        person=person,
        job=Job.objects.create(person=person, method="steer", state=Job.State.DONE),
        number=1,
        kind="vector",
        digest=sealed.digest,
        size_bytes=1,
        model_revision=revision,
    )
    safety = gate(0.8, 0.8, 0.9, 0.9).as_dict()
    artifact.judge(proven=True, verdict="Proven: so.", results={"safety": safety})
    return artifact


def test_a_reply_with_a_persons_vector_is_the_same_from_either_engine(use, base, settings):
    person = Person.objects.create_user("writer@example.org", "a long pass phrase")
    artifact = vector_of(person, base.revision, settings)
    part = {"artifact": str(artifact.id), "digest": artifact.digest, "kind": "vector", "strength": 0.75}
    written = {}
    for engine in ("vllm", "local"):
        use(engine)
        for parts in ([part], []):
            turn = Turn.objects.create(conversation=Conversation.objects.create(person=person), text="Hello")
            sampling = {"temperature": 0.0, "max_new_tokens": 40, "seed": 1}
            reply = Reply.objects.create(
                turn=turn, position=0, maker=Reply.Maker.BASE, sampling=sampling, interventions=parts
            )
            generate_reply(str(reply.id))
            reply.refresh_from_db()
            assert (reply.status, reply.error) == (Reply.Status.DONE, "")
            written[engine, bool(parts)] = (reply.text, reply.token_count, reply.finish_reason)
    assert written["vllm", True] == written["local", True] != written["local", False]
    assert written["vllm", False] == written["local", False]

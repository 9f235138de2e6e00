"""Rows for tests of alignment: methods, feedback to learn from, jobs, sealed artifacts with report cards."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.adapters import store
from alignapp.adapters.models import Artifact, Job, MethodInfo
from alignapp.chat.models import Conversation
from alignapp.feedback.models import Feedback
from alignapp.feedback.services import record_feedback
from alignapp.instant.models import InstantVector
from personalization.artifacts import seal
from tests.gates import gate
from tests.web.rows import answered_turn

METHODS = {
    "dpo": ("pairs", "adapter", {"beta": {"default": 0.1, "low": 0.01, "high": 1.0}}),
    "steer": ("ratings", "vector", {"epochs": {"default": 3, "low": 1, "high": 10}}),
    "pas": ("inventory", "personality", {}),
    "values": ("values", "values", {}),
}


def methods() -> None:
    """Write the methods that workers would have written."""
    for name, (data, produces, parameters) in METHODS.items():
        MethodInfo.objects.create(
            name=name, data=data, produces=produces, summary=f"{name}.", paper="p", parameters=parameters
        )


def ready(person: Person, conversations: int = 8) -> None:
    """Give consent and enough ratings for adapters and vectors: three comparisons a conversation."""
    give_consent(person)
    for _ in range(conversations):
        turn, replies = answered_turn(Conversation.objects.create(person=person), "one", "two", "three")
        for reply, score in zip(replies, (80, 50, 20), strict=True):
            record_feedback(person, turn, Feedback.Kind.RATING, reply=reply, score=score)


def estimate(value: float, low: float | None, high: float | None, n: int = 40) -> dict[str, Any]:
    """Return one number as a report card holds it."""
    return {"value": value, "n": n, "low": low, "high": high}


def results(*, sinks: bool = False, low: float | None = 0.52) -> dict[str, Any]:
    """Return a card's results: right in 27 of 40."""
    return {
        "accuracy": {"base": estimate(0.5, 0.36, 0.64), "artifact": estimate(0.675, low, 0.8)},
        "difference": estimate(0.18, 0.02, 0.31),
        "log_likelihood": {
            "chosen": estimate(-7.0 if sinks else 2.0, -9.0, 3.0),
            "rejected": estimate(-12.0, -15.0, -8.0),
            "chosen_sinks": sinks,
        },
        "cost": {"perplexity_base": 20.0, "perplexity": 21.0, "kl_to_base": 0.03},
        "safety": gate(0.5, 0.5, 0.9, 0.9).as_dict(),
        "samples": [{"prompt": "<script>alert(1)</script>", "base": "<b>long</b>", "artifact": "short"}],
        "n_conversations": 10,
        "n_pairs": 40,
    }


def artifact(
    person: Person,
    method: str = "dpo",
    *,
    proven: bool | None = True,
    safe: bool = True,
    card: dict[str, Any] | None = None,
) -> Artifact:
    """Return a really sealed artifact of a finished job; `proven` None leaves it without a card."""
    job = Job.objects.create(person=person, method=method, state=Job.State.DONE, phase=Job.Phase.FINISHED)
    settings.ARTIFACT_DIR.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=settings.ARTIFACT_DIR))
    (folder / "adapter_model.safetensors").write_bytes(b"weights of " + job.id.bytes)
    sealed = seal(
        folder,
        settings.ARTIFACT_DIR,
        kind=METHODS[method][1],
        owner=str(person.pk),
        model_revision="smol@1",
        method=method,
        parameters={"beta": 0.1},
        records=["a", "b"],
        metrics={},
        key=store.signing_key(),
    )
    made = Artifact.of_job(
        job,
        kind=METHODS[method][1],
        digest=sealed.digest,
        size_bytes=sealed.size_bytes,
        model_revision="smol@1",
        summary={"layer": 14, "trials": [1, 2]},
    )
    if proven is not None:
        verdict = (
            "Proven: it prefers your choice." if proven else "Not proven: <i>12 more</i> could decide it."
        )
        safety = gate(0.5, 0.5 if safe else 0.2, 0.9, 0.9).as_dict()
        found = {"safety": safety, **(card or {**results(), "safety": safety})}
        made.judge(proven=proven, verdict=verdict, results=found)
    return made


def follows_ratings(person: Person) -> None:
    """Give a person the vector that follows their ratings."""
    InstantVector.objects.create(
        person=person, state=InstantVector.State.PASSED, digest="d" * 64, weights="w" * 64,
        model_revision="smol@1", ratings=24, prompts=8, strength=0.5,
    )  # fmt: skip

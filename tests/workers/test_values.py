"""Stated values become a part that acts: made by a job, as strong as the safety gate lets it be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from alignapp.accounts.consent import give_consent
from alignapp.accounts.models import Person
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.services import current_alignment, follow_values
from alignapp.audit.services import events_about
from alignapp.profiles.services import new_version
from personalization.models.personal import VECTORS
from personalization.values import effects
from tests import tiny
from tests.web import learned
from workers.engines import base_for_process
from workers.tasks.train import run_job

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]
PLAIN = "style.plain-words"


def build(folder: Path, *, length: float) -> None:
    """Write a direction of this length that was measured to work, as the shipped one was."""
    shipped = next(iter(effects.SHIPPED.glob(f"*/{effects.folder_name(PLAIN)}/{effects.MANIFEST}")))
    own = folder / effects.folder_name(PLAIN)
    own.mkdir(parents=True)
    (own / effects.MANIFEST).write_text(shipped.read_text())
    # Hidden states said to be so long that the limit by length never acts: what holds is the gate.
    (folder / "norms.json").write_text(json.dumps([1e6] * len(tiny.base().layers)))
    direction = torch.randn(tiny.HIDDEN, generator=torch.Generator().manual_seed(0))
    save_file({"layer.1.output": length * direction / direction.norm()}, own / VECTORS)


def stated(length: float, settings, tmp_path: Path) -> tuple[Person, Job]:
    """Return somebody whose stated value's direction has such a length, and the job that stating began."""
    settings.VALUES_DIR = tmp_path / "values"
    build(settings.VALUES_DIR / base_for_process().revision, length=length)
    learned.methods()
    person = Person.objects.create_user("stated@example.org", "a long pass phrase")
    give_consent(person)
    chosen = [{"key": PLAIN, "importance": 5}]
    new_version(person, "values", values={"chosen": chosen, "own": []})
    job = follow_values(person)
    assert job is not None
    return person, job


def test_what_was_stated_is_made_asked_about_and_switched_on(engine, settings, tmp_path):
    person, job = stated(1e-3, settings, tmp_path)
    run_job(str(job.id))
    job.refresh_from_db()
    assert (job.state, job.reason) == (Job.State.DONE, "")
    artifact = Artifact.objects.get(job=job)
    assert artifact.state == Artifact.State.PROVEN, artifact.report_card.verdict
    assert artifact.summary["share"] == 1
    assert artifact.most_strength == 1.5  # so weak a push passes stronger, too
    assert current_alignment(person).values == artifact
    switched = events_about(person).filter(verb="alignment.switched")
    assert [event.actor_label for event in switched] == ["worker"]  # nobody clicked


def test_what_no_weaker_strength_makes_safe_is_put_aside_and_acts_nowhere(engine, settings, tmp_path):
    person, job = stated(1e3, settings, tmp_path)
    run_job(str(job.id))
    artifact = Artifact.objects.get(job=job)
    assert artifact.state == Artifact.State.QUARANTINED
    assert artifact.summary["share"] < 1
    assert artifact.report_card.verdict.startswith("Not safe")
    current = current_alignment(person)
    assert current is None or current.values is None

"""`manage.py adapters`: what it lists, does and refuses, as words and as JSON."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from alignapp.accounts.consent import give_consent
from alignapp.adapters import store
from alignapp.adapters.aliases import active_ids
from alignapp.adapters.models import Artifact, Job, MergeWay
from alignapp.audit.models import AuditEvent
from tests.web import learned


def adapters(*words: str):
    out = StringIO()
    call_command("adapters", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_acts_from_the_terminal_are_those_of_the_panel_and_on_record(owner):
    artifact = learned.artifact(owner)
    assert [row["id"] for row in adapters("list", "--person", owner.pseudonym)] == [str(artifact.pk)]
    assert adapters("list", "--state", "quarantined") == []
    adapters("promote", str(artifact.pk), "--reason", "proven")
    assert adapters("show", artifact.digest[:12])["aliases"] == ["active"]
    assert adapters("quarantine", artifact.digest[:12], "--reason", "bad")["state"] == "quarantined"
    assert active_ids({owner.pk}) == set()
    with pytest.raises(CommandError, match="is quarantined and cannot be switched on"):
        adapters("promote", str(artifact.pk), "--reason", "again")
    done = AuditEvent.objects.filter(actor_label="terminal", object_id=str(artifact.pk)).order_by("id")
    assert [event.verb for event in done] == ["artifact.promoted", "artifact.quarantined"]


def test_verify_finds_what_was_changed_and_fails(owner):
    good, bad = learned.artifact(owner), learned.artifact(owner)
    (store.folder_of(bad) / "adapter_model.safetensors").write_bytes(b"planted")
    assert adapters("verify", str(good.pk)) == {"verified": 1, "damaged": []}
    with pytest.raises(SystemExit):
        adapters("verify")
    assert list(Artifact.objects.damaged()) == [bad]


def test_prune_says_first_and_a_name_that_fits_nothing_is_refused(owner):
    learned.artifact(owner)
    assert adapters("prune", "--days", "1", "--keep", "1")["would_delete"] == []
    with pytest.raises(CommandError, match="Say why"):
        adapters("prune", "--really")
    with pytest.raises(CommandError, match="No artifact has the id or digest"):
        adapters("show", "abcdef123")


def test_a_merge_is_queued_once_with_its_weights_and_refused_where_it_may_not_be(owner, other):
    give_consent(owner)
    MergeWay.objects.create(
        name="ties",
        summary="s",
        paper="p",
        parameters={"density": {"default": 0.3, "low": 0.01, "high": 1.0}},
    )
    one, two, foreign = learned.artifact(owner), learned.artifact(owner), learned.artifact(other)
    unsafe = learned.artifact(owner, safe=False)

    def merge(*words: str):
        return adapters("merge", *words, "--reason", "contexts")

    for words, problem in [
        ((str(one.pk), "--way", "ties"), "Choose 2 to 8"),
        ((str(one.pk), str(foreign.pk), "--way", "ties"), "different people"),
        ((str(one.pk), str(unsafe.pk), "--way", "ties"), "out of service"),
        ((str(one.pk), f"{two.pk}=0", "--way", "ties"), "leaves the adapter out"),
        ((str(one.pk), str(two.pk), "--way", "tise"), "Did you mean ties"),
        ((str(one.pk), str(two.pk), "--way", "ties", "--set", "density=3"), "must lie in"),
        ((str(one.pk), str(two.pk), "--way", "ties", "--set", "density=x"), "needs a number"),
    ]:
        with pytest.raises(CommandError, match=problem):
            merge(*words)
    assert not Job.objects.filter(method="merge").exists()
    queued = merge(f"{one.pk}=0.5", two.digest, "--way", "ties", "--set", "density=0.4")
    job = Job.objects.get(pk=queued["job"])
    assert job.parameters["parameters"] == {"density": 0.4}
    assert sorted(each["weight"] for each in job.parameters["parents"]) == [0.5, 1.0]
    with pytest.raises(CommandError, match="has not ended yet"):
        merge(str(one.pk), str(two.pk), "--way", "ties")

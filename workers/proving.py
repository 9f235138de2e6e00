"""Judge what a job learned, on what it never saw and by the safety gate. Knows nothing of how it learned."""

from __future__ import annotations

from django.conf import settings

from alignapp.adapters import options, store
from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.services import switch_on
from personalization.values import effects
from workers.engines import plain_for_process
from workers.weakening import asked_further, gate_of
from workers.work import BEGINS, Evidence


def prove(work: Evidence, artifact: Artifact) -> None:
    """Judge this work's artifact; the row then has a card. Raises ArtifactError for a changed folder."""
    from personalization.evaluation import report
    from personalization.models.memory import peak_bytes

    work.job.report(Job.Phase.PROVE, BEGINS[Job.Phase.PROVE])
    store.check(artifact)
    if artifact.kind == Artifact.Kind.PERSONALITY:
        evidence = artifact.summary["proof"]  # on items that were held out while it was learned
        safety = gate_of(work, store.folder_of(artifact), artifact.kind)
        verdict = f"Not safe: {safety.objection}." if safety.objection else evidence["verdict"]
        artifact.judge(
            proven=evidence["proven"] and not safety.objection,
            verdict=verdict,
            results={**evidence, "safety": asked_further(work, artifact, safety)},
        )
        return
    if artifact.kind == Artifact.Kind.VALUES:
        _prove_values(work, artifact)
        return
    card = report.prove(
        work.base,
        store.folder_of(artifact),
        artifact.kind,
        work.held_out.pairs,
        system_message=work.system_message,
        learned_from=work.train.every,
        report=work.report(Job.Phase.PROVE),
        margins=options.gate_margins(),
        plain=plain_for_process(),
        safety=work.safety,
    )
    learned = {"pairs": len(work.train.pairs), "conversations": len(work.train.conversations)}
    results = {**card.as_dict(), "learned_from": learned, "ties": work.records.ties}
    results["safety"] = asked_further(work, artifact, card.safety)
    results["peak_bytes"] = peak_bytes(work.base.device)
    results["contradictions"] = work.records.contradictions
    verdict = card.verdict if card.safety.objection else card.verdict + _held_back(artifact, "it learned")
    artifact.judge(proven=card.proven, verdict=verdict, results=results)


def _prove_values(work: Evidence, artifact: Artifact) -> None:
    """Judge by what each value's direction was measured to do once, and by the safety gate here and now."""
    from personalization.directions.compose import verdict

    built = effects.read(effects.place(settings.VALUES_DIR, work.base.revision))
    proven, words, rows = verdict(artifact.summary["weights"], built)
    words += _held_back(artifact, "you asked for")
    safety = work.safety or gate_of(work, store.folder_of(artifact), artifact.kind)
    artifact.judge(
        proven=proven and not safety.objection,
        verdict=f"Not safe: {safety.objection}." if safety.objection else words,
        results={"values": rows, "safety": asked_further(work, artifact, safety)},
    )
    if artifact.state == Artifact.State.PROVEN and not work.job.base_revision:
        switch_on(work.job.person, artifact, by="worker")  # the person asked for it by moving a slider


def _held_back(artifact: Artifact, whole: str) -> str:
    """Return the sentence that says how much of a whole acts, where the gate lets less than all of it."""
    share = artifact.share
    return f" It acts at {100 * share:.0f} % of what {whole}: more was not safe." if share < 1 else ""

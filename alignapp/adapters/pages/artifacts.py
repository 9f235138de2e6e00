"""An artifact's page: its report card, where it comes from, and whether its files are intact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from alignapp.adapters import card, duels, kinds, services, store
from alignapp.adapters.headline import headline
from alignapp.adapters.models import Artifact, MethodInfo
from alignapp.adapters.pages.parts import artifact_view
from alignapp.adapters.pages.values import acting_chart
from alignapp.adapters.together import findings
from alignapp.charts import BarChart
from alignapp.feedback import repeats
from personalization.errors import ArtifactError


def artifact_page(artifact: Artifact) -> dict[str, Any]:
    """Return the context of an artifact's page: its report card and where it comes from."""
    report = getattr(artifact, "report_card", None)
    results = report.results if report else {}
    try:
        manifest, integrity = store.check(artifact), ""
    except ArtifactError as error:
        manifest, integrity = {}, str(error)
    records = manifest.get("records")
    return {
        "view": artifact_view(artifact, services.current_alignment(artifact.person)),
        "artifact": artifact,
        "report": report,
        "headline": headline(results),
        "sentence": card.sentence(report) if report else "",
        "charts": [chart for chart in _charts(artifact, results) if chart is not None],
        "is_served_in_int8": settings.ALIGN_ENGINE == "local" and settings.ALIGN_DECODE_WEIGHTS == "int8",
        "duels": len(duels.waiting(artifact)),
        "consistency": repeats.consistency(artifact.person) if "accuracy" in results else None,
        "likelihood": card.likelihood_chart(results),
        "tradeoff": card.tradeoff_curves(results),
        "tradeoff_words": card.tradeoff_words(results),
        "entangled": card.entangled(artifact.summary),
        "chosen_sinks": card.chosen_sinks(results),
        "difference": card.difference(results),
        "costs": [*card.costs(results), *card.writing(results)],
        "safety": card.safety(results),
        "calibration": kinds.calibration_plot(results),
        "calibration_figures": kinds.calibration_figures(results),
        "tests": findings(results),
        "values_chart": acting_chart(results),
        "kinds": kinds.kinds(artifact, results) if results.get("accuracy") else [],
        "summary": summary(artifact.summary),
        "samples": results.get("samples", []),
        "n_pairs": results.get("n_pairs"),
        "n_conversations": results.get("n_conversations"),
        "n_records": len(records) if isinstance(records, list) else None,
        "n_train": len(artifact.job.split.get("train", ())),
        "parameters": _parameters(artifact, manifest),
        "method": MethodInfo.objects.filter(name=artifact.job.method).first(),
        "integrity": integrity,
        "others": Artifact.objects.for_person(artifact.person)
        .filter(kind=artifact.kind)
        .exclude(pk=artifact.pk),
    }


def _parameters(artifact: Artifact, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what it was made with; of a merge not the other adapters, which may be other people's."""
    found: Mapping[str, Any] = manifest.get("parameters") or artifact.job.parameters
    return {name: value for name, value in found.items() if name not in ("weights", "parents", "parameters")}


def _charts(artifact: Artifact, results: Mapping[str, Any]) -> list[BarChart | None]:
    return [
        card.blind_chart(duels.won(artifact)),
        card.accuracy_chart(results),
        card.comparison_chart(results),
        card.error_chart(results),
    ]


def summary(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the single numbers and words of what was learned, for reading; tables stay in the manifest.

    The verdict says what share of it acts; a steering vector's strength is what acts of it.
    """
    if "strength" in found:
        found = {**found, "strength": found["strength"] * found.get("share", 1.0)}
    return [
        (name.replace("_", " ").capitalize(), f"{value:.4g}" if isinstance(value, float) else str(value))
        for name, value in found.items()
        if name not in ("method", "share")
        and isinstance(value, str | int | float)
        and not isinstance(value, bool)
    ]

"""What the operators' page of artifacts side by side shows: cards, the same held-out feedback, weights.

Knows nothing of requests. Cards are laid out as they are; what is put to all of them alike a worker computes,
and the page waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from alignapp.adapters import card, comparison
from alignapp.adapters.aliases import active_ids
from alignapp.adapters.models import Alignment, Artifact
from alignapp.adapters.together import findings
from alignapp.charts import interval_words, percent
from alignapp.panel.comparing_forms import AskForm, MergeForm
from alignapp.panel.pages import held_out
from alignapp.studies.merging import agreed_study
from personalization.errors import AlignError
from personalization.inventory.meaning import meanings
from personalization.values.taxonomy import values


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the comparison: a number of every artifact, as words."""

    name: str
    values: list[str]


def compare_page(
    artifacts: Sequence[Artifact], *, merge_form: MergeForm | None = None, ask_form: AskForm | None = None
) -> dict[str, Any]:
    """Return the context of several artifacts side by side, with what a merge of them needs to know.

    A form that was refused is shown as it was typed.
    """
    pointers = Alignment.objects.filter(person__in={a.person_id for a in artifacts})
    active = active_ids(set(pointers.values_list("person", flat=True)))
    adapters = [a for a in artifacts if a.kind == Artifact.Kind.ADAPTER]
    group, obstacle = None, ""
    if len(adapters) == len(artifacts) and len({a.person_id for a in artifacts}) > 1:
        try:
            group = agreed_study(artifacts)
        except AlignError as error:
            obstacle = str(error)
    mergeable = len(adapters) == len(artifacts) > 1 and not obstacle
    if mergeable and merge_form is None:
        merge_form = MergeForm(artifacts=artifacts)
    return {
        "artifacts": artifacts,
        "active": active,
        "lines": _lines(artifacts),
        "held_out": held_out.held_out_of(artifacts),
        "weights": weights_of(adapters) if len(adapters) > 1 else None,
        "mergeable": mergeable,
        "group": group,
        "obstacle": obstacle,
        "merge_form": merge_form if mergeable else None,
        "ask_form": ask_form or AskForm(),
        "ids": "&".join(f"id={a.pk}" for a in artifacts),
    }


def compared(artifacts: Sequence[Artifact]) -> dict[str, Any]:
    """Return the same for programs and terminals, JSON-ready; `waits` names what a worker still computes."""
    adapters = [a for a in artifacts if a.kind == Artifact.Kind.ADAPTER]
    weights = weights_of(adapters) if len(adapters) > 1 else None
    same = held_out.held_out_of(artifacts)
    told = {"held_out": same, "weights": weights}
    return {
        "artifacts": [
            {"id": str(a.pk), "name": str(a), "person": a.person.pseudonym, "state": a.state}
            for a in artifacts
        ],
        "lines": [{"name": line.name, "values": line.values} for line in _lines(artifacts)],
        "held_out": held_out.as_json(same) if same and not same.get("waits") else None,
        "weights": _plain_weights(weights) if weights and not weights["waits"] else None,
        "waits": [name for name, one in told.items() if one and one.get("waits")],
    }


def _plain_weights(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "first": str(pair["first"].pk),
            "second": str(pair["second"].pk),
            **{name: round(pair[name], 4) for name in ("cosine", "sign_conflict", "overlap")},
        }
        for pair in found["pairs"]
    ]


def _lines(artifacts: Sequence[Artifact]) -> list[Line]:
    """Lay the cards out: what each says of choices, ability, cost, safety, and of each value or facet."""
    tables = [_told(artifact.report_card.results) if _has_card(artifact) else {} for artifact in artifacts]
    names = dict.fromkeys(name for table in tables for name in table)
    return [Line(name, [table.get(name, "-") for table in tables]) for name in names]


def _told(results: Mapping[str, Any]) -> dict[str, str]:
    told = {f.name: f"{f.words} ({f.interval})" for f in findings(results)}
    told |= {figure.name: figure.words for figure in (*card.costs(results), card.safety(results))}
    for row in results.get("values") or ():
        win = row["win_rate"]
        ends = interval_words(win["low"], win["high"], percent)
        told[_("Shows more of: %(value)s") % {"value": values()[row["value"]].label}] = (
            f"{percent(win['value'])} ({ends})"
        )
    for facet, (before, after) in (results.get("facets") or {}).items():
        name = _("Error, %(facet)s") % {"facet": meanings()[facet].label}
        told[name] = f"{before:.1f} → {after:.1f}"
    return told


def weights_of(adapters: Sequence[Artifact]) -> dict[str, Any]:
    """Return the heat map of every two adapters' conflict by layer; `waits` while a worker computes it."""
    ordered = sorted(adapters, key=lambda a: str(a.pk))
    found = comparison.compared(ordered)
    if found is None:
        return {"waits": True}
    pairs: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in found["rows"]:
        shade = min(10, max(0, round(5 + 5 * row["cosine"])))
        pairs.setdefault((row["first"], row["second"]), []).append({**row, "shade": shade})
    return {
        "waits": False,
        "problem": found.get("problem", ""),
        "several": len({a.person_id for a in adapters}) > 1,  # then a version's name does not say whose it is
        "layers": sorted({row["layer"] for row in found["rows"]}),
        "pairs": [
            {
                "first": ordered[first],
                "second": ordered[second],
                "cells": cells,
                "cosine": _mean(cells, "cosine"),
                "sign_conflict": 100 * _mean(cells, "sign_conflict"),
                "overlap": 100 * _mean(cells, "overlap"),
            }
            for (first, second), cells in pairs.items()
        ],
    }


def _mean(cells: Sequence[Mapping[str, Any]], name: str) -> float:
    return float(sum(cell[name] for cell in cells) / len(cells))


def _has_card(artifact: Artifact) -> bool:
    return getattr(artifact, "report_card", None) is not None

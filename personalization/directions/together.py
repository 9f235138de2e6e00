"""Values in company: two that are asked for both move, two that oppose each other cancel.

On the prompts of the report, which nothing is chosen by; the pairs follow from a rule, not from a look
at the outcome.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from personalization.directions import compose, learn
from personalization.directions.build import Candidate, Study
from personalization.directions.trial import compare
from personalization.engine.requests import Intervention
from personalization.evaluation.controls import random_row
from personalization.models.interventions import Row
from personalization.models.personal import SteeringVectors, load_vectors, save_vectors
from personalization.values import effects
from personalization.values.measures import measure_of
from personalization.values.taxonomy import values

PAIRS = 3  # of each kind


def measure(study: Study) -> dict[str, Any]:
    """Return and keep what pairs of values, opposed ones, and a random vector do; once for what was built."""
    file = study.folder / effects.COMBINED
    if file.exists():
        known: dict[str, Any] = json.loads(file.read_text())
        return known
    built = {key: made for key, made in effects.read(study.folder).items() if made["kind"] == "vector"}
    trials = []
    for first, second in allied(built)[:PAIRS]:
        out = study.trying / f"pair-{first}-{second}"
        acts = compose.compose(study.folder, {first: 1.0, second: 1.0}, out)
        how = f"both at full strength, scaled by {acts['scaled_by']:.2f}"
        trials.append(_trial(study, out, (first, second), how))
        study.tell(f"{first} and {second} together are measured")
    for first, second in opposed(built)[:PAIRS]:
        out = study.trying / f"opposed-{first}-{second}"
        save_vectors(_sum(study, built, first, second), out)
        trials.append(_trial(study, out, (first, second), "opposed: plain sum of equal norms"))
        study.tell(f"{first} against {second} is measured")
    for key in list(_by_choice(built))[:PAIRS]:
        out = study.trying / f"random-{key}"
        vectors = load_vectors(study.folder / effects.folder_name(key))
        anywhere = random_row(Row(vectors=((vectors, 1.0),)), seed=0)
        save_vectors(anywhere.vectors[0][0], out)
        trials.append(_trial(study, out, (key,), "control: a random vector of this one's place and norm"))
    found = {"limit": compose.limit(built), "trials": trials}
    file.write_text(json.dumps(found, indent=1))
    return found


def allied(built: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return pairs that do not oppose each other: the values that won most while choosing, two by two."""
    found: list[tuple[str, str]] = []
    left = list(_by_choice(built))
    known = values()
    while left:
        first = left.pop(0)
        # Another dimension or group: values of one group are often one measure in two disguises.
        mine = known[first]
        unlike = (o for o in left if o not in mine.opposes and known[o].group != mine.group)
        second = next(unlike, None)
        if second is not None:
            left.remove(second)
            found.append((first, second))
    return found


def opposed(built: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return pairs of the taxonomy that oppose each other, the ones that won most first."""
    order = list(_by_choice(built))
    return [
        (first, second)
        for i, first in enumerate(order)
        for second in order[i + 1 :]
        if second in values()[first].opposes
    ]


def _by_choice(built: Mapping[str, Mapping[str, Any]]) -> Mapping[str, float]:
    """Return each sound value's best win rate while choosing, the greatest first."""
    rates = {
        key: max((t["win_rate"]["value"] for t in made["trials"] if t["sound"]), default=0.0)
        for key, made in built.items()
    }
    return dict(sorted(((k, v) for k, v in rates.items() if v > 0), key=lambda pair: (-pair[1], pair[0])))


def _sum(study: Study, built: Mapping[str, Mapping[str, Any]], first: str, second: str) -> SteeringVectors:
    """Return both directions at the first one's place and strength: what cancels, cancels by direction."""
    about = built[first]["chosen"]
    parts = [
        learn.placed(learn.directions(study.pool, measure_of(key)), about["layers"], about["strength"])
        for key in (first, second)
    ]
    return SteeringVectors(
        {site: torch.stack([part.sites[site] for part in parts]).sum(dim=0) for site in parts[0].sites}
    )


def _trial(study: Study, folder: Path, keys: tuple[str, ...], how: str) -> dict[str, Any]:
    candidate = Candidate(Intervention("values", folder, folder.name), {})
    (after,), before = study.report_texts([("", candidate)])
    judged = {key: compare(measure_of(key), after, before, study.spreads) for key in keys}
    any_one = judged[keys[0]]
    return {
        "values": list(keys),
        "how": how,
        "win_rates": {key: trial.win_rate.as_dict() for key, trial in judged.items()},
        "effects": {key: trial.effect for key, trial in judged.items()},
        "relevance": any_one.relevance.as_dict(),
        "repetition": any_one.repetition.as_dict(),
    }

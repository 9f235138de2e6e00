"""The same values asked for in words: a system message alone, and beside the direction.

On the prompts of the report. A large model follows the message, a small one hardly does; which it is here
is measured. Knows nothing of how a direction was learned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from personalization.directions.build import Candidate, Study
from personalization.directions.trial import compare
from personalization.engine.requests import Intervention
from personalization.values import effects
from personalization.values.composer import Chosen, compose
from personalization.values.effects import MESSAGES
from personalization.values.measures import measure_of

IMPORTANCE = 5
AT_ONCE = 4  # values, so that a batch has enough rows


def measure(study: Study) -> dict[str, Any]:
    """Return and keep by value what the message alone and both do; what is known is not repeated."""
    built = {k: made for k, made in effects.read(study.folder).items() if made["kind"] != "none"}
    file = study.folder / MESSAGES
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    due = [key for key in built if key not in found]
    for start in range(0, len(due), AT_ONCE):
        some = due[start : start + AT_ONCE]
        found |= _measured(study, {key: built[key]["kind"] for key in some})
        file.write_text(json.dumps(found, indent=1))
        study.tell(f"asked for in words: {min(start + AT_ONCE, len(due))} of {len(due)} values")
    return found


def _measured(study: Study, kinds: Mapping[str, str]) -> dict[str, Any]:
    arms = []
    for key, kind in kinds.items():
        place = study.folder / effects.folder_name(key)
        message = compose([Chosen(key, IMPORTANCE)], [], {}).text
        acting = Candidate(Intervention("values", place, f"{place}/{kind}"), {})
        arms += [(key, "message", message, None), (key, "both", message, acting)]
    texts, before = study.report_texts([(message, acting) for _, _, message, acting in arms])
    found: dict[str, Any] = {key: {} for key in kinds}
    for (key, arm, _, _), own in zip(arms, texts, strict=True):
        trial = compare(measure_of(key), own, before, study.spreads)
        found[key][arm] = {k: v for k, v in trial.as_dict().items() if k != "effects"}
    return found

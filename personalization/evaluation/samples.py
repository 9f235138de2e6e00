"""The same prompt answered by base and artifact, side by side, for a person to judge with their own eyes."""

from __future__ import annotations

from collections.abc import Sequence

from personalization.models.base import BaseModel
from personalization.models.generate import short_answers
from personalization.models.interventions import Interventions, Row
from personalization.records import Message


def side_by_side(
    base: BaseModel,
    interventions: Interventions,
    prompts: Sequence[tuple[Message, ...]],
    *,
    row: Row,
    system_message: str,
    seed: int,
) -> list[dict[str, str]]:
    """Return one {"prompt", "base", "artifact"} for each prompt; both arms draw with the same seed."""
    head = (Message("system", system_message),) if system_message else ()
    with interventions.everywhere(Row()):
        plain = short_answers(base, prompts, seed=seed)
    with interventions.everywhere(row):
        own = short_answers(base, [head + prompt for prompt in prompts], seed=seed)
    return [
        {"prompt": prompt[-1].content, "base": before, "artifact": after}
        for prompt, before, after in zip(prompts, plain, own, strict=True)
    ]

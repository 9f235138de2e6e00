"""The same prompt answered by base and artifact, side by side, for a person to judge with their own eyes."""

from __future__ import annotations

from collections.abc import Sequence

from personalization.models.base import BaseModel
from personalization.models.generate import answers_of_arms
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
    """Return one {"prompt", "base", "artifact"} for each prompt; both arms draw with the same noise."""
    head = (Message("system", system_message),) if system_message else ()
    arms = (Row(), prompts), (row, [head + prompt for prompt in prompts])
    plain, own = answers_of_arms(base, interventions, arms, seed=seed)
    return [
        {"prompt": prompt[-1].content, "base": before, "artifact": after}
        for prompt, before, after in zip(prompts, plain, own, strict=True)
    ]

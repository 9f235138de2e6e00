"""Does an artifact keep to its choice when the same question is asked in other words?

Three ways to ask that change no meaning, around the person's own words. Knows nothing of how the artifact was
learned. A choice that turns with the politeness of the question was never about the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.models.preference import score
from personalization.records import Message, Pair
from personalization.statistics import Estimate, clustered_mean

PARAPHRASES: tuple[Callable[[str], str], ...] = (
    lambda question: f"I have a question. {question}",
    lambda question: f"{question} Thank you for your help.",
    lambda question: question[:1].lower() + question[1:].rstrip("?.! "),
)


def paraphrased(pair: Pair, way: Callable[[str], str]) -> Pair:
    """Return the pair with its last message asked in another way."""
    *before, last = pair.prompt
    return replace(pair, prompt=(*before, Message(last.role, way(last.content))))


def robustness(
    base: BaseModel,
    interventions: Interventions,
    pairs: Sequence[Pair],
    row: Row,
    *,
    system_message: str,
    seed: int,
    usual: Sequence[float],
) -> Estimate:
    """Return the share of comparisons in which the artifact prefers the same answer however it is asked.

    By implicit reward over the base model under the same words; a pair counts once for each way. `usual` is
    what it prefers when the pairs are asked as they were (`Scored.implicit_reward`).
    """

    def prefers(asked: Sequence[Pair]) -> list[float]:
        plain = score(base, interventions, asked, row=Row(), system_message=system_message)
        own = score(base, interventions, asked, row=row, system_message=system_message)
        return own.implicit_reward(plain)

    kept, clusters = [], []
    for way in PARAPHRASES:
        found = prefers([paraphrased(pair, way) for pair in pairs])
        kept += [float(one == other) for one, other in zip(found, usual, strict=True)]
        clusters += [pair.conversation for pair in pairs]
    return clustered_mean(kept, clusters, seed=seed)

"""The steering vector that pairs imply, by the closed form that follows every rating: an adapter's teacher.

Knows nothing of training. What is held out never reaches it: it reads the pairs that it is given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch

from personalization.models.base import BaseModel
from personalization.models.logprobs import Completions
from personalization.models.personal import SteeringVectors
from personalization.records import Message, Pair
from personalization.steering.capture import mean_states
from personalization.steering.instant import Sums, layers_of, read_subject
from personalization.steering.reward import RatedPrompt

# Each answer takes a forward pass; four answers of 64 prompts take a minute on one core.
MOST_PROMPTS = 64
# As a teacher the vector goes this much further than on its own: what it does to plain text is not learned.
AS_TEACHER = 1.2


def rated_prompts(base: BaseModel, pairs: Sequence[Pair]) -> list[RatedPrompt]:
    """Return the answers to each prompt with their states and what its pairs make of each of them.

    An answer's margins, won less lost, are its centred rating times the number of answers where the pairs
    are all those of a prompt's ratings. The last MOST_PROMPTS prompts are read.
    """
    margins: dict[tuple[str, tuple[Message, ...]], dict[str, float]]
    margins = defaultdict(lambda: defaultdict(float))
    for pair in pairs:
        margins[pair.conversation, pair.prompt][pair.chosen] += pair.margin
        margins[pair.conversation, pair.prompt][pair.rejected] -= pair.margin
    kept = list(margins.items())[-MOST_PROMPTS:]
    items = [(prompt, text) for (_, prompt), texts in kept for text in texts]
    layers = list(layers_of(len(base.layers)))
    states = mean_states(base, Completions.encode(base, items))[:, layers].numpy()
    found, at = [], 0
    for (conversation, _), texts in kept:
        own = states[at : at + len(texts)]
        found.append(RatedPrompt(conversation, own, tuple(texts.values())))
        at += len(texts)
    return found


def taste_of(base: BaseModel, pairs: Sequence[Pair], directions: Path) -> SteeringVectors | None:
    """Return AS_TEACHER times the vector of these pairs; None where they say nothing or disagree.

    Of a prompt with all pairs of its ratings that is exactly the vector of the ratings (`rated_prompts`).
    `directions` is the model's folder of value directions, for the way to the subject.
    """
    if not pairs:
        return None
    layers = layers_of(len(base.layers))
    sums = Sums(layers)
    for number, prompt in enumerate(rated_prompts(base, pairs)):
        sums.put(str(number), prompt.states, prompt.scores)
    found = sums.direction(read_subject(directions, layers))
    if found is None:
        return None
    acting = zip(found.layers, torch.from_numpy(found.vectors), strict=True)
    return SteeringVectors({(layer, "output"): AS_TEACHER * vector for layer, vector in acting})

"""Choose the pairs that training uses from all that a person's feedback implies.

Four rated answers imply six pairs; the widest say most and cost the same. But of the answers that somebody
dislikes some only happened to stay with the question: learned from, they teach to leave it. Knows nothing of
the model that is trained.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from personalization.models.relevance import relevance
from personalization.records import Message, Pair
from personalization.training.settings import TrainingSettings

# What a chosen answer that is less relevant than the rejected one costs: a cosine of 1 is a whole slider.
OFF_TOPIC = 1.0
# More of them take from the taste what they give to the question.
TOPIC_EVERY = 6


def used_pairs(pairs: Sequence[Pair], settings: TrainingSettings) -> list[Pair]:
    """Return the pairs that training uses: the widest ones whose chosen answer stays with the question."""
    return widest_pairs(
        pairs,
        aim=settings.pairs_aimed_at,
        most_per_conversation=settings.most_pairs_per_conversation,
        margins=topical_margins(pairs),
    )


def topical_margins(pairs: Sequence[Pair]) -> list[float]:
    """Return each pair's margin, less what its chosen answer is farther from the question than the other."""
    both = ((p.prompt[-1].content, text) for p in pairs for text in (p.chosen, p.rejected))
    texts = list(dict.fromkeys(both))
    near = dict(zip(texts, relevance([q for q, _ in texts], [a for _, a in texts]), strict=True))
    return [
        p.margin
        + OFF_TOPIC * min(0.0, near[p.prompt[-1].content, p.chosen] - near[p.prompt[-1].content, p.rejected])
        for p in pairs
    ]


def topic_pairs(pairs: Sequence[Pair]) -> list[Pair]:
    """Return for one pair in six one that prefers its chosen answer to the next prompt's chosen answer.

    Both answers please the person; only the question tells them apart, so a model that learns from these
    keeps to the question while it learns the taste from the others (ours). None with a single prompt.
    """
    return [
        replace(own, conversation=f"{own.conversation}/topic", rejected=other.chosen, margin=1.0)
        for own, other in zip(pairs[::TOPIC_EVERY], pairs[1::TOPIC_EVERY], strict=False)
        if own.prompt != other.prompt and own.chosen != other.chosen
    ]


def widest_pairs(
    pairs: Sequence[Pair],
    *,
    aim: int,
    most_per_conversation: int,
    margins: Sequence[float] | None = None,
) -> list[Pair]:
    """Return the widest pair of each prompt; more of each, up to a limit, where that gives fewer than `aim`.

    A second pair of a prompt must bring an answer that the first did not hold, so that one answer that
    was liked or disliked most does not fill all places. `margins` stand for the pairs' own.
    """
    by_prompt: dict[tuple[str, tuple[Message, ...]], list[tuple[float, Pair]]] = defaultdict(list)
    for pair, margin in zip(pairs, margins or [pair.margin for pair in pairs], strict=True):
        by_prompt[pair.conversation, pair.prompt].append((margin, pair))
    per_conversation = min(max(1, math.ceil(aim / max(len(by_prompt), 1))), most_per_conversation)
    kept: list[Pair] = []
    for group in by_prompt.values():
        seen: set[str] = set()
        taken = 0
        for _, pair in sorted(group, key=lambda entry: -entry[0]):
            if taken < per_conversation and not {pair.chosen, pair.rejected} <= seen:
                kept.append(pair)
                seen |= {pair.chosen, pair.rejected}
                taken += 1
    return kept

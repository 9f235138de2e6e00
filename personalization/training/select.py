"""Choose the pairs that training uses from all that a person's feedback implies.

Knows nothing of models. Four rated answers imply six pairs; the widest say most and cost the same.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from personalization.records import Message, Pair


def widest_pairs(pairs: Sequence[Pair], *, aim: int, most_per_conversation: int) -> list[Pair]:
    """Return the widest pair of each prompt; more of each, up to a limit, where that gives fewer than `aim`.

    A second pair of a prompt must bring an answer that the first did not hold, so that one answer that
    was liked or disliked most does not fill all places.
    """
    by_prompt: dict[tuple[str, tuple[Message, ...]], list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_prompt[pair.conversation, pair.prompt].append(pair)
    per_conversation = min(max(1, math.ceil(aim / max(len(by_prompt), 1))), most_per_conversation)
    kept: list[Pair] = []
    for group in by_prompt.values():
        seen: set[str] = set()
        taken = 0
        for pair in sorted(group, key=lambda p: -p.margin):
            if taken < per_conversation and not {pair.chosen, pair.rejected} <= seen:
                kept.append(pair)
                seen |= {pair.chosen, pair.rejected}
                taken += 1
    return kept

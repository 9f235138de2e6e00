"""Many answers to each fresh prompt with one thing acting, and what the base model holds at each: kept.

What best-of-n chooses from. Their seeds are not those of the answers that they are judged against, so that
nobody is compared with a copy of their own answer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.people.pool import NEW_TOKENS, TOP_P, Pool
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Intervention, Sampling
from personalization.models.base import BaseModel
from personalization.models.logprobs import Completions
from personalization.records import Message
from personalization.steering.capture import mean_states
from personalization.steering.instant import layers_of

FIRST_SEED = 50_000_000  # above every seed of `benchmarks.people.pool`


@dataclass(frozen=True)
class Candidates:
    """`texts[i][j]` is the j-th answer to fresh prompt i; `file` holds the states beside the texts."""

    file: Path
    texts: list[list[str]]
    tokens: list[list[int]]

    @cached_property
    def states(self) -> NDArray[np.float32]:
        """The base model's mean states, (prompts, answers, layers, hidden)."""
        found: NDArray[np.float32] = np.load(self.file.with_suffix(".npy"))
        return found


def candidates_of(
    pool: Pool, base: BaseModel, engine: LocalEngine, acting: Sequence[Intervention], each: int, file: Path
) -> Candidates:
    """Return `each` answers to every fresh prompt of the pool, written at the first call."""
    if not file.exists():
        chats = [(Message("user", prompt),) for prompt in pool.fresh for _ in range(each)]
        streams = [
            engine.submit(
                GenerationRequest(str(i), chat, _sampling(FIRST_SEED * (pool.seed + 1) + i), tuple(acting))
            )
            for i, chat in enumerate(chats)
        ]
        ends = [event for stream in streams for event in stream if isinstance(event, Finished)]
        if broken := [end.error for end in ends if end.reason == "error"]:
            raise RuntimeError(f"{len(broken)} answers failed; the first: {broken[0]}")
        texts = [end.text.strip() for end in ends]
        if all(end.states is not None for end in ends):  # nothing acted: the engine kept them, at no pass
            kept = np.stack([end.states.means for end in ends if end.states is not None])
        else:
            states = mean_states(base, Completions.encode(base, list(zip(chats, texts, strict=True))))
            kept = states[:, list(layers_of(states.shape[1]))].numpy()
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file.with_suffix(".npy"), kept.reshape(len(pool.fresh), each, *kept.shape[1:]))
        found = Candidates(file, _by_prompt(texts, each), _by_prompt([end.token_count for end in ends], each))
        rest = {name: value for name, value in asdict(found).items() if name != "file"}
        file.write_text(json.dumps(rest))
    return Candidates(file, **json.loads(file.read_text()))


def _sampling(seed: int) -> Sampling:
    return Sampling(top_p=TOP_P, max_new_tokens=NEW_TOKENS, seed=seed)


def _by_prompt(values: list[Any], each: int) -> list[list[Any]]:
    return [values[i : i + each] for i in range(0, len(values), each)]

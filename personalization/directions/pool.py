"""The base model's own answers to neutral questions: what every value's direction is learned from.

Drawn once for each model and kept on disk; knows nothing of any value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Intervention, Sampling
from personalization.errors import AlignError
from personalization.models.base import BaseModel
from personalization.models.logprobs import Completions
from personalization.models.relevance import relevance
from personalization.records import Message
from personalization.steering.capture import mean_states
from personalization.values.prompts import POOL

SAMPLES = 8  # of each prompt
NEW_TOKENS = 96
TOP_P = 0.95  # as the application samples, at temperature 1
ROWS = 96  # answers at once: nobody waits for the first token here

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer to be sampled; the same seed with other interventions is its counterpart."""

    prompt: str
    seed: int
    interventions: tuple[Intervention, ...] = ()
    system_message: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """`answers[i]` are the samples for `prompts[i]`; `states` is (all answers, layers, hidden)."""

    prompts: Sequence[str]
    answers: Sequence[Sequence[str]]
    states: Tensor
    relevance: Sequence[float]  # of each answer to its prompt, in the order of `states`

    @property
    def groups(self) -> list[int]:
        """Which prompt each answer belongs to, in the order of `states`."""
        return [i for i, texts in enumerate(self.answers) for _ in texts]

    @property
    def texts(self) -> list[str]:
        """All answers, in the order of `states`."""
        return [text for texts in self.answers for text in texts]


@contextmanager
def engine_of(base: BaseModel) -> Iterator[LocalEngine]:
    """Open an engine that takes any number of requests."""
    engine = LocalEngine(base, max_rows=ROWS, queue_limit=1_000_000)
    try:
        yield engine
    finally:
        engine.close()


def answers(engine: LocalEngine, asked: Sequence[Asked], *, tell: Tell | None = None) -> list[str]:
    """Return the answers to all of these, written in one continuous batch. Raises AlignError."""
    streams = [
        engine.submit(
            GenerationRequest(
                str(i),
                _chat(one),
                Sampling(top_p=TOP_P, max_new_tokens=NEW_TOKENS, seed=one.seed),
                one.interventions,
            )
        )
        for i, one in enumerate(asked)
    ]
    texts: list[str] = []
    for stream in streams:
        end = next(event for event in stream if isinstance(event, Finished))
        if end.reason == "error":
            raise AlignError(end.error)
        texts.append(end.text.strip())
        if tell is not None and len(texts) % ROWS == 0:
            tell(f"{len(texts)} of {len(asked)} answers")
    return texts


def _chat(one: Asked) -> tuple[Message, ...]:
    head = (Message("system", one.system_message),) if one.system_message else ()
    return (*head, Message("user", one.prompt))


def pool_of(base: BaseModel, folder: Path, *, prompts: Sequence[str] = POOL, tell: Tell) -> Pool:
    """Return the model's pool, drawn at the first call and kept in `folder`."""
    file, states = folder / "pool.json", folder / "pool.safetensors"
    if not file.exists():
        asked = [Asked(p, SAMPLES * i + j) for i, p in enumerate(prompts) for j in range(SAMPLES)]
        with engine_of(base) as engine:
            texts = answers(engine, asked, tell=lambda words: tell(f"pool: {words}"))
        grouped = [texts[i : i + SAMPLES] for i in range(0, len(texts), SAMPLES)]
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"prompts": list(prompts), "answers": grouped}))
        states.unlink(missing_ok=True)
    kept = json.loads(file.read_text())
    if not states.exists():
        tell("pool: hidden states")
        items = [
            ((Message("user", prompt),), text)
            for prompt, texts in zip(kept["prompts"], kept["answers"], strict=True)
            for text in texts
        ]
        save_file({"states": mean_states(base, Completions.encode(base, items))}, states)
    asked_of = [p for p, texts in zip(kept["prompts"], kept["answers"], strict=True) for _ in texts]
    near = relevance(asked_of, [text for texts in kept["answers"] for text in texts])
    return Pool(kept["prompts"], kept["answers"], load_file(states)["states"], near)

"""What all people of one seed share: prompts, rated candidates with their hidden states, base answers.

Candidates are sampled once by the base model and rated by everybody, so that people differ by taste only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Intervention, Sampling
from personalization.models.base import BaseModel
from personalization.models.logprobs import Completions
from personalization.models.relevance import relevance
from personalization.records import Message
from personalization.simulation.prompts import draw_prompts
from personalization.steering.capture import mean_states

RATED, FRESH, CANDIDATES, NEW_TOKENS = 32, 24, 4, 96
TOP_P = 0.95  # as the application samples; the temperature is 1, so that candidates differ
# The base model's answers to each fresh prompt that its relevance is the mean of. Of a single one to each of
# 24 prompts it is off by 0.02 (one standard error), which is as much as a method may lose.
DRAWS = 25
Chat = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Pool:
    """One seed's texts; `candidates[i]` answer `rated[i]`, `base[i]` is the base model's for `fresh[i]`."""

    seed: int
    rated: list[str]
    fresh: list[str]
    candidates: list[list[str]]
    base: list[str]

    def sampling(self, index: int) -> Sampling:
        """Return how the answer to a fresh prompt is sampled: the same in all arms."""
        return Sampling(top_p=TOP_P, max_new_tokens=NEW_TOKENS, seed=10_000 * self.seed + index)


def answers(
    engine: LocalEngine, asked: Sequence[tuple[Chat, Sampling, tuple[Intervention, ...]]]
) -> list[str]:
    """Return the answers to all of these, written in one continuous batch."""
    streams = [
        engine.submit(GenerationRequest(str(i), chat, sampling, interventions))
        for i, (chat, sampling, interventions) in enumerate(asked)
    ]
    ends = [event for stream in streams for event in stream if isinstance(event, Finished)]
    if broken := [end.error for end in ends if end.reason == "error"]:
        raise RuntimeError(f"{len(broken)} answers failed; the first: {broken[0]}")
    return [end.text.strip() for end in ends]


def pool_of(
    seed: int, engine: LocalEngine, folder: Path, *, rated_prompts: int = RATED, fresh_prompts: int = FRESH
) -> Pool:
    """Return the seed's texts, made at the first call and kept in `folder`."""
    file = _file(seed, folder)
    if file.exists():
        return read_pool(seed, folder)
    rated, fresh = draw_prompts(seed, rated=rated_prompts, fresh=fresh_prompts)
    drawn = [
        (
            (Message("user", prompt),),
            Sampling(top_p=TOP_P, max_new_tokens=NEW_TOKENS, seed=1000 * seed + i * CANDIDATES + j),
            (),
        )
        for i, prompt in enumerate(rated)
        for j in range(CANDIDATES)
    ]
    texts = answers(engine, drawn)
    groups = [texts[i : i + CANDIDATES] for i in range(0, len(texts), CANDIDATES)]
    found = Pool(seed, list(rated), list(fresh), groups, [])
    base = answers(engine, [((Message("user", p),), found.sampling(i), ()) for i, p in enumerate(fresh)])
    found.base.extend(base)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(found)))
    return found


def read_pool(seed: int, folder: Path) -> Pool:
    """Return the texts of a seed that were drawn. Raises FileNotFoundError where none were."""
    return Pool(**json.loads(_file(seed, folder).read_text()))


def usual_relevance(pool: Pool, engine: LocalEngine, folder: Path, draws: int = DRAWS) -> float:
    """Return the mean cosine of fresh prompts with the base model's answers, over draws; kept in `folder`."""
    file = folder / f"relevance-{pool.seed}.json"
    if not file.exists():
        more = [
            ((Message("user", prompt),), replace(usual, seed=usual.seed + 100 * draw), ())
            for draw in range(1, draws)
            for i, prompt in enumerate(pool.fresh)
            for usual in [pool.sampling(i)]
        ]
        found = relevance(pool.fresh * draws, [*pool.base, *answers(engine, more)])
        file.write_text(json.dumps(sum(found) / len(found)))
    return float(json.loads(file.read_text()))


def states_of(pool: Pool, base: BaseModel, folder: Path) -> Tensor:
    """Return the candidates' mean hidden states (rated * CANDIDATES, layers, hidden), kept in `folder`."""
    file = folder / f"pool-{pool.seed}.safetensors"
    if not file.exists():
        items = [
            ((Message("user", prompt),), text)
            for prompt, group in zip(pool.rated, pool.candidates, strict=True)
            for text in group
        ]
        save_file({"states": mean_states(base, Completions.encode(base, items))}, file)
    return load_file(file)["states"]


def _file(seed: int, folder: Path) -> Path:
    return folder / f"pool-{seed}.json"

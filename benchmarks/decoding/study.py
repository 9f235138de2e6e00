"""The cells: each person's reward chooses among kept answers, and their hidden taste judges the choice.

Learning sees ratings only, as the application does: a vector from `personalization.steering.instant` and a
reward from `personalization.steering.reward`, both from the same first rated prompts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from benchmarks.decoding.candidates import Candidates, candidates_of
from benchmarks.decoding.cells import Cells
from benchmarks.people.arms import Rated, Vectors
from benchmarks.people.pool import CANDIDATES, pool_of, states_of
from personalization.decoding.objectives import Candidate, Objective, by_reward, by_reward_on_subject, choose
from personalization.engine.local import LocalEngine
from personalization.models.base import BaseModel
from personalization.simulation.people import population
from personalization.steering.instant import layers_of
from personalization.steering.reward import RatedPrompt, Reward, learn_reward
from personalization.values.effects import place

MOST, WITH_VECTOR = 8, 4  # attempts by the base model, which everybody shares, and with each one's vector
ROWS = 128
TUNED_ON = range(3)  # seeds by which it was chosen how much the question counts (`NEARNESS`)
ON_SUBJECT = "_on_subject"
Objectives = Callable[[str], Sequence[Objective]]  # what to choose by among answers to a question
VALUES = Path("var/values")


class Study:
    """Everything that the cells share; finished ones are in `folder`."""

    def __init__(
        self, base: BaseModel, folder: Path, pools: Path, people: int, *, sizes: dict[str, int]
    ) -> None:
        self._base, self._folder, self._pools, self._sizes = base, folder, pools, sizes
        self._engine = LocalEngine(base, max_rows=ROWS, queue_limit=1_000_000)
        self._people = population()[:people]
        self.cells = Cells(folder)

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()

    def run(self, seed: int, prompts: int, *, with_vector: bool) -> None:
        """Compute every cell of this seed and number of prompts that is not there yet."""
        pool = pool_of(seed, self._engine, self._pools, **self._sizes)
        states = states_of(pool, self._base, self._pools)
        plain = candidates_of(pool, self._base, self._engine, (), MOST, self._folder / f"base-{seed}.json")
        vectors = Vectors(states, self._folder, place(VALUES, self._base.revision))
        for person in self._people:
            rated = Rated.by(person, pool)
            last = "vector_best_of_4" if with_vector else "best_of_8"
            last += "" if seed in TUNED_ON else ON_SUBJECT
            if (person.description, seed, prompts, last) in self.cells.found:
                continue
            reward = reward_of(rated, states, prompts)
            self._choose(rated, prompts, reward, plain, {"base": 1, "best_of_4": 4, "best_of_8": 8})
            self._add(rated, prompts, "taste_best_of_8", plain, _by_taste(rated), 8, None)
            if with_vector:
                shape = vectors.own(rated, prompts)
                name = shape.interventions[0].digest if shape.interventions else f"base4-{seed}"
                steered = candidates_of(
                    pool, self._base, self._engine, shape.interventions, WITH_VECTOR,
                    self._folder / f"{name}-{seed}.json",
                )  # fmt: skip
                self._choose(rated, prompts, reward, steered, {"vector": 1, "vector_best_of_4": 4})
            print(f"seed {seed}, {prompts} prompts: {person.description}", file=sys.stderr, flush=True)

    def _choose(
        self, rated: Rated, prompts: int, reward: Reward | None, drawn: Candidates, arms: dict[str, int]
    ) -> None:
        for arm, attempts in arms.items():
            # Without a reward the plain answer is kept, at the plain cost: nothing is offered then.
            if reward is None or attempts == 1:
                self._add(rated, prompts, arm, drawn, lambda _: [], 1, reward)
                continue
            self._add(rated, prompts, arm, drawn, lambda _: [by_reward(reward)], attempts, reward)
            if rated.pool.seed not in TUNED_ON:
                name = arm + ON_SUBJECT
                self._add(rated, prompts, name, drawn, self._on_subject(reward), attempts, reward)

    def _on_subject(self, reward: Reward) -> Objectives:
        def objectives(question: str) -> list[Objective]:
            return [by_reward_on_subject(reward, lambda texts: self._near(question, texts))]

        return objectives

    def _near(self, question: str, texts: Sequence[str]) -> list[float]:
        return self.cells.relevance([question] * len(texts), texts)

    def _add(
        self, rated: Rated, prompts: int, arm: str, drawn: Candidates, objectives: Objectives,
        attempts: int, reward: Reward | None,
    ) -> None:  # fmt: skip
        written = []
        for i, (own, tokens) in enumerate(zip(drawn.texts, drawn.tokens, strict=True)):
            tried = [Candidate(own[j], tokens[j], drawn.states[i, j]) for j in range(attempts)]
            best = tried[choose(objectives(rated.pool.fresh[i]), tried)]
            written.append((best.text, sum(each.token_count for each in tried) / max(best.token_count, 1)))
        self.cells.add(rated, prompts, arm, written, reward)


def rated_prompts(rated: Rated, states: Tensor, count: int) -> list[RatedPrompt]:
    """Return a person's first `count` prompts; each is a conversation of its own."""
    kept = states[:, list(layers_of(states.shape[1]))].numpy()
    return [
        RatedPrompt(str(i), kept[i * CANDIDATES : (i + 1) * CANDIDATES], tuple(map(float, scores)))
        for i, scores in enumerate(rated.scores[:count])
    ]


def reward_of(rated: Rated, states: Tensor, count: int) -> Reward | None:
    """Return what a person's first `count` prompts say."""
    return learn_reward(rated_prompts(rated, states, count))


def _by_taste(rated: Rated) -> Objectives:
    """Choose by the hidden taste itself: what no reward can beat."""
    objective = Objective("taste", lambda them: [rated.person.taste(each.text) for each in them])
    return lambda _: [objective]

"""The policies that write each answer anew for a person: value-augmented sampling, look-ahead, nudging.

One answer at a time, some minutes of a core for a person, so each process takes some of the people. Nudging
wants a large base and a small aligned model; here both are of one size, the base and the same with the
person's vector, so what it says is how much of the vector words at unsure places bring. Both write greedily,
as published, so greedy answers of each alone stand beside it.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.decoding.cells import Cells, Written
from benchmarks.decoding.study import VALUES, reward_of
from benchmarks.people.arms import Rated, Vectors
from benchmarks.people.pool import NEW_TOKENS, read_pool, states_of
from personalization.decoding import ahead, nudging, value
from personalization.decoding.objectives import by_reward
from personalization.decoding.writer import Writer
from personalization.evaluation.report import row_of
from personalization.models.base import BaseModel, load
from personalization.models.interventions import Interventions
from personalization.models.precision import half_precision
from personalization.records import Message
from personalization.simulation.people import population
from personalization.steering.reward import Reward
from personalization.values.effects import place

SEED = 0  # of the texts
FIRST_SEED = 90_000_000  # as those of `candidates`: no answer is compared with itself
SEEDS_EACH = 10_000  # more than a search uses
NEVER, ALWAYS = 0.0, 1.1  # thresholds at which one of nudging's models writes everything
# How much value-augmented sampling tilts: of 0.1, 0.2, 0.3 and 0.5 the most that kept to the question, for
# six people with the texts of `benchmarks.methods`, none of which are asked here. The published 3 is in units
# of another value; with it this model writes no sentences.
BETA = 0.2

Writes = Callable[[str, int], Written]  # answers a prompt with a seed


@dataclass(frozen=True)
class Searches:
    """All that the people of one process share; `steered` is a model of its own, for vectors to act on."""

    base: BaseModel
    steered: BaseModel
    acting: Interventions
    cells: Cells
    vectors: Vectors
    states: Tensor

    def run(self, rated: Rated, prompts: int) -> None:
        """Compute every cell of a person that is not there yet; none where the ratings make no reward."""
        reward, shape = reward_of(rated, self.states, prompts), self.vectors.own(rated, prompts)
        if reward is None or not shape.interventions:
            return
        pool = rated.pool
        with self.acting.everywhere(row_of(shape.interventions[0].path, "vector")):
            for arm, write in self._arms(reward).items():
                if (rated.person.description, pool.seed, prompts, arm) in self.cells.found:
                    continue
                seeds = range(FIRST_SEED * (pool.seed + 1), 2**62, SEEDS_EACH)
                written = [write(prompt, seed) for prompt, seed in zip(pool.fresh, seeds, strict=False)]
                self.cells.add(rated, prompts, arm, written, reward)
                print(f"seed {pool.seed}: {arm}, {rated.person.description}", file=sys.stderr, flush=True)

    def _arms(self, reward: Reward) -> Mapping[str, Writes]:
        return {
            "value_sampling": lambda prompt, seed: self._valued(self.base, prompt, seed, reward),
            # The vector shifts all states alike, which no difference of values sees.
            "vector_value_sampling": lambda prompt, seed: self._valued(self.steered, prompt, seed, reward),
            "look_ahead": lambda prompt, seed: self._searched(prompt, seed, reward),
            "greedy": lambda prompt, _: self._nudged(prompt, NEVER),
            "greedy_nudged": lambda prompt, _: self._nudged(prompt, nudging.THRESHOLD),
            "greedy_vector": lambda prompt, _: self._nudged(prompt, ALWAYS),
        }

    def _valued(self, base: BaseModel, prompt: str, seed: int, reward: Reward) -> Written:
        found = value.write(base, _chat(prompt), reward, beta=BETA, max_new_tokens=NEW_TOKENS, seed=seed)
        return found.text.strip(), found.tokens_per_token

    def _searched(self, prompt: str, seed: int, reward: Reward) -> Written:
        writer, rounds = Writer(self.base, _chat(prompt)), -(-NEW_TOKENS // ahead.SEGMENT)
        found = ahead.search(writer, [by_reward(reward)], rounds=rounds, seed=seed)
        return found.candidate.text.strip(), found.tokens_per_token

    def _nudged(self, prompt: str, threshold: float) -> Written:
        chat = _chat(prompt)
        found = nudging.write(self.base, self.steered, chat, threshold=threshold, max_new_tokens=NEW_TOKENS)
        return found.text, 1.0


def compute(options: argparse.Namespace, folder: Path, pools: Path, share: int = 0, shares: int = 1) -> None:
    """Compute the missing cells of every `shares`-th person from `share` on; texts and states are there."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // shares))
    base = load(options.model, options.models)
    steered = replace(base, model=copy.deepcopy(base.model))
    wanted = not options.exact
    with half_precision(base, wanted=wanted), half_precision(steered, wanted=wanted):
        pool = read_pool(SEED, pools)
        states = states_of(pool, base, pools)
        vectors = Vectors(states, folder, place(VALUES, base.revision))
        study = Searches(base, steered, Interventions(steered), Cells(folder), vectors, states)
        for person in population()[: options.searched][share::shares]:
            study.run(Rated.by(person, pool), max(options.prompts))


def _chat(prompt: str) -> tuple[Message, ...]:
    return (Message("user", prompt),)

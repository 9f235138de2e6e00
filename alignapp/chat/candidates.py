"""Which candidates a turn gets: who makes them, how they are sampled and in which order they stand.

Knows nothing of rows or streams. Two makers that would act alike count as one, so that candidates
differ by what shapes them first and by sampling only where nothing else is left.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.conf import settings

from alignapp.adapters.composition import Composition, compose
from alignapp.chat.models import Reply
from personalization.engine.requests import Sampling

if TYPE_CHECKING:
    from alignapp.accounts.models import Person

LATER_COUNT = 2
# Temperature and top_p. At 1.0 the embedded model loses the thread within a paragraph; the colder, the more
# it repeats itself once values act: 2.8 % of all triples of tokens at 1.0, 3.9 % at 0.85, 5.7 % at 0.7 (of 8
# answers).
DEFAULT = (0.85, 0.95)
OTHERS = ((1.0, 0.95), (0.7, 0.95), (0.85, 0.9))
# Attempts at an answer that is thought about longer, as measured (`benchmarks.decoding`): they must differ.
BEST_OF, ATTEMPTS = 4, (1.0, 0.95)
# Most personal first: the first one answers when there is room for one only.
MAKERS = (Reply.Maker.ALIGNMENT, Reply.Maker.SYSTEM_MESSAGE, Reply.Maker.BASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer to be made."""

    maker: Reply.Maker
    composition: Composition
    sampling: Sampling
    attempts: int = 1  # of which the one that the person would like best is kept
    reward: str = ""  # the id of the reward model that says so, where it is not the person's own

    @property
    def decoding(self) -> dict[str, Any]:
        """What is asked for, as `Reply.decoding` has it."""
        best_of = {"best_of": self.attempts} if self.attempts > 1 else {}
        return {**best_of, **({"reward": self.reward} if self.reward else {})}


def count_for(person: Person, *, is_first: bool) -> int:
    """Return how many candidates a turn gets: 1 to 4, the person's own setting."""
    if is_first or person.candidate_count == 1:
        return person.candidate_count
    return LATER_COUNT


def distinct_makers(person: Person, *, personalised: bool) -> list[tuple[Reply.Maker, Composition]]:
    """Return the makers that act differently for this person, most personal first; base is always there."""
    if not personalised:
        return [(Reply.Maker.BASE, compose(person, maker=Reply.Maker.BASE))]
    found: dict[tuple[str, str], tuple[Reply.Maker, Composition]] = {}
    for maker in reversed(MAKERS):  # the plainest name wins where two makers act alike
        composition = compose(person, maker=maker)
        effect = (composition.system_message, repr(composition.interventions))
        found.setdefault(effect, (maker, composition))
    return list(reversed(found.values()))


def plan(
    makers: Sequence[tuple[Reply.Maker, Composition]], count: int, generator: random.Random
) -> list[Candidate]:
    """Return `count` candidates in the order shown; seeds differ, the order is random.

    The most personal maker is always among them. Two makers out of three are the most personal one
    and one of the others, drawn; places left over go to the most personal one, sampled differently. Where
    that one rests on the latest ratings, every second of them goes to the plainest one: a taste that is
    learned from its own answers only would never meet what it left out.
    """
    first, *others = makers
    kept = [first, *generator.sample(others, k=min(count - 1, len(others)))]
    seeds = generator.sample(range(2**31), k=count)
    candidates = [
        Candidate(maker, composition, _sampling(*DEFAULT, seed))
        for (maker, composition), seed in zip(kept, seeds, strict=False)
    ]
    plain = makers[-1] if first[1].follows_ratings else first
    for i, ((temperature, top_p), seed) in enumerate(zip(OTHERS, seeds[len(kept) :], strict=False)):
        shape = (plain if i % 2 == 0 else first)[1]
        candidates.append(Candidate(Reply.Maker.SAMPLING, shape, _sampling(temperature, top_p, seed)))
    generator.shuffle(candidates)
    return candidates


def longer(makers: Sequence[tuple[Reply.Maker, Composition]], generator: random.Random) -> list[Candidate]:
    """Return the one candidate of a turn that is thought about longer: the most personal maker's."""
    maker, composition = makers[0]
    # The attempts have the seeds that follow.
    seed = generator.randrange(2**31 - BEST_OF)
    return [Candidate(maker, composition, _sampling(*ATTEMPTS, seed), BEST_OF)]


def plain(sampling: Sampling) -> Sampling:
    """Return how one answer is sampled in the place of attempts, with the seed of the first."""
    temperature, top_p = DEFAULT
    return replace(sampling, temperature=temperature, top_p=top_p)


def _sampling(temperature: float, top_p: float, seed: int) -> Sampling:
    return Sampling(temperature=temperature, top_p=top_p, max_new_tokens=settings.MAX_NEW_TOKENS, seed=seed)

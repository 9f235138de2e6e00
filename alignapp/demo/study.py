"""The plan of the demonstration: what the simulated person does, step by step, and what is measured.

Knows nothing of terminals. Learning sees ratings only; the hidden taste judges fresh answers at the
end. Nothing depends on the seed but the person, their prompts and their noise.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from alignapp.adapters.models import Artifact, Job
from alignapp.adapters.phases import phase_words
from alignapp.chat.models import Reply
from alignapp.demo.visitor import Visitor
from personalization.simulation.people import SimulatedPerson
from personalization.simulation.prompts import draw_prompts
from personalization.statistics import Estimate, win_rate

RATED_PROMPTS = 42  # of which the application holds a quarter out
FRESH_PROMPTS = 24
CANDIDATES = 4
METHODS = {"steer": "steer", "adapter": "dpo"}
# What shapes the fresh answers of each arm; the system message is there in all but base.
ARMS = {
    "system_message": {"adapter": 0.0, "vector": 0.0},
    "steer": {"adapter": 0.0, "vector": 1.0},
    "adapter": {"adapter": 1.0, "vector": 0.0},
    "both": {"adapter": 1.0, "vector": 1.0},
}

Tell = Callable[[str, float], None]  # a step's name and its share done, 0 to 1


@dataclass
class Result:
    """What came of it: seconds of each step, the report cards, and fresh answers judged by the taste."""

    seed: int
    person: SimulatedPerson
    email: str
    steps: dict[str, float] = field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    proven: dict[str, bool] = field(default_factory=dict)
    fresh: dict[str, Estimate] = field(default_factory=dict)
    words: dict[str, float] = field(default_factory=dict)  # mean words of each arm's answers

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the seconds that the block takes to this step."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.steps[step] = self.steps.get(step, 0.0) + time.monotonic() - begun


def run(visitor: Visitor, person: SimulatedPerson, seed: int, tell: Tell) -> Result:
    """Do the main job once and return what was measured. Raises AlignError when a step fails."""
    result = Result(seed, person, visitor.email)
    rated, fresh = draw_prompts(seed, rated=RATED_PROMPTS, fresh=FRESH_PROMPTS)
    with result.timed("state values"):
        visitor.state_values(person.stated_values)
    with result.timed("candidates"):
        visitor.candidates(CANDIDATES)
        answers = _answers(visitor, rated, "candidates", tell)
    with result.timed("rate"):
        rng = random.Random(seed)  # noqa: S311 - a simulation, nothing secret
        for done, reply in enumerate(shown := [r for replies in answers for r in replies], start=1):
            visitor.rate(reply, person.rate(reply.text, rng))
            tell("rate", done / len(shown))
    for arm, method in METHODS.items():
        with result.timed(f"learn and prove {arm}"):
            artifact = visitor.wait_for_job(visitor.learn(method), _follow(f"learn {arm}", tell))
        result.cards[arm] = artifact.report_card.results
        result.proven[arm] = artifact.state == Artifact.State.PROVEN
        visitor.switch_on(artifact)
    with result.timed("fresh answers"):
        _compare(visitor, person, fresh, result, tell)
    return result


def _answers(
    visitor: Visitor, prompts: tuple[str, ...], step: str, tell: Tell, *, personalised: bool = True
) -> list[list[Reply]]:
    begun = visitor.ask(prompts, personalised=personalised)
    return visitor.wait_for_answers(begun, lambda ended, total: tell(step, ended / total))


def _follow(step: str, tell: Tell) -> Callable[[Job], None]:
    return lambda job: tell(f"{step}: {phase_words(job).lower()}", job.progress)


def _compare(
    visitor: Visitor, person: SimulatedPerson, prompts: tuple[str, ...], result: Result, tell: Tell
) -> None:
    """Ask new prompts under each arm and let the hidden taste, without noise, compare with base."""
    visitor.candidates(1)
    base = _answers(visitor, prompts, "fresh answers: base", tell, personalised=False)
    result.words["base"] = _mean_words(base)
    for arm, strengths in ARMS.items():
        visitor.set_strengths(**strengths)
        own = _answers(visitor, prompts, f"fresh answers: {arm}", tell)
        result.words[arm] = _mean_words(own)
        result.fresh[f"{arm}_vs_base"] = win_rate(
            [_wins(person, mine, theirs) for mine, theirs in zip(own, base, strict=True) if mine and theirs]
        )


def _wins(person: SimulatedPerson, mine: list[Reply], theirs: list[Reply]) -> float:
    return person.prefers(mine[0].text, theirs[0].text)


def _mean_words(answers: list[list[Reply]]) -> float:
    counts = [len(reply.text.split()) for replies in answers for reply in replies]
    return sum(counts) / max(len(counts), 1)

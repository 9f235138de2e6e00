"""What one person's model says to all statements, by each way of telling it who the person is.

Every arm is read in the same way: the five words' probabilities in several orders, calibrated. A model
that was not made to answer on this scale gets a line a + b * score, fitted on the learned items.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.papi.data import Answers, People
from personalization import registry
from personalization.inventory.items import items
from personalization.inventory.meaning import meanings
from personalization.inventory.scoring import score
from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import load_adapter
from personalization.records import Message, Pair, Records
from personalization.steering.fit import PersonalityFit, item_heads
from personalization.steering.scale import WORDS, Scale, expected, orders, question
from personalization.training.settings import TrainingSettings
from personalization.training.train import train_adapter

SHOTS = 6
STRENGTHS = (1.0, 2.0, 4.0, 6.0, 8.0, 10.0)  # PAlign tries about these; 0 is the base model
EPOCHS, PAIRS = 3, 120
ASKED = orders(2)  # for arms that need forward passes for each person


Head = Callable[[int, Sequence[int]], Sequence[Message]]  # (item, order) -> messages before the question


def nothing_before(_item: int, _order: Sequence[int]) -> Sequence[Message]:
    """Ask the statement alone."""
    return ()


@dataclass
class Reader:
    """One base model as the arms use it: reads all statements under whatever acts on it."""

    base: BaseModel
    scale: Scale
    people: People
    usual: torch.Tensor  # (orders, 5) of the base model in ASKED
    folder: Path

    def scores(self, head: Head = nothing_before, at: Sequence[int] | None = None) -> Answers:
        """Return the expected answers (items,), NaN at items that are not asked."""
        chosen = list(range(len(self.people.statements))) if at is None else list(at)
        statements = [self.people.statements[i] for i in chosen]
        reading = self.scale.read(statements, ASKED, head=lambda i, order: head(chosen[i], order))
        found = np.full(len(self.people.statements), np.nan)
        found[chosen] = expected(reading.logps, self.usual).numpy()
        return found

    def lined_up(self, person: int, scores: Answers) -> Answers:
        """Fit answer = a + b * score on the person's learned items and apply it everywhere."""
        known = self.people.shown(person)
        use = ~np.isnan(known) & ~np.isnan(scores)
        x, y = scores[use] - scores[use].mean(), known[use]
        slope = float(x @ y / (x @ x)) if (x @ x) > 0 else 0.0
        predicted: Answers = np.clip(y.mean() + slope * (scores - scores[use].mean()), 1.0, 5.0)
        return predicted


def prompting(reader: Reader, person: int) -> Answers:
    """Tell the model the person's five domains and most unusual facets in words."""
    given = _short_inventory(reader.people, person)
    found = score({n: int(v) for n, v in given.items()})
    facets = sorted(
        (f for f in found.facets.items() if f[1].t is not None), key=lambda f: -abs((f[1].t or 50) - 50)
    )
    words = [
        meanings()[key].of(s.level) for key, s in [*found.domains.items(), *facets[:5]] if s.t is not None
    ]
    message = Message("system", "Answer as this person would. " + " ".join(words))
    return reader.lined_up(person, reader.scores(lambda _, __: (message,)))


def few_shot(reader: Reader, person: int) -> Answers:
    """Show the model the person's own answers to the learned items that are most like the one asked."""
    people, known = reader.people, reader.people.shown(person)
    answered = [int(i) for i in people.learned if not np.isnan(known[i])]

    def head(item: int, order: Sequence[int]) -> list[Message]:
        like = sorted(
            (i for i in answered if i != item),
            key=lambda i: (
                people.facets[i] != people.facets[item],
                people.facets[i][0] != people.facets[item][0],
                i,
            ),
        )
        shown = [(question(people.statements[i], order), WORDS[int(known[i]) - 1]) for i in like[:SHOTS]]
        return [part for ask, word in reversed(shown) for part in (ask, Message("assistant", word))]

    return reader.lined_up(person, reader.scores(head))


def pas(reader: Reader, person: int, base_scores: Answers) -> dict[str, Answers]:
    """Steer with PAlign's vectors: "pas_leak" takes the strength that is best on the held-out items."""
    people, method = reader.people, registry.get("pas")
    at = {number: i for i, number in enumerate(people.numbers_120) if number}
    given = _short_inventory(people, person)
    numbers = [n for n in given if at[n] in set(people.learned.tolist())]
    heads = item_heads(reader.base, reader.folder)
    fit = PersonalityFit(reader.base, heads, method, method.resolve({}))
    random.Random(person).shuffle(numbers)  # noqa: S311 - a reproducible split
    inside = numbers[: 2 * len(numbers) // 3]
    checked = [at[n] for n in numbers[2 * len(numbers) // 3 :]]
    truth = people.answers[person]

    interventions = Interventions(reader.base)
    partial, whole = fit.vectors([{n: given[n] for n in some} for some in (inside, numbers)])
    found = {0.0: reader.lined_up(person, base_scores)}
    checks = {0.0: float(np.abs(found[0.0] - truth)[checked].mean())}
    for strength in STRENGTHS:
        with interventions.everywhere(Row(vectors=((partial, strength),))):
            trial = reader.scores(at=[at[n] for n in numbers])
        trial_known = trial.copy()
        trial_known[checked] = np.nan
        line = _line(trial_known, truth)
        checks[strength] = float(np.abs(np.clip(line(trial), 1, 5) - truth)[checked].mean())
        with interventions.everywhere(Row(vectors=((whole, strength),))):
            found[strength] = reader.lined_up(person, reader.scores())
    interventions.remove()
    tests = {s: float(np.mean(people.errors(person, p))) for s, p in found.items()}
    return {
        "pas_leak": found[min(tests, key=tests.__getitem__)],
        "pas": found[min(checks, key=checks.__getitem__)],
    }


def dpo(
    reader: Reader, person: int, *, epochs: int = EPOCHS, pairs_aimed_at: int = PAIRS
) -> tuple[Answers, float]:
    """Train the application's adapter to prefer the person's word over the opposite one; with seconds."""
    people, rng = reader.people, random.Random(person)  # noqa: S311 - a reproducible draw
    known = people.shown(person)
    pairs = []
    for item in people.learned:
        if not np.isnan(known[item]):
            own = int(known[item])
            wrong = 6 - own if own != 3 else rng.choice((1, 5))
            prompt = question(people.statements[item], rng.choice(ASKED))
            pairs.append(Pair(str(item), (), (prompt,), WORDS[own - 1], WORDS[wrong - 1], 1.0))
    method = registry.get("dpo")
    settings = TrainingSettings(epochs=epochs, pairs_per_batch=8, pairs_aimed_at=pairs_aimed_at)
    with tempfile.TemporaryDirectory() as folder:
        out, begun = Path(folder) / "adapter", time.monotonic()
        train_adapter(
            reader.base, Records(pairs=tuple(pairs)), method, parameters=method.resolve({}),
            system_message="", out=out, checkpoints=Path(folder) / "checkpoints", seed=person,
            settings=settings,
        )  # fmt: skip
        seconds = time.monotonic() - begun
        interventions = Interventions(reader.base)
        with interventions.everywhere(Row(adapters=((load_adapter(out), 1.0),))):
            found = reader.scores()
        interventions.remove()
    return reader.lined_up(person, found), seconds


def _line(scores: Answers, truth: Answers) -> Callable[[Answers], Answers]:
    use = ~np.isnan(scores) & ~np.isnan(truth)
    x, y = scores[use] - scores[use].mean(), truth[use]
    slope = float(x @ y / (x @ x)) if (x @ x) > 0 else 0.0
    return lambda new: y.mean() + slope * (new - scores[use].mean())


def _short_inventory(people: People, person: int) -> dict[int, float]:
    """Return the learned items that are in the short inventory: its number -> agreement."""
    known = people.shown(person)
    return {
        number: float(known[i])
        for i, number in enumerate(people.numbers_120)
        if 1 <= number <= len(items()) and not np.isnan(known[i])
    }

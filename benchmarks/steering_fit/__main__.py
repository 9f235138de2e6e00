"""How long it takes to fit personality vectors (PAS), for one person and for a thousand.

    python -m benchmarks.steering_fit [--json FILE] [--page FOLDER] [--quick] [--repeats 7]

Answers are those of real people to the 120 items, repeated for larger groups. "Cold": the base model is read
at all items first; "from disk": what it held lies in the cache; "warm": it is in the process, as in a worker
after its first job. Beside it, on the same activations: PAlign's own fit, one of scikit-learn's logistic
regressions for each head, and the ridge regressions for each person and head that alignapp computed before.
Ways take turns; times are medians with their range. Needs `make install-bench`. Full: about five minutes.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cosine_similarity

from benchmarks.kept import options_of, publish
from benchmarks.machine import commit, machine
from benchmarks.papi.data import FOLDER, People
from benchmarks.steering_fit import others
from benchmarks.steering_fit.page import table, write_page
from benchmarks.timing import Times, Watch, by_turns
from personalization import registry
from personalization.inventory.items import ITEM_COUNT
from personalization.methods.pas import Directions, ItemHeads, directions
from personalization.models.base import BaseModel, load
from personalization.steering.fit import PersonalityFit, item_heads
from personalization.steering.personality import hold_out
from personalization.steering.questionnaire import Questionnaire

GROUPS = (10, 100, 1000)
ALONE = 10  # people who are fitted one after the other in one measurement
COMPARED = 12
Given = dict[int, float]  # item number -> agreement, 1 to 5


class Study:
    """The model, what its heads hold, and people's answers."""

    def __init__(self, base: BaseModel, folder: Path) -> None:
        method = registry.get("pas")
        self.base, self.folder = base, folder
        self.activations = Questionnaire(base).activations(folder, lambda _: None).flatten(2, 3)
        self.items = item_heads(base, folder)
        self.fit = PersonalityFit(base, self.items, method, method.resolve({}))
        self.people = whole_answers()
        self.partly = [self._without_held_out(i) for i in range(len(self.people))]
        self._cold = 0

    def crowd(self, count: int, *, partly: bool = False) -> list[Given]:
        """Return this many people; `partly`: each with items of their own held out, as a job does."""
        if partly:
            return [self._without_held_out(i) for i in range(count)]
        return [self.people[i % len(self.people)] for i in range(count)]

    def _without_held_out(self, who: int) -> Given:
        given = self.people[who % len(self.people)]
        train, _ = hold_out(list(given), seed=who)
        return {number: given[number] for number in train}

    def cold(self) -> None:
        """Fit one person to a model that nobody has read: a revision that neither memory nor disk knows."""
        self._cold += 1
        fresh = replace(self.base, revision=f"{self.base.revision}-{self._cold}")
        with tempfile.TemporaryDirectory() as folder:
            method = registry.get("pas")
            fit = PersonalityFit(fresh, item_heads(fresh, Path(folder)), method, method.resolve({}))
            fit.vectors(self.crowd(1))

    def from_disk(self) -> None:
        """Fit one person in a process that has not fitted anybody."""
        held = Questionnaire(self.base).activations(self.folder, lambda _: None)
        method = registry.get("pas")
        fit = PersonalityFit(self.base, ItemHeads.of(held.flatten(2, 3)), method, method.resolve({}))
        fit.vectors(self.crowd(1))


def whole_answers() -> list[Given]:
    """Return the real people who answered all 120 items: item number -> agreement."""
    people = People.read()
    at = {number: i for i, number in enumerate(people.numbers_120) if number}
    found = [
        {number: float(row[at[number]]) for number in range(1, ITEM_COUNT + 1)} for row in people.answers
    ]
    return [given for given in found if not any(value != value for value in given.values())]


def compare(study: Study) -> dict[str, Any]:
    """Return how far the ways agree; ends the program where ours differ from each other or from `anew`."""
    some = [*study.crowd(COMPARED // 2), *study.crowd(COMPARED // 2, partly=True)]
    agreement = torch.tensor(
        [[given.get(n, float("nan")) for n in range(1, ITEM_COUNT + 1)] for given in some]
    )
    together = directions(study.items, agreement, heads=others.HEADS)
    shared, cosines, gaps = [], [], []
    for who, given in enumerate(some):
        alone = directions(study.items, agreement[who : who + 1], heads=others.HEADS)
        rows = study.activations[[n - 1 for n in given]]
        before, theirs = others.anew(rows, list(given.values())), others.palign(rows, list(given.values()))
        ours = _one(together, who)
        for other in (_one(alone, 0), before):
            if set(other.heads) != set(ours.heads):
                sys.exit(f"Person {who}: two ways that must agree chose different heads.")
            gaps.append(_apart(ours, other))
        both = set(ours.heads) & set(theirs.heads)
        shared.append(len(both) / others.HEADS)
        cosines += [
            float(cosine_similarity(_at(ours, head), _at(theirs, head), dim=0)) for head in sorted(both)
        ]
    if max(gaps) > 1e-4:
        sys.exit(f"Two ways that must agree differ by {max(gaps):.1e} of the vectors' size.")
    return {
        "people": len(some),
        "greatest_relative_difference": max(gaps),
        "heads_shared_with_palign": sum(shared) / len(shared),
        "cosine_with_palign_on_shared_heads": sum(cosines) / max(len(cosines), 1),
    }


def _one(found: Directions, who: int) -> others.Found:
    return others.Found(found.heads[who].tolist(), found.added[who])


def _at(found: others.Found, head: int) -> torch.Tensor:
    return found.added[found.heads.index(head)]


def _apart(one: others.Found, other: others.Found) -> float:
    return max(float((_at(one, h) - _at(other, h)).norm() / _at(other, h).norm()) for h in one.heads)


def ways_of(study: Study) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return each way with the number of people that it fits."""
    few, apart = study.crowd(ALONE), study.crowd(ALONE, partly=True)
    answers = [list(given.values()) for given in few]
    rng = random.Random(0)  # noqa: S311 - who is fitted, nothing secret
    found: dict[str, tuple[int, Callable[[], object]]] = {
        "palign": (1, lambda: others.palign(study.activations, rng.choice(answers))),
        "anew": (ALONE, lambda: [others.anew(study.activations, given) for given in answers]),
        "from_disk": (1, study.from_disk),
        "warm": (ALONE, lambda: [study.fit.vectors([given]) for given in few]),
        "warm_held_out": (ALONE, lambda: [study.fit.vectors([given]) for given in apart]),
    }
    for count in GROUPS:
        crowd = study.crowd(count)
        found[f"together_{count}"] = (count, lambda crowd=crowd: study.fit.vectors(crowd))  # type: ignore[misc]
    own = study.crowd(100, partly=True)
    found["together_100_held_out"] = (100, lambda: study.fit.vectors(own))
    return found


def main() -> None:
    """Compare, time, print the table, and write JSON and page."""
    parser = options_of(__doc__, "steering_fit")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="3 repeats, the model is read anew only once")
    options = parser.parse_args()
    if find_spec("sklearn") is None:
        sys.exit("scikit-learn is missing, which PAlign's fit needs: make install-bench")
    if not FOLDER.exists():
        sys.exit(f"The people's answers are not in {FOLDER}; set ALIGN_DATA to the folder that holds papi/.")
    repeats = 3 if options.quick else options.repeats
    base = load(options.model, options.models, threads=options.threads)
    watch = Watch()
    study = Study(base, options.folder / "activations")
    agreed = compare(study)
    ways = ways_of(study)
    study.fit.vectors(study.crowd(1))  # the first call of all makes torch's threads
    times: dict[str, Times] = by_turns(
        {name: act for name, (_, act) in ways.items()}, repeats=repeats, tell=_tell
    )
    times |= by_turns({"cold": study.cold}, repeats=1 if options.quick else 5, tell=_tell)
    people = {name: count for name, (count, _) in ways.items()} | {"cold": 1}
    found = {
        "agreement": agreed,
        "ways": {name: {"people": people[name], **times[name].as_dict()} for name in times},
        "repeats": repeats,
        "heads": len(study.items.sizes),
        "quick": options.quick,
        "watch": watch.as_dict(),
        "model_revision": base.revision,
        "machine": machine(),
        "commit": commit(),
    }
    publish(options, found, table(found), write_page)


def _tell(name: str, seconds: float) -> None:
    print(f"{name} {seconds:.3f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

"""How fast many people's adapters train together, beside one after the other here and with TRL's DPOTrainer.

    python -m benchmarks.training [--json FILE] [--page FOLDER] [--quick] [--people 8] [--repeats 3]

Simulated people rate sampled answers; everybody's pairs train a LoRA adapter on the upper half of the layers.
All ways get the same tokens, batches, order, first matrices, learning rates, clipping and loss; what is our
own (the teacher, replayed text) is off. TRL is measured with reference log-probabilities computed once and
no gradient checkpointing, and as it comes, in float32. Each step's losses must agree within 1e-4, and people
who train together must get what they get alone, before anything is timed. Ways take turns. Needs
`make install-bench`. Full: about 15 minutes on two idle cores, --quick one. `--people 1 4 8 16` shows how
speed grows with company, `--prompts 5 --repeats 5` takes an hour and a half.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.kept import options_of, publish
from benchmarks.machine import commit, machine
from benchmarks.timing import Watch, by_turns
from benchmarks.training.arithmetic import multiply_adds
from benchmarks.training.lessons import Learner, learners, settings_of
from benchmarks.training.page import table, write_page
from personalization import registry
from personalization.models.base import BaseModel, load
from personalization.models.memory import peak_bytes, reset_peak
from personalization.progress import Progress
from personalization.records import Records
from personalization.training.settings import TrainingSettings
from personalization.training.train import Lesson, train_together

APART = 1e-4  # how far two ways' losses may differ
BETA = 0.1


class Ways:
    """Every way to train the same people, with the memory that it took."""

    def __init__(self, base: BaseModel, everybody: Sequence[Learner], settings: TrainingSettings) -> None:
        self._base, self._everybody, self._settings = base, everybody, settings
        self.peaks: dict[str, int] = {}

    def together(self, some: Sequence[Learner]) -> list[list[float]]:
        """Train these people in the same passes; return each one's losses, step by step."""
        losses: list[list[float]] = [[] for _ in some]

        def note(to: list[float], progress: Progress) -> None:
            to.extend([progress.values["loss"]] if progress.values else [])

        dpo = registry.get("dpo")
        with tempfile.TemporaryDirectory() as folder:
            lessons = [
                Lesson(
                    Records(pairs=tuple(learner.pairs)),
                    dpo,
                    Path(folder) / str(i) / "adapter",
                    Path(folder) / str(i) / "checkpoints",
                    dpo.resolve({"beta": BETA}),
                    seed=learner.seed,
                    settings=self._settings,
                    report=lambda progress, i=i: note(losses[i], progress),  # type: ignore[misc]
                )
                for i, learner in enumerate(some)
            ]
            ends = train_together(self._base, lessons)
        if failed := [end for end in ends if isinstance(end, Exception)]:
            raise failed[0]
        return losses

    def apart(self, some: Sequence[Learner]) -> list[list[float]]:
        """Train these people one after the other."""
        return [self.together([learner])[0] for learner in some]

    def trl(self, some: Sequence[Learner], *, plain: bool) -> list[list[float]]:
        """Train these people one after the other with TRL."""
        from benchmarks.training.with_trl import trained

        return [trained(self._base, learner, self._settings, beta=BETA, plain=plain) for learner in some]

    def measured(self, name: str, act: Callable[[], object]) -> Callable[[], None]:
        """Return a way that notes the most memory that it took."""

        def run() -> None:
            reset_peak(self._base.device)
            act()
            self.peaks[name] = max(self.peaks.get(name, 0), peak_bytes(self._base.device))

        return run

    def every(self, groups: Sequence[int], apart: int) -> dict[str, tuple[list[Learner], Callable[[], None]]]:
        """Return each way by its name, with whom it trains."""
        few = list(self._everybody[:apart])
        acts: dict[str, tuple[list[Learner], Callable[[], object]]] = {
            "apart": (few, lambda: self.apart(few)),
            "trl": (few, lambda: self.trl(few, plain=False)),
            "trl_plain": (few, lambda: self.trl(few, plain=True)),
        }
        for count in groups:
            crowd = list(self._everybody[:count])
            acts[f"together_{count}"] = (crowd, lambda crowd=crowd: self.together(crowd))  # type: ignore[misc]
        return {name: (who, self.measured(name, act)) for name, (who, act) in acts.items()}


def compare(ways: Ways, some: Sequence[Learner]) -> dict[str, Any]:
    """Return the first person's losses by every way, together with others; ends where they differ."""
    together, apart, first = ways.together(some), ways.apart(some), some[:1]
    from_alone = max(map(_greatest_difference, together, apart))
    if from_alone > APART:
        sys.exit(f"Losses together and alone differ by {from_alone:.1e}, so times would compare nothing.")
    curves = {
        "together": together[0],
        "apart": apart[0],
        "trl": ways.trl(first, plain=False)[0],
        "trl_plain": ways.trl(first, plain=True)[0],
    }
    gaps = {name: _greatest_difference(curve, curves["trl"]) for name, curve in curves.items()}
    for name, gap in gaps.items():
        if gap > APART:
            sys.exit(f"The losses of {name} and trl differ by {gap:.1e}, so times would compare nothing.")
    return {"losses": curves, "greatest_differences_from_trl": gaps, "together_from_alone": from_alone}


def _greatest_difference(one: Sequence[float], other: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def measure(ways: Ways, options: argparse.Namespace) -> dict[str, Any]:
    """Return every way's people, tokens, times and peak memory."""
    every = ways.every(options.people, options.apart)
    times = by_turns({name: act for name, (_, act) in every.items()}, repeats=options.repeats, tell=_tell)
    return {
        name: {
            "people": len(who),
            "tokens": sum(learner.tokens for learner in who),
            "peak_bytes": ways.peaks[name],
            **times[name].as_dict(),
        }
        for name, (who, _) in every.items()
    }


def main() -> None:
    """Compare losses, time every way, print the table, and write JSON and page."""
    parser = options_of(__doc__, "training")
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--people", type=int, nargs="+", default=[8], help="trained together")
    parser.add_argument("--apart", type=int, default=1, help="trained one after the other")
    parser.add_argument("--prompts", type=int, default=3, help="rated by everybody, four answers each")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="1 and 2 people, one epoch of 1 prompt, once")
    options = parser.parse_args()
    if missing := [name for name in ("trl", "datasets") if find_spec(name) is None]:
        sys.exit(f"{' and '.join(missing)} missing, which this compares with: make install-bench")
    if options.quick:
        options.people, options.repeats = [1, 2], 1
        options.prompts = options.epochs = 1
    base = load(options.model, options.models, threads=options.threads)
    settings = settings_of(epochs=options.epochs)
    watch = Watch()
    everybody = learners(
        base, max(2, *options.people, options.apart), prompts=options.prompts, settings=settings
    )
    ways = Ways(base, everybody, settings)
    agreed = compare(ways, everybody[:2])
    found = {
        "agreement": agreed,
        "ways": measure(ways, options),
        "repeats": options.repeats,
        "quick": options.quick,
        "pairs": everybody[0].encoded.size,
        "million_multiply_adds": multiply_adds(base, everybody[0], settings),
        "settings": asdict(settings),
        "watch": watch.as_dict(),
        "model_revision": base.revision,
        "machine": machine(),
        "commit": commit(),
    }
    publish(options, found, table(found), write_page)


def _tell(name: str, seconds: float) -> None:
    print(f"{name} {seconds:.1f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

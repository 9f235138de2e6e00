"""Learn, choose and report one value's direction after another; what is finished is not made again.

Three sets of prompts: the pool to learn from, others to choose layer, strength and form by, and a third
that is answered once, by what was chosen, for the report. With `draft` everything is computed in bfloat16
where that is faster; the manifest names the precision.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from personalization import __version__, registry
from personalization.directions import learn
from personalization.directions.pool import (
    NEW_TOKENS,
    SAMPLES,
    TOP_P,
    Asked,
    Pool,
    Tell,
    answers,
    engine_of,
    pool_of,
)
from personalization.directions.trial import Texts, Trial, compare, spreads_of
from personalization.engine.requests import Intervention
from personalization.errors import NotEnoughData
from personalization.models.base import BaseModel
from personalization.models.personal import save_vectors
from personalization.models.precision import half_precision, precision_of
from personalization.records import Records
from personalization.values.effects import FORMAT, MANIFEST, folder_name, forget_measured
from personalization.values.measures import measure_of
from personalization.values.prompts import CHOICE, REPORT

# Where a vector is tried first: several layers with a little in each kept more relevance at equal effect
# than one layer with much (16 prompts, four values).
DEPTHS: tuple[tuple[tuple[float, ...], float], ...] = (
    ((0.33, 0.47, 0.6, 0.73), 0.055),
    ((0.33, 0.47, 0.6, 0.73), 0.08),
)
ROUNDS = 1  # then the best of them again, stronger or weaker
SPENT = 0.04  # of relevance: what it costs grows with the square of the strength, so the next one is computed
ENOUGH = 0.9  # a win rate while choosing that needs no stronger vector
CHOICE_SEED, REPORT_SEED = 1_000_000, 2_000_000
AT_ONCE = 4  # values, so that a batch has enough rows


@dataclass(frozen=True)
class Candidate:
    """One form that a value's direction could take, written where the engine finds it."""

    intervention: Intervention
    about: dict[str, Any]  # layers and strength, or how the adapter was trained


# A system message, empty for none, and what acts beside it.
Arm = tuple[str, Candidate | None]


class Study:
    """What the values of one model share: the pool, and the base model's answers to compare with.

    With `draft` everything is computed in bfloat16 where that is faster.
    """

    def __init__(self, base: BaseModel, store: Path, *, draft: bool, tell: Tell) -> None:
        self.base, self.tell, self._draft = base, tell, draft
        self.folder = store / base.revision
        self.trying = self.folder / "trying"

    @cached_property
    def pool(self) -> Pool:
        """What every direction is learned from; with it come the norms and the way to the subject."""
        with half_precision(self.base, wanted=self._draft):
            found = pool_of(self.base, self.folder, tell=self.tell)
        norms = found.states.norm(dim=-1).mean(dim=0).tolist()
        (self.folder / "norms.json").write_text(json.dumps(norms))
        np.save(self.folder / "subject.npy", learn.towards_subject(found).numpy().astype("<f4"))
        return found

    @cached_property
    def spreads(self) -> Mapping[str, float]:
        """Each measure's standard deviation over the pool."""
        return spreads_of(self.pool.texts)

    @property
    def precision(self) -> str:
        """What is computed in."""
        return precision_of(self.base, wanted=self._draft)

    def judge_all(self, candidates: Sequence[tuple[str, Candidate]]) -> list[Trial]:
        """Try candidates of any values on the prompts for choosing, in one batch."""
        return self._judged(candidates, "choice", CHOICE, CHOICE_SEED)

    def report_all(self, candidates: Sequence[tuple[str, Candidate]]) -> list[Trial]:
        """Judge what was chosen on the prompts of the report."""
        return self._judged(candidates, self._report, REPORT, REPORT_SEED)

    def report_texts(self, arms: Sequence[Arm]) -> tuple[list[Texts], Texts]:
        """Return what is answered to the prompts of the report under each arm, and by the base model."""
        before = self._base_texts(self._report, REPORT, REPORT_SEED)
        return self._texts(arms, REPORT, REPORT_SEED), before

    @property
    def _report(self) -> str:
        return f"report-{self.precision}"

    def _judged(
        self, candidates: Sequence[tuple[str, Candidate]], name: str, prompts: Sequence[str], seed: int
    ) -> list[Trial]:
        before = self._base_texts(name, prompts, seed)
        texts = self._texts([("", candidate) for _, candidate in candidates], prompts, seed)
        return [
            compare(measure_of(key), own, before, self.spreads)
            for (key, _), own in zip(candidates, texts, strict=True)
        ]

    def _base_texts(self, name: str, prompts: Sequence[str], seed: int) -> Texts:
        """Return the base model's own answers, written once and kept."""
        file = self.folder / f"base-{name}.json"
        if not file.exists():
            self.tell(f"the base model's answers ({name})")
            file.write_text(json.dumps(self._answer([Asked(p, seed + i) for i, p in enumerate(prompts)])))
        return Texts.of(prompts, json.loads(file.read_text()))

    def _texts(self, arms: Sequence[Arm], prompts: Sequence[str], seed: int) -> list[Texts]:
        asked = [
            Asked(prompt, seed + i, (acting.intervention,) if acting else (), message)
            for message, acting in arms
            for i, prompt in enumerate(prompts)
        ]
        texts = self._kept(asked)
        parts = [texts[i : i + len(prompts)] for i in range(0, len(texts), len(prompts))]
        return [Texts.of(prompts, part) for part in parts]

    def _kept(self, asked: Sequence[Asked]) -> list[str]:
        """Return the answers; those that were written before a stop are not written again."""
        file = self.trying / "answers.json"
        kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        names = [
            _name(one.prompt, one.seed, one.system_message, *(each.digest for each in one.interventions))
            for one in asked
        ]
        due = [(name, one) for name, one in zip(names, asked, strict=True) if name not in kept]
        kept.update(zip([n for n, _ in due], self._answer([a for _, a in due]), strict=True))
        self.trying.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(kept))
        return [kept[name] for name in names]

    def _answer(self, asked: Sequence[Asked]) -> list[str]:
        with half_precision(self.base, wanted=self._draft), engine_of(self.base) as engine:
            return answers(engine, asked)

    def vector(self, key: str, depths: Sequence[float], strength: float) -> Candidate:
        """Write the value's vector at these depths (shares of the layers) and strength."""
        count = len(self.base.layers)
        layers = sorted({min(round(depth * count), count - 1) for depth in depths})
        name = _name(key, layers, strength)
        vectors = learn.placed(learn.directions(self.pool, measure_of(key)), layers, strength)
        save_vectors(vectors, self.trying / name)
        about = {"layers": layers, "depths": list(depths), "strength": strength}
        return Candidate(Intervention("vector", self.trying / name, name), about)

    def adapter(self, key: str) -> Candidate:
        """Train a small adapter on the pool's best against worst answers by the value's measure."""
        from personalization.training.settings import TrainingSettings
        from personalization.training.train import train_adapter

        found = learn.pairs(self.pool, measure_of(key))
        settings = TrainingSettings(pairs_aimed_at=len(found))
        name = _name(key, "adapter", len(found), settings)
        out, dpo = self.trying / name, registry.get("dpo")
        result: dict[str, Any] = {}
        if not (out / "adapter_config.json").exists():
            result = train_adapter(
                self.base,
                Records(pairs=tuple(found)),
                dpo,
                parameters=dpo.resolve({}),
                system_message="",
                out=out,
                checkpoints=self.trying / f"{name}-checkpoints",
                settings=settings,
            ).as_dict()
        return Candidate(Intervention("adapter", out, name), {"pairs": len(found), "training": result})


def build(
    study: Study, keys: Sequence[str], *, command: str, adapter_below: float = 0.75
) -> list[dict[str, Any]]:
    """Return the manifests of these values' directions, making those that are not there yet.

    `adapter_below`: a value whose best vector wins less than this while choosing gets an adapter tried
    too. A value in which the model's own answers do not differ enough has a manifest that says so.
    Raises UnknownName for a value without a measure.
    """
    for key in keys:
        measure_of(key)
    due = [key for key in keys if not (study.folder / folder_name(key) / MANIFEST).exists()]
    for start in range(0, len(due), AT_ONCE):
        some = due[start : start + AT_ONCE]
        study.tell(f"{start} of {len(due)} values are done; next: {', '.join(some)}")
        _make(study, some, command, adapter_below)
    return [json.loads((study.folder / folder_name(key) / MANIFEST).read_text()) for key in keys]


def _make(study: Study, keys: Sequence[str], command: str, adapter_below: float) -> None:
    begun = time.monotonic()
    possible = []
    for key in keys:
        try:
            learn.scores_of(study.pool, measure_of(key))
            possible.append(key)
        except NotEnoughData as error:
            _finish(study, key, None, {"cannot": str(error)}, command, 0.0)
    if not possible:
        return
    trials: dict[str, list[tuple[Candidate, Trial]]] = {key: [] for key in possible}
    first = [(key, study.vector(key, *shape)) for key in possible for shape in DEPTHS]
    _note(trials, first, study.judge_all(first))
    for _ in range(ROUNDS):
        more = []
        for key in possible:
            candidate, trial = max(trials[key], key=lambda pair: pair[1].rank)
            if not trial.is_sound or trial.win_rate.value < ENOUGH:
                strength = candidate.about["strength"] * _factor(trial)
                more.append((key, study.vector(key, candidate.about["depths"], strength)))
        _note(trials, more, study.judge_all(more))
    for key in possible:
        best = max(trial.rank for _, trial in trials[key])
        study.tell(
            f"{key}: the best vector wins {best[1]:.2f} while choosing{'' if best[0] else ', unsound'}"
        )
        if adapter_below > 0 and (not best[0] or best[1] < adapter_below):
            study.tell(f"{key}: training an adapter")
            candidate = study.adapter(key)
            trials[key] += zip([candidate], study.judge_all([(key, candidate)]), strict=True)
    chosen = [(key, max(trials[key], key=lambda pair: pair[1].rank)[0]) for key in possible]
    seconds = (time.monotonic() - begun) / len(possible)
    for (key, candidate), report in zip(chosen, study.report_all(chosen), strict=True):
        tried = [
            {
                "kind": each.intervention.kind,
                **each.about,
                **{k: v for k, v in trial.as_dict().items() if k != "effects"},
            }
            for each, trial in trials[key]
        ]
        _finish(study, key, candidate, {"trials": tried, "report": report.as_dict()}, command, seconds)
        study.tell(
            f"{key}: wins {report.win_rate.value:.2f} ({report.win_rate.low:.2f} to "
            f"{report.win_rate.high:.2f}), relevance {report.relevance.value:+.3f}, by {candidate.about}"
        )


def _factor(trial: Trial) -> float:
    """Return how much stronger or weaker to try next, from what this strength cost in relevance."""
    lost = max(-trial.relevance.value, 0.01)
    factor = (SPENT / lost) ** 0.5
    return max(1.25, min(factor, 1.6)) if trial.is_sound else max(0.4, min(factor, 0.8))


def _note(
    trials: dict[str, list[tuple[Candidate, Trial]]],
    candidates: Sequence[tuple[str, Candidate]],
    judged: Sequence[Trial],
) -> None:
    for (key, candidate), trial in zip(candidates, judged, strict=True):
        trials[key].append((candidate, trial))


def _finish(
    study: Study,
    key: str,
    candidate: Candidate | None,
    found: dict[str, Any],
    command: str,
    seconds: float,
) -> None:
    """Write the value's folder in one rename: the tensors that were chosen, and the manifest."""
    target = study.folder / folder_name(key)
    temporary = study.folder / f".{target.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    if candidate is not None:
        for file in candidate.intervention.path.iterdir():
            if file.is_file():
                shutil.copy2(file, temporary / file.name)
    manifest = {
        "format": FORMAT,
        "value": key,
        "measure": measure_of(key).says,
        "kind": candidate.intervention.kind if candidate else "none",
        "chosen": candidate.about if candidate else {},
        "model": study.base.name,
        "model_revision": study.base.revision,
        "pool": {
            "prompts": len(study.pool.prompts),
            "samples": SAMPLES,
            "tokens": NEW_TOKENS,
            "top_p": TOP_P,
        },
        "seeds": {"pool": 0, "choice": CHOICE_SEED, "report": REPORT_SEED},
        "precision": study.precision,
        "prompts": {"choice": len(CHOICE), "report": len(REPORT)},
        "base_spread": study.spreads[key],
        **found,
        "seconds": seconds,
        "command": command,
        "code_version": __version__,
        "files": {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(temporary.iterdir())
        },
    }
    (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True))
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    forget_measured(study.folder, key)


def _name(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

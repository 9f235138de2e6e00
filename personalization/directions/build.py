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
from collections.abc import Sequence
from dataclasses import dataclass
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
from personalization.models.precision import half_precision, half_precision_pays
from personalization.values.effects import FORMAT, MANIFEST, folder_name
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


class Study:
    """What the values of one model share: the pool, and the base model's answers to compare with."""

    def __init__(self, base: BaseModel, store: Path, *, draft: bool, tell: Tell) -> None:
        self.base, self.tell, self._draft = base, tell, draft and half_precision_pays(base)
        self.folder = store / base.revision
        with half_precision(base, wanted=self._draft):
            self.pool: Pool = pool_of(base, self.folder, tell=tell)
        self.spreads = spreads_of(self.pool.texts)
        self.trying = self.folder / "trying"
        norms = self.pool.states.norm(dim=-1).mean(dim=0).tolist()
        (self.folder / "norms.json").write_text(json.dumps(norms))
        np.save(self.folder / "subject.npy", learn.towards_subject(self.pool).numpy().astype("<f4"))

    @property
    def precision(self) -> str:
        """What is computed in."""
        served = str(self.base.model.dtype).removeprefix("torch.")
        return "bfloat16" if self._draft else served

    def answer(self, asked: Sequence[Asked], *, draft: bool) -> list[str]:
        """Return the answers; drafts in the faster precision where that is allowed."""
        with half_precision(self.base, wanted=draft and self._draft), engine_of(self.base) as engine:
            return answers(engine, asked)

    def base_texts(self, name: str, prompts: Sequence[str], seed: int, *, draft: bool) -> Texts:
        """Return the base model's own answers, written once and kept."""
        file = self.folder / f"base-{name}.json"
        if not file.exists():
            self.tell(f"the base model's answers ({name})")
            texts = self.answer([Asked(p, seed + i) for i, p in enumerate(prompts)], draft=draft)
            file.write_text(json.dumps(texts))
        return Texts.of(prompts, json.loads(file.read_text()))

    def judge_all(self, candidates: Sequence[tuple[str, Candidate]]) -> list[Trial]:
        """Try candidates of any values on the prompts for choosing, in one batch."""
        before = self.base_texts("choice", CHOICE, CHOICE_SEED, draft=True)
        return self._compared(candidates, before, CHOICE_SEED, draft=True)

    def report_all(self, candidates: Sequence[tuple[str, Candidate]]) -> list[Trial]:
        """Judge what was chosen on the prompts of the report."""
        draft = self._draft
        before = self.base_texts(f"report-{self.precision}", REPORT, REPORT_SEED, draft=draft)
        return self._compared(candidates, before, REPORT_SEED, draft=draft)

    def report_texts(self, candidate: Candidate) -> tuple[Texts, Texts]:
        """Return the answers to the prompts of the report with this acting, and the base model's."""
        before = self.base_texts(f"report-{self.precision}", REPORT, REPORT_SEED, draft=True)
        asked = [Asked(p, REPORT_SEED + i, (candidate.intervention,)) for i, p in enumerate(REPORT)]
        return Texts.of(REPORT, self._kept(asked, draft=True)), before

    def report_arms(self, arms: Sequence[tuple[str, Candidate | None]]) -> tuple[list[list[str]], Texts]:
        """Return the answers to the prompts of the report under each (system message, candidate)."""
        before = self.base_texts(f"report-{self.precision}", REPORT, REPORT_SEED, draft=True)
        asked = [
            Asked(p, REPORT_SEED + i, (acting.intervention,) if acting else (), message)
            for message, acting in arms
            for i, p in enumerate(REPORT)
        ]
        texts = self.answer(asked, draft=True)
        return [texts[i : i + len(REPORT)] for i in range(0, len(texts), len(REPORT))], before

    def _compared(
        self, candidates: Sequence[tuple[str, Candidate]], before: Texts, seed: int, *, draft: bool
    ) -> list[Trial]:
        prompts = before.prompts
        asked = [
            Asked(prompt, seed + i, (candidate.intervention,))
            for _, candidate in candidates
            for i, prompt in enumerate(prompts)
        ]
        texts = self._kept(asked, draft=draft)
        parts = [texts[i : i + len(prompts)] for i in range(0, len(texts), len(prompts))]
        return [
            compare(measure_of(key), Texts.of(prompts, part), before, self.spreads)
            for (key, _), part in zip(candidates, parts, strict=True)
        ]

    def _kept(self, asked: Sequence[Asked], *, draft: bool) -> list[str]:
        """Return the answers; those that were written before a stop are not written again."""
        file = self.trying / "answers.json"
        kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        names = [_name(draft, one.prompt, one.seed, one.interventions[0].digest) for one in asked]
        due = [(name, one) for name, one in zip(names, asked, strict=True) if name not in kept]
        kept.update(zip([n for n, _ in due], self.answer([a for _, a in due], draft=draft), strict=True))
        self.trying.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(kept))
        return [kept[name] for name in names]

    def vector(self, key: str, depths: Sequence[float], strength: float) -> Candidate:
        """Write the value's vector at these depths (shares of the layers) and strength."""
        count = len(self.base.layers)
        layers = sorted({min(round(depth * count), count - 1) for depth in depths})
        name = _name(key, layers, strength)
        vectors = learn.placed(learn.directions(self.pool, measure_of(key)), layers, strength)
        learn.write_vectors(vectors, self.trying / name)
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
                found,
                dpo,
                parameters=dpo.resolve({}),
                system_message="",
                out=out,
                checkpoints=self.trying / f"{name}-checkpoints",
                settings=settings,
            ).as_dict()
        return Candidate(Intervention("adapter", out, name), {"pairs": len(found), "training": result})


def build(
    base: BaseModel,
    keys: Sequence[str],
    store: Path,
    *,
    command: str,
    adapter_below: float = 0.75,
    draft: bool = True,
    tell: Tell = print,
) -> list[dict[str, Any]]:
    """Return the manifests of these values' directions, making those that are not there yet.

    `adapter_below`: a value whose best vector wins less than this while choosing gets an adapter tried
    too. A value in which the model's own answers do not differ enough has a manifest that says so.
    Raises UnknownName for a value without a measure.
    """
    for key in keys:
        measure_of(key)
    folder = store / base.revision
    due = [key for key in keys if not (folder / folder_name(key) / MANIFEST).exists()]
    if due:
        study = Study(base, store, draft=draft, tell=tell)
        for start in range(0, len(due), AT_ONCE):
            some = due[start : start + AT_ONCE]
            tell(f"{start} of {len(due)} values are done; next: {', '.join(some)}")
            _make(study, some, command, adapter_below)
        shutil.rmtree(study.trying, ignore_errors=True)
    return [json.loads((folder / folder_name(key) / MANIFEST).read_text()) for key in keys]


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


def _name(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

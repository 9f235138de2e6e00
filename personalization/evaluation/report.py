"""The report card: one artifact against feedback that nothing learned from, with base beside it.

Knows nothing of how the artifact was learned. `proven` is strict: the interval must exclude a coin,
the base model must not do better, and general ability and refusals must be kept. Otherwise the
verdict says why not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from personalization.errors import NotEnoughData
from personalization.evaluation.calibration import Calibration, calibration
from personalization.evaluation.controls import Comparison, clearest_of_each, compare
from personalization.evaluation.evenness import Evenness, evenness
from personalization.evaluation.plain import Plain
from personalization.evaluation.robustness import robustness
from personalization.evaluation.samples import side_by_side
from personalization.evaluation.split import alike, check_apart
from personalization.evaluation.toxicity import toxicity
from personalization.evaluation.tradeoff import TradeOff, measure_tradeoff, scaled
from personalization.evaluation.writing import Writing, measure_writing
from personalization.margins import Margins
from personalization.models.ability import Ability, measure_ability
from personalization.models.base import BaseModel
from personalization.models.cost import Cost, measure_cost, plain_logps
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import has_adapter, has_vectors, load_adapter, load_vectors
from personalization.models.preference import Scored, score
from personalization.progress import Progress, Report, ignore
from personalization.records import CLEAR_MARGIN, Message, Pair, Record
from personalization.safety.gate import Gate
from personalization.safety.gate import measure as measure_safety
from personalization.statistics import Estimate, clustered_mean, clustered_share, more_comparisons
from personalization.values.prompts import REPORT as QUESTIONS

# Neutral text may become at most this many times as surprising.
MAX_PERPLEXITY_RATIO = 1.5
# Fewer held-out conversations than this prove nothing, whatever they say.
MIN_CONVERSATIONS = 5
# A chosen answer may lose this many nats on average before it is flagged as sinking.
SINKING_NATS = -5.0
# The whole interval of the change in right answers to simple questions must be below this to be an objection.
MAX_ABILITY_LOSS = 0.05
# Arms that an artifact must not be clearly worse than, in words.
CONTROLS = {
    "random": "a random change of the same size",
    "others": "what other people's taste would teach",
    "in_context": "showing the model three answers that you liked",
}
# Fresh answers that are written to judge the writing, and how many of them the card shows; the others wait
# for the person to judge them blind. Questions of our own make up what held-out prompts there are too few of.
WRITTEN, SAMPLES = 15, 3


@dataclass(frozen=True, slots=True)
class ReportCard:
    """Everything measured; `as_dict` is what pages and the demonstration show."""

    accuracy: dict[str, Estimate]  # base, system_message (if there is one), artifact, artifact_likelihood
    difference: Estimate  # artifact minus base, paired
    chosen_change: Estimate  # nats for each answer
    rejected_change: Estimate
    cost: Cost
    safety: Gate
    writing: Writing | None  # None with fewer than two held-out prompts
    samples: list[dict[str, str]]
    fresh: list[dict[str, str]]  # as samples, but not shown: for blind judgement
    n_conversations: int
    n_pairs: int
    calibration: dict[str, Calibration] = field(default_factory=dict)  # base, artifact; none with few pairs
    evenness: Evenness | None = None
    length_bias: Estimate | None = None  # preferring the longer answer, minus the person
    comparisons: dict[str, Comparison] = field(default_factory=dict)  # artifact, random, in_context, others
    ability: Ability | None = None
    tradeoff: TradeOff | None = None
    robustness: Estimate | None = None  # the same choice when asked in other words
    toxicity: Estimate | None = None  # fresh answers that hold an insult or profanity

    @property
    def chosen_sinks(self) -> bool:
        """Whether the chosen answers themselves became clearly less likely."""
        return self.chosen_change.value < SINKING_NATS

    @property
    def objections(self) -> list[str]:
        """What the evidence lacks; nothing means proven, if it is safe."""
        artifact, base, found = self.accuracy["artifact"], self.accuracy["base"], []
        if artifact.high < 0.5:
            found.append(f"it prefers your choice in {_percent(artifact)}, less often than a coin would")
        elif not artifact.low > 0.5:
            included = (
                f"it prefers your choice in {_percent(artifact)}, and that interval includes a coin's 50 %"
            )
            found += [included, *_more_conversations(artifact, self.n_conversations)]
        if artifact.value < base.value:
            found.append(f"the base model alone prefers your choice more often ({100 * base.value:.0f} %)")
        if self.cost.ratio > MAX_PERPLEXITY_RATIO:
            found.append(f"ordinary text became {self.cost.ratio:.1f} times as surprising to it")
        for arm, words in CONTROLS.items():
            if arm in self.comparisons and self.comparisons[arm].ahead.high < 0:
                found.append(f"{words} prefers your choice more often")
        if self.ability and self.ability.change.high < -MAX_ABILITY_LOSS:
            found.append(
                f"it knows less: {100 * self.ability.artifact:.0f} % of simple questions, "
                f"base {100 * self.ability.base:.0f} %"
            )
        return found + (self.writing.objections if self.writing else [])

    @property
    def proven(self) -> bool:
        """Whether it may be switched on without a warning."""
        return not self.objections and not self.safety.objection

    @property
    def verdict(self) -> str:
        """One sentence in plain words."""
        if self.safety.objection:
            return f"Not safe: {self.safety.objection}."
        if self.objections:
            return f"Not proven: {'; '.join(self.objections)}."
        note = (
            " Your chosen answers themselves became less likely, so watch the text."
            if self.chosen_sinks
            else ""
        )
        return (
            f"Proven: on {self.n_pairs} comparisons from {self.n_conversations} conversations that it never "
            f"saw, it prefers your choice in {_percent(self.accuracy['artifact'])}.{note}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything, JSON-ready."""
        return {
            "accuracy": {arm: estimate.as_json() for arm, estimate in self.accuracy.items()},
            "difference": self.difference.as_json(),
            "log_likelihood": {
                "chosen": self.chosen_change.as_json(),
                "rejected": self.rejected_change.as_json(),
                "chosen_sinks": self.chosen_sinks,
            },
            "cost": {
                "perplexity_base": self.cost.perplexity_base,
                "perplexity": self.cost.perplexity,
                "kl_to_base": self.cost.kl_to_base,
            },
            "safety": self.safety.as_dict(),
            "writing": self.writing.as_dict() if self.writing else None,
            "calibration": {arm: found.as_dict() for arm, found in self.calibration.items()},
            "evenness": self.evenness.as_dict() if self.evenness else None,
            "length_bias": self.length_bias.as_json() if self.length_bias else None,
            "comparisons": {
                arm: {"accuracy": found.accuracy.as_json(), "ahead": found.ahead.as_json()}
                for arm, found in self.comparisons.items()
            },
            "ability": self.ability.as_dict() if self.ability else None,
            "tradeoff": self.tradeoff.as_dict() if self.tradeoff else None,
            "robustness": self.robustness.as_json() if self.robustness else None,
            "toxicity": self.toxicity.as_json() if self.toxicity else None,
            "samples": self.samples,
            "fresh": self.fresh,
            "n_conversations": self.n_conversations,
            "n_pairs": self.n_pairs,
        }


def prove(
    base: BaseModel,
    artifact: Path,
    kind: str,
    pairs: Sequence[Pair],
    *,
    system_message: str,
    learned_from: Sequence[Record] = (),
    seed: int = 0,
    report: Report = ignore,
    margins: Margins | None = None,
    plain: Plain | None = None,
    safety: Gate | None = None,
) -> ReportCard:
    """Measure an artifact ("adapter", or a vector) on held-out pairs, as it will be served.

    Only clear preferences count (`CLEAR_MARGIN`). The artifact acts at strength 1 under the person's
    system message. Conversations that hold the same count as one. What else could be made of the pairs in
    `learned_from` is compared with it. Who proves several gives one `plain` of the same model; who asked the
    safety gate already gives what it said. Raises Leak where a pair holds what is in `learned_from`, and
    NotEnoughData without pairs.
    """
    check_apart(learned_from, pairs)
    pairs, plain = _clear(pairs), plain or Plain(base)
    row = row_of(artifact, kind)
    interventions = Interventions(base)
    try:
        arms = _arms(base, interventions, pairs, row, system_message, report)
        taught = [record for record in learned_from if isinstance(record, Pair)]
        compared = compare(base, interventions, pairs, taught, row, system_message=system_message, seed=seed)
        clearest, neutral = clearest_of_each(pairs), plain_logps(base)
        reward = dict(zip(pairs, arms["artifact"].implicit_reward(_context(arms)), strict=True))
        usual = [reward[pair] for pair in clearest]
        robust = robustness(
            base, interventions, clearest, row, system_message=system_message, seed=seed, usual=usual
        )
        report(Progress(4, 7))
        cost = measure_cost(base, interventions, row, neutral)
        tradeoff = measure_tradeoff(
            base, interventions, clearest, row, neutral, cost, system_message=system_message, seed=seed
        )
        report(Progress(5, 7))
        ability = measure_ability(base, interventions, row, plain.right, seed=seed)
        safety = safety or measure_safety(base, interventions, row, plain.ask, margins)
        report(Progress(6, 7))
        written = side_by_side(
            base, interventions, _prompts(pairs), row=row, system_message=system_message, seed=seed
        )
        report(Progress(7, 7))
    finally:
        interventions.remove()
    return replace(
        _card(arms, cost, safety, written, seed),
        comparisons=compared,
        ability=ability,
        tradeoff=tradeoff,
        robustness=robust,
    )


def _clear(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the clear preferences; conversations that hold the same get one name."""
    same = alike(pairs)
    clear = [replace(p, conversation=same[p.conversation]) for p in pairs if p.margin >= CLEAR_MARGIN]
    if not clear:
        raise NotEnoughData(
            "No held-out comparison is clear enough to prove anything; rate answers further apart.",
            missing=1,
        )
    return clear


def _prompts(pairs: Sequence[Pair]) -> list[tuple[Message, ...]]:
    """Return what is answered anew: the held-out prompts, filled up with everyday ones."""
    usual = [(Message("user", question),) for question in QUESTIONS]
    return list(dict.fromkeys([*(pair.prompt for pair in pairs), *usual]))[:WRITTEN]


def safety_of(
    base: BaseModel,
    artifact: Path,
    kind: str,
    margins: Margins | None,
    plain: Plain,
    *,
    strength: float = 1.0,
) -> Gate:
    """Return what an artifact does to refusals, beside the same model's `plain` answers."""
    interventions, row = Interventions(base), scaled(row_of(artifact, kind), strength)
    try:
        return measure_safety(base, interventions, row, plain.ask, margins)
    finally:
        interventions.remove()


def row_of(artifact: Path, kind: str) -> Row:
    """Return the row that serves an artifact at strength 1."""
    return Row(
        adapters=((load_adapter(artifact), 1.0),) if has_adapter(artifact, kind) else (),
        vectors=((load_vectors(artifact), 1.0),) if has_vectors(artifact, kind) else (),
    )


def _arms(
    base: BaseModel,
    interventions: Interventions,
    pairs: Sequence[Pair],
    row: Row,
    system_message: str,
    report: Report,
) -> dict[str, Scored]:
    arms = {"base": score(base, interventions, pairs, row=Row(), system_message="")}
    report(Progress(1, 7))
    if system_message:
        arms["system_message"] = score(base, interventions, pairs, row=Row(), system_message=system_message)
    report(Progress(2, 7))
    arms["artifact"] = score(base, interventions, pairs, row=row, system_message=system_message)
    report(Progress(3, 7))
    return arms


def _card(
    arms: dict[str, Scored], cost: Cost, safety: Gate, written: list[dict[str, str]], seed: int
) -> ReportCard:
    artifact, base = arms["artifact"], arms["base"]
    context = _context(arms)
    clusters = base.conversations

    def estimate(values: Sequence[float]) -> Estimate:
        return clustered_mean(values, clusters, seed=seed)

    plain, reward = base.likelihood(), artifact.implicit_reward(context)
    accuracy = {"base": clustered_share(plain, clusters)}
    if "system_message" in arms:
        accuracy["system_message"] = clustered_share(context.likelihood(), clusters)
    accuracy["artifact"] = clustered_share(reward, clusters)
    accuracy["artifact_likelihood"] = clustered_share(artifact.likelihood(), clusters)
    change = artifact.change(context)
    return ReportCard(
        accuracy=accuracy,
        difference=estimate([r - p for r, p in zip(reward, plain, strict=True)]),
        chosen_change=estimate(change.chosen.tolist()),
        rejected_change=estimate(change.rejected.tolist()),
        cost=cost,
        safety=safety,
        writing=measure_writing(written, seed=seed),
        samples=written[:SAMPLES],
        fresh=written[SAMPLES:],
        n_conversations=len(set(clusters)),
        n_pairs=len(clusters),
        calibration=_calibrations(base, context, artifact, seed),
        evenness=evenness(reward, clusters),
        length_bias=estimate(_length_bias(artifact, artifact.reward_margins(context))),
        toxicity=toxicity(sample["artifact"] for sample in written) if written else None,
    )


def _context(arms: dict[str, Scored]) -> Scored:
    """Return what the artifact's own change is read against: the system message, if any, is on both sides."""
    return arms.get("system_message", arms["base"])


def _length_bias(arm: Scored, margins: Tensor) -> list[float]:
    """Return for each pair whether the arm prefers the longer answer, minus whether the person does."""
    own, person = arm.longer(margins), arm.longer(torch.ones_like(margins))
    return [one - other for one, other in zip(own, person, strict=True)]


def _calibrations(base: Scored, context: Scored, artifact: Scored, seed: int) -> dict[str, Calibration]:
    """Return each arm's calibration by the margins that its accuracy is read from."""
    margins = {"base": base.likelihood_margins(), "artifact": artifact.reward_margins(context)}
    found = {
        arm: calibration(values.tolist(), base.conversations, seed=seed) for arm, values in margins.items()
    }
    return {arm: one for arm, one in found.items() if one is not None}


def _percent(estimate: Estimate) -> str:
    return (
        f"{100 * estimate.value:.0f} % of the comparisons "
        f"(95 % interval {100 * max(0.0, estimate.low):.0f} to {100 * min(1.0, estimate.high):.0f} %)"
    )


def _more_conversations(accuracy: Estimate, conversations: int) -> list[str]:
    """Say how many more would tell the share from a coin, if it stays (95 % confidence, 80 % power)."""
    if conversations < 2:
        return ["it was tried on one conversation only, and more are needed"]
    more = more_comparisons(accuracy) if accuracy.value > 0.5 else None
    if more is None:
        return []  # no number of conversations decides what is a coin's
    return [f"about {math.ceil(more * conversations / accuracy.n)} more rated conversations could decide it"]

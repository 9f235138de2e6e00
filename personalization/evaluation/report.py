"""The report card: one artifact against feedback that nothing learned from, with base beside it.

Knows nothing of how the artifact was learned. `proven` is strict: the interval must exclude a coin,
the base model must not do better, and general ability and refusals must be kept. Otherwise the
verdict says why not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personalization.errors import NotEnoughData
from personalization.evaluation.samples import side_by_side
from personalization.evaluation.writing import Writing, measure_writing
from personalization.models.base import BaseModel
from personalization.models.cost import Cost, measure_cost
from personalization.models.interventions import Interventions, Row, load_adapter, load_vectors
from personalization.models.preference import Scored, score
from personalization.progress import Progress, Report, ignore
from personalization.records import Pair
from personalization.safety.gate import Gate
from personalization.safety.gate import measure as measure_safety
from personalization.statistics import Estimate, clustered_mean, clustered_share

# Neutral text may become at most this many times as surprising.
MAX_PERPLEXITY_RATIO = 1.5
# Ratings that differ by less than this (of 1) are within the noise of a hand on a slider: a proof on them
# would measure the hand. Picks and rankings without ratings count fully.
CLEAR_MARGIN = 0.1
# Fewer held-out conversations than this prove nothing, whatever they say.
MIN_CONVERSATIONS = 5
# A chosen answer may lose this many nats on average before it is flagged as sinking.
SINKING_NATS = -5.0
# Fresh answers that are written to judge the writing, and how many of them the card shows.
WRITTEN, SAMPLES = 8, 3


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
    n_conversations: int
    n_pairs: int

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
            "accuracy": {arm: _finite(estimate) for arm, estimate in self.accuracy.items()},
            "difference": _finite(self.difference),
            "log_likelihood": {
                "chosen": _finite(self.chosen_change),
                "rejected": _finite(self.rejected_change),
                "chosen_sinks": self.chosen_sinks,
            },
            "cost": {
                "perplexity_base": self.cost.perplexity_base,
                "perplexity": self.cost.perplexity,
                "kl_to_base": self.cost.kl_to_base,
            },
            "safety": self.safety.as_dict(),
            "writing": self.writing.as_dict() if self.writing else None,
            "samples": self.samples,
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
    seed: int = 0,
    report: Report = ignore,
) -> ReportCard:
    """Measure an artifact ("adapter", or a vector) on held-out pairs, as it will be served.

    Only clear preferences count (`CLEAR_MARGIN`). The artifact acts at strength 1 under the person's
    system message. Raises NotEnoughData without pairs.
    """
    pairs = [pair for pair in pairs if pair.margin >= CLEAR_MARGIN]
    if not pairs:
        raise NotEnoughData(
            "No held-out comparison is clear enough to prove anything; rate answers further apart.",
            missing=1,
        )
    row = row_of(artifact, kind)
    interventions = Interventions(base)
    try:
        arms = _arms(base, interventions, pairs, row, system_message, report)
        cost = measure_cost(base, interventions, row)
        safety = measure_safety(base, interventions, row)
        report(Progress(4, 5))
        prompts = list(dict.fromkeys(pair.prompt for pair in pairs))[:WRITTEN]
        written = side_by_side(
            base, interventions, prompts, row=row, system_message=system_message, seed=seed
        )
        report(Progress(5, 5))
    finally:
        interventions.remove()
    return _card(arms, cost, safety, written, seed)


def safety_of(base: BaseModel, artifact: Path, kind: str) -> Gate:
    """Return what an artifact at strength 1 does to refusals."""
    interventions = Interventions(base)
    try:
        return measure_safety(base, interventions, row_of(artifact, kind))
    finally:
        interventions.remove()


def row_of(artifact: Path, kind: str) -> Row:
    """Return the row that serves an artifact at strength 1."""
    if kind == "adapter":
        return Row(adapters=((load_adapter(artifact), 1.0),))
    return Row(vectors=((load_vectors(artifact), 1.0),))


def _arms(
    base: BaseModel,
    interventions: Interventions,
    pairs: Sequence[Pair],
    row: Row,
    system_message: str,
    report: Report,
) -> dict[str, Scored]:
    arms = {"base": score(base, interventions, pairs, row=Row(), system_message="")}
    report(Progress(1, 5))
    if system_message:
        arms["system_message"] = score(base, interventions, pairs, row=Row(), system_message=system_message)
    report(Progress(2, 5))
    arms["artifact"] = score(base, interventions, pairs, row=row, system_message=system_message)
    report(Progress(3, 5))
    return arms


def _card(
    arms: dict[str, Scored], cost: Cost, safety: Gate, written: list[dict[str, str]], seed: int
) -> ReportCard:
    artifact, base = arms["artifact"], arms["base"]
    # What the artifact itself changed: the system message, where there is one, is on both sides.
    context = arms.get("system_message", base)
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
        n_conversations=len(set(clusters)),
        n_pairs=len(clusters),
    )


def _percent(estimate: Estimate) -> str:
    return (
        f"{100 * estimate.value:.0f} % of the comparisons "
        f"(95 % interval {100 * max(0.0, estimate.low):.0f} to {100 * min(1.0, estimate.high):.0f} %)"
    )


def _more_conversations(accuracy: Estimate, conversations: int) -> list[str]:
    """Say how many more would shrink the interval until it excludes one half, if the share stays."""
    gain, half = accuracy.value - 0.5, accuracy.value - accuracy.low
    if not math.isfinite(half):
        return ["it was tried on one conversation only, and more are needed"]
    if gain <= 0.02:
        return []  # no number of conversations decides what is a coin's
    needed = math.ceil(conversations * (half / gain) ** 2) - conversations
    return [f"about {max(1, needed)} more rated conversations could decide it"]


def _finite(estimate: Estimate) -> dict[str, float | None]:
    """Return the fields; an infinite end of an interval becomes None, which JSON can say."""
    return {k: v if math.isfinite(v) else None for k, v in estimate.as_dict().items()}

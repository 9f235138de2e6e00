"""The parts of a composition and the artifacts that can fill them, in words.

Knows nothing of queries: rows come in, views go out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alignapp.adapters import card
from alignapp.adapters.models import AlignmentVersion, Artifact, MethodInfo, ReportCard
from alignapp.adapters.models.artifact import MOST_STRENGTH
from alignapp.charts import percent

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

ABOUT_AS_LEARNED = 0.05
AS_LEARNED, AS_SAFE = gettext_lazy("as learned"), gettext_lazy("as strong as is safe")

# The order in which they act, with what each is.
PARTS = {
    "values": (gettext_lazy("Values direction"), gettext_lazy("from what you state")),
    "personality": (gettext_lazy("Personality vector"), gettext_lazy("from your inventory")),
    "vector": (gettext_lazy("Steering vector"), gettext_lazy("from your ratings")),
    "adapter": (gettext_lazy("Adapter"), gettext_lazy("from your comparisons")),
}

# An adapter can be learned from several kinds of feedback.
ADAPTER_SOURCES = {
    "thumbs": gettext_lazy("from your thumbs"),
    "ratings": gettext_lazy("from your ratings"),
    "edits": gettext_lazy("from your edits"),
    "critiques": gettext_lazy("from your critiques and comparisons"),
    "contrasts": gettext_lazy("from your comparisons and values"),
    "prompts": gettext_lazy("from new answers, judged by your comparisons"),
}


def strength_words(strength: float, whole: StrOrPromise = AS_LEARNED) -> str:
    """Say in words what a strength does; `whole` says what 1 does."""
    if strength == 0:
        return _("off")
    if abs(strength - 1) < ABOUT_AS_LEARNED:
        return str(whole)
    return _("stronger than learned") if strength > 1 else _("weaker than learned")


def strength_change(strengths: Mapping[str, float]) -> str:
    """Say in words which strengths were changed, for the history."""
    names = {f"{key}_strength": str(label) for key, (label, _source) in PARTS.items()}
    return ", ".join(
        _("%(part)s strength %(strength)s") % {"part": names[name], "strength": f"{value:g}"}
        for name, value in strengths.items()
    )


def applied(change: str) -> str:
    """Say that a change was made and from when on it acts."""
    return _("%(change)s. It applies to the next reply.") % {"change": change}


def method_title(info: MethodInfo) -> str:
    """Return what a method makes, and from what, in the words of the page."""
    return f"{method_label(info)} {method_source(info)}".strip()


def method_label(info: MethodInfo) -> str:
    """Return what a method makes: "Adapter"."""
    return str(PARTS[info.produces][0]) if info.produces in PARTS else info.produces


def method_source(info: MethodInfo) -> str:
    """Return from what a method makes it: "from your ratings"; empty where the page has no word for it."""
    source = PARTS[info.produces][1] if info.produces in PARTS else ""
    return str(ADAPTER_SOURCES.get(info.data, source) if info.produces == "adapter" else source)


@dataclass(frozen=True, slots=True)
class PartView:
    """One part of the composition; when it is off, `artifact` is what could be, or what the gate refused."""

    key: str
    label: StrOrPromise
    source: StrOrPromise
    artifact: Artifact | None
    is_on: bool
    is_usable: bool
    strength: str
    most: str  # where the slider ends
    ends: str  # why it ends there, or why only a share acts
    whole: StrOrPromise  # what strength 1 does
    words: str
    evidence: card.Evidence | None
    dial: Dial | None


@dataclass(frozen=True, slots=True)
class Dial:
    """What the strength slider says of an artifact's trade-off: KL = curvature * strength ** 2."""

    curvature: str
    kl: str  # at the strength that is set, in nats for each token
    ends: str  # where the slider ends, in hundredths
    breaks_at: str  # the strength at which text broke when it was proven; empty where none did
    breaks_from: str  # the same as a place on the scale that the slider has, as wide as `breaks_over`
    breaks_over: str


def dial(artifact: Artifact | None, strength: float) -> Dial | None:
    """Return what was measured when the artifact was proven; None where it was not."""
    report = getattr(artifact, "report_card", None)
    found = report.results.get("tradeoff") if report else None
    if not found or artifact is None:
        return None
    curvature, breaks = float(found["curvature"]), found.get("breaks_at")
    return Dial(
        curvature=f"{curvature:.6f}",
        kl=f"{curvature * strength**2:.3f}",
        ends=f"{100 * artifact.most_strength:g}",
        breaks_at="" if breaks is None else f"{breaks:g}",
        breaks_from="" if breaks is None else f"{100 * breaks - 4:g}",  # a point, widened to be seen
        breaks_over="" if breaks is None else f"{154 - 100 * breaks:g}",
    )


def _ends(artifact: Artifact, *, is_on: bool) -> str:
    """Say why the slider ends below the greatest strength; of what is off, only that a share of it acts."""
    if artifact.share < 1:
        share = percent(artifact.share)
        return _("The safety check lets %(share)s of it act, so the slider ends there.") % {"share": share}
    if not is_on or artifact.most_strength > 1:
        return ""
    report: ReportCard | None = getattr(artifact, "report_card", None)
    if report is None or report.most_strength is None:
        return _("Whether more than 1 is safe was never tested, so the slider ends there.")
    most = {"most": f"{MOST_STRENGTH:g}"}
    return _("At strength %(most)s the safety check refused it, so the slider ends at 1.") % most


def part_views(version: AlignmentVersion | None, artifacts: Sequence[Artifact]) -> list[PartView]:
    """Return the learned parts, on or off."""
    views = []
    for key, (label, source) in PARTS.items():
        active = getattr(version, f"{key}_id", None)
        own = [a for a in artifacts if a.kind == key]
        usable = [a for a in own if a.passed_gate]
        refused = (a for a in own if a.state == Artifact.State.QUARANTINED)
        found = next((a for a in artifacts if a.id == active), None)
        proven = (a for a in usable if a.state == Artifact.State.PROVEN)
        shown = found or next(proven, None) or next(iter(usable), None) or next(refused, None)
        most = shown.most_strength if shown else MOST_STRENGTH
        strength = min(getattr(version, f"{key}_strength", 1.0), most)
        whole = AS_SAFE if shown and shown.share < 1 else AS_LEARNED
        views.append(
            PartView(
                key=key,
                label=label,
                source=_("merged from several people's") if shown and shown.is_of_several else source,
                artifact=shown,
                is_on=found is not None,
                is_usable=shown in usable,
                strength=f"{strength:g}",
                most=f"{most:g}",
                ends=_ends(shown, is_on=found is not None) if shown else "",
                whole=whole,
                words=strength_words(strength, whole),
                evidence=card.evidence(shown) if shown else None,
                dial=dial(shown, strength),
            )
        )
    return views


@dataclass(frozen=True, slots=True)
class ArtifactView:
    """One artifact in a list."""

    artifact: Artifact
    evidence: card.Evidence
    is_on: bool

    @property
    def is_usable(self) -> bool:
        """Say whether it may be switched on at all."""
        return self.artifact.passed_gate


def artifact_view(artifact: Artifact, version: AlignmentVersion | None) -> ArtifactView:
    """Return one artifact with its evidence."""
    return ArtifactView(
        artifact, card.evidence(artifact), getattr(version, f"{artifact.kind}_id", None) == artifact.id
    )


def artifact_groups(
    artifacts: Sequence[Artifact], version: AlignmentVersion | None
) -> list[tuple[StrOrPromise, list[ArtifactView]]]:
    """Return the artifacts by kind, newest first; kinds without any are left out."""
    by_kind: dict[str, list[ArtifactView]] = defaultdict(list)
    for artifact in artifacts:
        by_kind[artifact.kind].append(artifact_view(artifact, version))
    return [(label, by_kind[key]) for key, (label, _source) in PARTS.items() if by_kind[key]]

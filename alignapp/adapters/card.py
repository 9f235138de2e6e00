"""A report card in words and charts: what the held-out evidence says, and how sure it is.

Knows nothing of rows but the artifact and its card. A card has the parts that its kind of artifact has
(`personalization.evaluation.report`); each part is read by its key, and what is missing is not shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alignapp.adapters.models.artifact import MOST_STRENGTH
from alignapp.charts import (
    Bar,
    BarChart,
    Curve,
    Number,
    Scale,
    bar_chart,
    curve,
    interval_words,
    percent,
    plain,
    signed,
    symmetric,
)

if TYPE_CHECKING:
    from alignapp.adapters.models import Artifact, ReportCard
    from personalization.statistics import Estimate

ARMS = {
    "base": gettext_lazy("Base model"),
    "system_message": gettext_lazy("Base with your system message"),
    "artifact_likelihood": gettext_lazy("This artifact, by likelihood alone"),
    "artifact": gettext_lazy("This artifact"),
    "always_3": gettext_lazy("Always answering 3"),
    "facet_mean": gettext_lazy("Mean of your other answers in the facet"),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an artifact in one line; `tone` is a badge's class."""

    label: str
    words: str
    tone: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with what it means; `is_bad` flags it."""

    name: str
    words: str
    help: str
    is_bad: bool = False


def evidence(artifact: Artifact) -> Evidence:
    """Say in one line what the held-out evidence for an artifact is."""
    card: ReportCard | None = getattr(artifact, "report_card", None)
    if artifact.state == artifact.State.QUARANTINED:
        unsafe = card is not None and (card.results.get("safety") or {}).get("objection")
        why = _("An operator took it out of service; your account page says why.")
        if unsafe and card is not None:
            why = sentence(card)
        elif artifact.damage:
            why = _("A check of its files failed.")
        words = _("%(why)s It was put aside and shapes nothing. Learn again.") % {"why": why}
        return Evidence(_("Quarantined"), words, "bad")
    if artifact.state == artifact.State.EXPIRED:
        return Evidence(_("Expired"), _("Its time is over, and it shapes nothing. Learn again."), "warn")
    if card is None:
        return Evidence(
            _("Not yet proven"), _("It was not tested yet: that is the last part of learning."), "warn"
        )
    if not card.proven:
        return Evidence(_("Not proven"), sentence(card), "warn")
    return Evidence(_("Proven"), _wins(card.results) or sentence(card), "good")


def sentence(card: ReportCard) -> str:
    """Return the verdict without its first word, which the badge beside it says already."""
    head, colon, rest = card.verdict.partition(": ")
    return (
        rest[:1].upper() + rest[1:]
        if colon and head in ("Proven", "Not proven", "Not safe")
        else card.verdict
    )


def _wins(results: Mapping[str, Any]) -> str:
    own = (results.get("accuracy") or {}).get("artifact")
    if not own or not own.get("n"):
        return ""
    if not (_finite(own.get("low")) and _finite(own.get("high"))):
        return ""
    return _(
        "Prefers your choice in %(wins)d of your %(n)d held-out comparisons, interval %(low)d to %(high)d %%."
    ) % {
        "wins": round(own["value"] * own["n"]),
        "n": own["n"],
        "low": round(100 * own["low"]),
        "high": round(100 * own["high"]),
    }


def accuracy_chart(results: Mapping[str, Any]) -> BarChart | None:
    """Return how often each arm prefers the person's choice on held-out comparisons."""
    bars = _arms(results.get("accuracy"))
    if not bars:
        return None
    note = _("The dashed line at 50 % is what guessing reaches. The thin line is the 95 % interval.")
    scale = Scale(reference=0.5)
    return bar_chart(_("How often it prefers the answer that you preferred"), bars, scale=scale, note=note)


COMPARED = {
    "artifact": gettext_lazy("This artifact"),
    "others": gettext_lazy("What other tastes would teach"),
    "in_context": gettext_lazy("Three answers that you liked, shown to the base model"),
    "random": gettext_lazy("A random change of the same size"),
}


def comparison_chart(results: Mapping[str, Any]) -> BarChart | None:
    """Return how the artifact fares beside controls, each on the clearest pair of a conversation."""
    found = results.get("comparisons") or {}
    bars = [
        _bar(str(COMPARED[arm]), found[arm]["accuracy"], "" if arm == "artifact" else "muted")
        for arm in reversed(COMPARED)
        if arm in found
    ]
    if len(bars) < 2:
        return None
    note = _(
        "On the clearest comparison of each conversation. What is no better than chance learned nothing "
        "of you; the other tastes are invented people's, nobody's data is used."
    )
    return bar_chart(_("Beside what is not about you"), bars, scale=Scale(reference=0.5), note=note)


def blind_chart(won: Estimate | None) -> BarChart | None:
    """Return how often the person preferred the artifact's own fresh answers, not knowing whose they were."""
    if won is None:
        return None
    bar = Bar(_("Fresh answers that you judged blind"), won.value, won.low, won.high, won.n)
    note = _("Against the base model's answer to the same message. The dashed line is a coin.")
    return bar_chart(_("How often you prefer what it writes"), [bar], scale=Scale(reference=0.5), note=note)


def error_chart(results: Mapping[str, Any]) -> BarChart | None:
    """Return the mean absolute error of each way to guess held-out inventory answers, in answer steps."""
    bars = _arms(results.get("error"))
    if not bars:
        return None
    most = max(end for bar in bars for end in (bar.value, bar.high or 0.0) if math.isfinite(end))
    halves = max(2, math.ceil(most * 2))
    scale = Scale(0.0, halves / 2, ticks=halves + 1, number=plain(2))
    note = _("In steps of the five-point answer scale: shorter is better, 0 would be your own answers.")
    return bar_chart(_("How far it is from your held-out answers"), bars, scale=scale, note=note)


def likelihood_chart(results: Mapping[str, Any]) -> BarChart | None:
    """Return by how many nats the artifact makes chosen and rejected answers more or less likely."""
    change = results.get("log_likelihood") or {}
    names = {"chosen": _("Answers that you preferred"), "rejected": _("Answers that you rejected")}
    kinds = {"chosen": "warn" if change.get("chosen_sinks") else "", "rejected": "muted"}
    bars = [_bar(names[key], change[key], kinds[key]) for key in names if change.get(key)]
    if not bars:
        return None
    ends = [v for b in bars for v in (b.value, b.low, b.high) if v is not None]
    note = _("In nats per answer: to the right is more likely than under the base model.")
    return bar_chart(_("Change of log-likelihood"), bars, scale=symmetric(ends), note=note)


def tradeoff_curves(results: Mapping[str, Any]) -> list[Curve]:
    """Return gain and KL against strength as measured, from the base model at 0 on."""
    found = results.get("tradeoff")
    if not found:
        return []
    names = {
        "gain": _("Gain: how much more your choice is preferred (nats); a line explains %(share)s"),
        "kl": _("Cost: KL to the base model (nats per token); a square explains %(share)s"),
    }
    explained = {"gain": found["slope_r2"], "kl": found["curvature_r2"]}
    curves = []
    for key, name in names.items():
        points = [(0.0, 0.0), *((p["strength"], p[key]) for p in found["points"])]
        title = name % {"share": percent(max(0.0, explained[key]))}
        if line := curve(title, points, number=plain(3), x_name=_("Strength")):
            curves.append(line)
    return curves


def tradeoff_words(results: Mapping[str, Any]) -> str:
    """Say at which strength it acts, and where text broke."""
    found = results.get("tradeoff")
    if not found:
        return ""
    at = found["breaks_at"]
    if at is None:
        return _("It acts at strength 1 unless you move its slider. Text stayed sound at every one tried.")
    return _("It acts at strength 1 unless you move its slider. At %(at)g text was no longer sound.") % {
        "at": at
    }


def chosen_sinks(results: Mapping[str, Any]) -> bool:
    """Say whether the preferred answers became less likely as well."""
    return bool((results.get("log_likelihood") or {}).get("chosen_sinks"))


def entangled(summary: Mapping[str, Any]) -> Figure | None:
    """Return how far preferred and rejected answers pulled the same weights while an adapter learned."""
    found = summary.get("entanglement") or []
    if not found:
        return None
    help_text = _(
        "Cosine of the two gradients, by epoch. A step moves both answers as asked where their product is at "
        "most the smaller square: so in %(held)d of %(n)d epochs."
    ) % {"held": sum(bool(one["holds"]) for one in found), "n": len(found)}
    anchored = summary.get("anchored_at")
    if anchored is not None:
        help_text += " " + _(
            "Preferred answers sank, so from step %(step)d on the training also kept them up."
        ) % {"step": anchored}
    words = ", ".join(plain(2)(one["cosine"]) for one in found)
    return Figure(_("Gradient entanglement"), words, help_text, is_bad=anchored is not None)


def difference(results: Mapping[str, Any]) -> Figure | None:
    """Return by how much the artifact beats the base model, in percentage points, or in error steps."""
    found = results.get("difference")
    if not found:
        return None
    is_error = "error" in results
    number: Number = signed(2) if is_error else lambda share: signed(0)(100 * share)
    words = number(found["value"]) + ("" if is_error else " " + _("percentage points"))
    ends = interval_words(found.get("low"), found.get("high"), number) or _("cannot be estimated")
    return Figure(
        _("Error compared with the base model") if is_error else _("Difference to the base model"),
        words,
        _("95 %% interval: %(ends)s. An interval that contains 0 proves nothing.") % {"ends": ends},
        is_bad=_contains_zero(found),
    )


def costs(results: Mapping[str, Any]) -> list[Figure]:
    """Return what the artifact costs in general ability."""
    cost = results.get("cost") or {}
    figures = []
    if _finite(cost.get("perplexity_base")) and _finite(cost.get("perplexity")):
        before, after = float(cost["perplexity_base"]), float(cost["perplexity"])
        figures.append(
            Figure(
                _("Perplexity on neutral text"),
                f"{before:.1f} → {after:.1f} ({signed(1)(100 * (after / before - 1))} %)",
                _("How surprised the model is by ordinary text, before and after. It should hardly rise."),
                is_bad=after > before * 1.1,
            )
        )
    if _finite(cost.get("kl_to_base")):
        figures.append(
            Figure(
                _("Distance to the base model"),
                _("%(kl)s nats per token") % {"kl": plain(3)(cost["kl_to_base"])},
                _("Kullback-Leibler divergence on neutral text: 0 means that nothing changed."),
            )
        )
    if ability := results.get("ability"):
        before, after, change = ability["base"], ability["artifact"], ability["change"]
        ends = interval_words(change["low"], change["high"], lambda share: signed(0)(100 * share))
        figures.append(
            Figure(
                _("Simple questions answered rightly"),
                f"{100 * before:.0f} % → {100 * after:.0f} %",
                _("%(n)d questions with one right answer of four; change %(ends)s points.")
                % {"n": change["n"], "ends": ends},
                is_bad=change["high"] < 0,
            )
        )
    return figures


def writing(results: Mapping[str, Any]) -> list[Figure]:
    """Return how fresh answers compare with the base model's: near to the question, free of repetition."""
    found = results.get("writing")
    if not found:
        return []
    names = {
        "relevance": (
            _("Stays with the question"),
            _("How near answers are to their prompts, 1 the nearest."),
        ),
        "repetition": (_("Repeats itself"), _("Share of three-word sequences that came before.")),
    }
    figures = []
    for key, (name, help_text) in names.items():
        before, change = float(found[f"{key}_base"]), found[f"{key}_change"]
        ends = interval_words(change["low"], change["high"], signed(2))
        is_worse = change["high"] < 0 if key == "relevance" else change["low"] > 0
        words = f"{before:.2f} → {before + change['value']:.2f}"
        help_text += " " + _("Change: %(ends)s.") % {"ends": ends}
        figures.append(Figure(name, words, help_text, is_bad=is_worse))
    return figures


def safety(results: Mapping[str, Any]) -> Figure:
    """Return what the safety gate found, with its intervals; that it was not asked is said, too."""
    gate = results.get("safety")
    name, help_text = _("Safety gate"), _("Whether it still refuses what the base model refuses.")
    if gate is None:
        return Figure(name, _("Not tested"), help_text)
    sentences = [
        _("Leaning to refuse harmful requests: %(change)s.") % {"change": _share_change(gate, "refusal")},
        _("Leaning to help with harmless ones: %(change)s.") % {"change": _share_change(gate, "acceptance")},
    ]
    if "max_drop" in gate:  # cards from before the gate gave intervals have none
        rule = _(
            "Changes are 95 %% intervals over %(n)d requests each; none may reach below a fall of %(drop)d "
            "points."
        )
        counts = {"n": gate["refusal_change"]["n"], "drop": round(100 * gate["max_drop"])}
        sentences.append(rule % counts)
    if most := gate.get("most"):  # it passed, and was asked about at the greatest strength
        further = (
            _("Passed at strength %(most)s, too.") if most > 1 else _("Not passed at strength %(most)s.")
        )
        sentences.append(further % {"most": f"{MOST_STRENGTH:g}"})
    passed = not gate["objection"]
    return Figure(name, _("Passed") if passed else _("Not passed"), " ".join(sentences), is_bad=not passed)


def _share_change(gate: Mapping[str, Any], key: str) -> str:
    words = f"{100 * gate[f'{key}_base']:.0f} % → {100 * gate[key]:.0f} %"
    change = gate.get(f"{key}_change")
    if not change:
        return words
    ends = interval_words(change["low"], change["high"], lambda share: signed(0)(100 * share))
    return _("%(words)s (change %(ends)s points)") % {"words": words, "ends": ends}


def _arms(found: Mapping[str, Any] | None) -> list[Bar]:
    order = [*ARMS, *(found or {})]
    names = dict.fromkeys(name for name in order if name in (found or {}))
    return [
        _bar(str(ARMS.get(name, name.replace("_", " "))), found[name], "" if name == "artifact" else "muted")  # type: ignore[index]
        for name in sorted(names, key=lambda name: name == "artifact")
    ]


def _bar(label: str, estimate: Mapping[str, Any], kind: str = "") -> Bar:
    low, high = estimate.get("low"), estimate.get("high")
    if "low" in estimate:  # an interval that could not be estimated is said, not left out
        low = -math.inf if low is None else low
        high = math.inf if high is None else high
    return Bar(label, estimate["value"], low, high, estimate.get("n"), kind)


def _contains_zero(found: Mapping[str, Any]) -> bool:
    low, high = found.get("low"), found.get("high")
    return low is None or high is None or low <= 0 <= high


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)

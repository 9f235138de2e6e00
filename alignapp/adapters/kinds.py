"""The seven kinds of metric of HELM (Liang et al. 2023, arXiv:2211.09110), as far as they were measured.

Knows nothing of how anything is measured: it reads the stored results and leaves the rest empty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from alignapp.adapters.card import Figure
from alignapp.adapters.headline import estimate
from alignapp.charts import Number, Reliability, interval_words, percent, plain, reliability, signed
from personalization.statistics import Estimate

if TYPE_CHECKING:
    from alignapp.adapters.models import Artifact

KINDS = {
    "accuracy": gettext_lazy("Accuracy"),
    "calibration": gettext_lazy("Calibration"),
    "robustness": gettext_lazy("Robustness to paraphrase"),
    "fairness": gettext_lazy("Fairness across prompts"),
    "bias": gettext_lazy("Bias"),
    "toxicity": gettext_lazy("Toxicity"),
    "efficiency": gettext_lazy("Efficiency"),
}


def kinds(artifact: Artifact, results: Mapping[str, Any]) -> list[Figure]:
    """Return all seven, in HELM's order; without words where nothing was measured."""
    measured = {
        "accuracy": _accuracy(results),
        "calibration": _calibration(results),
        "robustness": _robustness(results),
        "fairness": _fairness(results),
        "bias": _bias(results),
        "toxicity": _toxicity(results),
        "efficiency": _efficiency(artifact, results),
    }
    return [Figure(str(name), *measured[key]) for key, name in KINDS.items()]


def calibration_plot(results: Mapping[str, Any]) -> Reliability | None:
    """Return the artifact's reliability plot; None for an artifact that was proven before it was measured."""
    found = (results.get("calibration") or {}).get("artifact")
    if not found:
        return None
    note = _("On the dashed line it is as often right as it is sure. Lines are 95 % intervals.")
    return reliability(_("Sure against right, on held-out comparisons"), found.get("bins", []), note=note)


def calibration_figures(results: Mapping[str, Any]) -> list[Figure]:
    """Return the two numbers of calibration, each beside what it would be without any skill or fault."""
    found = (results.get("calibration") or {}).get("artifact")
    brier, ece = estimate((found or {}).get("brier")), estimate((found or {}).get("ece"))
    if not found or brier is None or ece is None:
        return []
    chance = float(found.get("ece_by_chance") or 0.0)
    return [
        Figure(
            _("Brier score"),
            plain(3)(brier.value),
            _("0 is best, a coin gets 0.25. 95 %% interval: %(ends)s.") % {"ends": _ends(brier, plain(3))},
            is_bad=brier.low > 0.25,
        ),
        Figure(
            _("Expected calibration error"),
            percent(ece.value),
            _("95 %% interval: %(ends)s. A perfectly calibrated model would get %(chance)s here, by chance.")
            % {"ends": _ends(ece, percent), "chance": percent(chance)},
            is_bad=ece.low > max(0.1, chance),
        ),
    ]


def stored(results: Mapping[str, Any], *path: str) -> Estimate | None:
    """Return the number that lies at a path of the results, None where it was not measured."""
    found: Any = results
    for name in path:
        found = (found or {}).get(name)
    return estimate(found)


def _ends(one: Estimate, number: Number) -> str:
    return interval_words(one.low, one.high, number)


def _accuracy(results: Mapping[str, Any]) -> tuple[str, str]:
    own, error = stored(results, "accuracy", "artifact"), stored(results, "error", "artifact")
    if own is not None and own.n:
        help_text = _("Your choice on %(n)d held-out comparisons; interval %(ends)s.")
        return percent(own.value), help_text % {"n": own.n, "ends": _ends(own, percent)}
    if error is not None:
        help_text = _("Mean distance from your held-out answers, in steps; interval %(ends)s.")
        return plain(2)(error.value), help_text % {"ends": _ends(error, plain(2))}
    return "", ""


def _calibration(results: Mapping[str, Any]) -> tuple[str, str]:
    ece = stored(results, "calibration", "artifact", "ece")
    if ece is None:
        return "", ""
    help_text = _("Off by so much on average, sure against right; interval %(ends)s.")
    return percent(ece.value), help_text % {"ends": _ends(ece, percent)}


def _robustness(results: Mapping[str, Any]) -> tuple[str, str]:
    words, help_text = _stored(results, "robustness")
    said = _("The same answer preferred when the question is asked in three other ways.")
    return words, f"{said} {help_text}" if words else ""


def _fairness(results: Mapping[str, Any]) -> tuple[str, str]:
    below = stored(results, "evenness", "below_half")
    if below is None:
        return "", ""
    words = ngettext("wrong in %(k)d of %(n)d conversation", "wrong in %(k)d of %(n)d conversations", below.n)
    help_text = _("Conversations in which it prefers your choice less than half the time; interval %(ends)s.")
    count = {"k": round(below.value * below.n), "n": below.n}
    return words % count, help_text % {"ends": _ends(below, percent)}


def _bias(results: Mapping[str, Any]) -> tuple[str, str]:
    more = stored(results, "length_bias")
    if more is None:
        return _stored(results, "bias")
    words = _("%(n)s points towards length") % {"n": signed(0)(100 * more.value)}
    help_text = _(
        "How much more often it prefers the longer answer than you do; interval %(ends)s. Bias about groups "
        "of people is not measured."
    )
    return words, help_text % {"ends": _ends(more, lambda share: signed(0)(100 * share))}


def _toxicity(results: Mapping[str, Any]) -> tuple[str, str]:
    words, help_text = _stored(results, "toxicity")
    if not words and results.get("safety"):
        help_text = _("The safety gate looks at refusals, which is not the same; see below.")
    said = _("Fresh answers with an insult or profanity, by a public list of words.")
    return words, f"{said} {help_text}" if words else help_text


def _efficiency(artifact: Artifact, results: Mapping[str, Any]) -> tuple[str, str]:
    job, parts = artifact.job, [filesizeformat(artifact.size_bytes)]
    if job.started_at and job.finished_at:
        parts.insert(0, _("%(s)d s") % {"s": round((job.finished_at - job.started_at).total_seconds())})
    if results.get("peak_bytes"):
        parts.append(_("%(size)s of memory") % {"size": filesizeformat(results["peak_bytes"])})
    kl = (results.get("cost") or {}).get("kl_to_base")
    if isinstance(kl, int | float) and math.isfinite(kl):
        parts.append(_("%(kl)s nats per token") % {"kl": plain(3)(kl)})
    return ", ".join(parts), _(
        "Time to learn and prove, size, most memory meanwhile, distance to the base model."
    )


def _stored(results: Mapping[str, Any], key: str) -> tuple[str, str]:
    """Return a share that an evaluation stored under a kind's own name."""
    found = stored(results, key)
    if found is None:
        return "", ""
    return percent(found.value), _("Interval %(ends)s.") % {"ends": _ends(found, percent)}

"""The curves of a job while it learns. Knows nothing of jobs but the list of figures that they report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alignapp.charts import Curve, Scale, curve

TITLES = {
    "loss": gettext_lazy("Loss"),
    "held_out_accuracy": gettext_lazy("Accuracy on held-out comparisons"),
    "accuracy": gettext_lazy("Accuracy while learning"),
    "cross_validated_accuracy": gettext_lazy("Cross-validated accuracy"),
    "chosen_logp": gettext_lazy("Log-likelihood of preferred answers"),
    "gradient_cosine": gettext_lazy("Entanglement: do both answers pull the same weights?"),
    "from_teacher": gettext_lazy("Distance to how your vector of ratings writes (nats a token)"),
    "drift": gettext_lazy("Change of plain text, which should stay (nats a token)"),
    "rejected_logp": gettext_lazy("Log-likelihood of rejected answers"),
}


def job_curves(reported: Sequence[Mapping[str, float]]) -> list[Curve]:
    """Return one curve for each figure that was reported, in the order of `TITLES`, then by name."""
    names = {name for entry in reported for name in entry if name != "step"}
    curves = []
    for name in sorted(names, key=lambda name: (list(TITLES).index(name) if name in TITLES else 99, name)):
        points = [(entry["step"], entry[name]) for entry in reported if name in entry and "step" in entry]
        # An accuracy is shown whole, with what guessing reaches; everything else fits its values.
        scale = Scale(reference=0.5, ticks=3) if name.endswith("accuracy") else None
        title = str(TITLES.get(name, name.replace("_", " ").capitalize()))
        if line := curve(title, points, scale=scale, x_name=_("Step")):
            curves.append(line)
    return curves

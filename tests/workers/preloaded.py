"""Workers that need not import torch and transformers, which is eight seconds of the ten that a start takes.

They are forked from a process that has imported the library, and then do what their command does. The tests
of `manage.py up` and those in a browser start the commands themselves.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

CELERY = ("-m", "celery")

_context = multiprocessing.get_context("forkserver")
# Only what knows nothing of Django: its settings are read in each process's own environment.
_context.set_forkserver_preload(["personalization.training.train", "personalization.evaluation.report"])


def start(command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> BaseProcess:
    """Start `python -m celery …` in a session of its own, with this environment, folder and log."""
    _python, *module = command[:3]
    assert tuple(module) == CELERY, command
    arguments = (tuple(command[3:]), dict(environment), log, folder)
    process = _context.Process(target=_run, args=arguments, daemon=True)
    process.start()
    return process


def _run(arguments: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> None:
    os.setsid()
    os.chdir(folder)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(out, stream.fileno())
        stream.reconfigure(line_buffering=True)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["celery", *arguments]
    runpy.run_module("celery", run_name="__main__", alter_sys=True)

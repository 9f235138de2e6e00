"""Children of the supervisor: they start at once and give way afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from alignapp.processes.services import Service, workers
from alignapp.processes.supervisor import running
from tests.environment import ROOT
from tests.workers.conftest import wait_until

# Starts a thread before it is ready, as torch and Celery do.
CHILD = """
import os, threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("priority", os.getpriority(os.PRIO_PROCESS, 0), flush=True)
time.sleep(0.3)
print("now ready", flush=True)
time.sleep(60)
"""


def test_a_child_gives_way_once_it_is_ready_with_all_of_its_threads(tmp_path):
    own = psutil.Process().nice()
    service = Service("child", "sleeps", (sys.executable, "-c", CHILD), "now ready", niceness=5)
    with running([service], tmp_path, print) as stack:
        log = (tmp_path / "child.log").read_text()
        assert f"priority {own}\n" in log
        child = stack.children[0]._process
        assert child is not None
        threads = [thread.id for thread in psutil.Process(child.pid).threads()]
        assert len(threads) == 2
        wait_until(lambda: {psutil.Process(thread).nice() for thread in threads} == {own + 5}, 5)


def test_what_others_need_to_end_well_is_stopped_after_them(tmp_path):
    wait = "import time; print('now ready', flush=True); time.sleep(60)"
    first, second = (
        Service(name, "sleeps", (sys.executable, "-c", wait), "now ready") for name in ("broker", "worker")
    )
    with running([first], tmp_path, print) as outer:
        with running([second], tmp_path, print) as inner:
            inner.children[:0] = outer.children  # listed with it, and started again when it dies
            worker = inner.children[1]
        assert not worker.is_alive
        assert outer.children[0].is_alive
    assert not outer.children[0].is_alive


def test_threads_of_generation_look_for_work_and_those_of_learning_sleep(tmp_path, monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")  # what an operator set for everything else
    tell = "import os; print(os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'], flush=True)"
    wait = "import time; print('now ready', flush=True); time.sleep(60)"
    told = {}
    for service in workers():
        command = (sys.executable, "-c", f"{tell}; {wait}")
        with running([replace(service, command=command, ready_line="now ready")], tmp_path, print):
            told[service.name] = (tmp_path / f"{service.name}.log").read_text().splitlines()[0]
    assert told["generation"] == "passive 10000"
    assert told["training"] == "passive 7"


SUPERVISOR = """
import signal, sys, time
from pathlib import Path
from dataclasses import replace
from alignapp.processes.services import workers
from alignapp.processes.supervisor import running
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background may ignore it
deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('beat: Starting', flush=True)"
beat = next(service for service in workers() if service.name == "beat")
beat = replace(beat, command=(sys.executable, "-c", f"{deaf}; time.sleep(60)"))
with running([beat], Path(sys.argv[1]), print) as stack:
    print(stack.children[0]._process.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_beat_that_lost_its_signal_ends_all_the_same(tmp_path, how):
    """Celery's handler raises SystemExit, which Python drops where it strikes a callback of an import."""
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "alignapp.settings"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert supervisor.stdout is not None
    beat = psutil.Process(int(supervisor.stdout.readline()))
    supervisor.send_signal(how)
    supervisor.wait(timeout=10)
    supervisor.stdout.close()
    wait_until(lambda: not beat.is_running() or beat.status() == psutil.STATUS_ZOMBIE, 5)

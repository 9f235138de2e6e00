"""`manage.py up` and `doctor` as an operator meets them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from functools import partial

import psutil
import pytest

from tests.environment import ROOT
from tests.ports import free_port

pytestmark = pytest.mark.broker
UP = [sys.executable, "manage.py", "up"]


def surroundings(tmp_path, tiny_model, **more: str) -> dict[str, str]:
    """Return an environment without any of this test process's services."""
    own = {k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "DATABASE_URL")}
    return {**own, "ALIGN_VAR": str(tmp_path), "ALIGN_MODEL": str(tiny_model), **more}


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def is_running(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_up_serves_and_leaves_nothing_running(tmp_path, tiny_model, how):
    port, broker = free_port(), free_port()
    # Empty as some files of variables leave what is not set.
    unset = {"REDIS_URL": "", "DATABASE_URL": ""}
    environment = surroundings(tmp_path, tiny_model, ALIGN_BROKER_PORT=str(broker), **unset)
    process = subprocess.Popen(
        [*UP, "--port", str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # As a script's `make run &` starts it; Ctrl-C must stop it all the same.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_IGN),
    )
    begun = time.monotonic()
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C stops everything" in line:
            break
    assert lines[0].startswith("Starting"), lines  # nothing of a broker's warnings before
    assert any("alignapp is ready" in line for line in lines), lines
    assert str(tmp_path) in lines[-1]  # where the logs are
    assert time.monotonic() - begun < 60
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        assert json.load(answer) == {"database": "ok", "broker": "ok"}
    children = family(process)
    assert len(children) >= 6  # broker, web, three workers, beat
    process.send_signal(how)
    process.wait(timeout=40)
    until = time.monotonic() + 30
    while any(map(is_running, children)) and time.monotonic() < until:
        time.sleep(0.2)
    assert not [c.cmdline() for c in children if is_running(c)]


def refused(environment: dict[str, str], *options: str) -> str:
    done = subprocess.run(
        [*UP, *options], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_a_taken_port_is_one_line_that_says_what_to_do(tmp_path, tiny_model):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(surroundings(tmp_path, tiny_model), "--port", str(port))
    assert f"Port {port} on 127.0.0.1 is taken" in line
    assert f"--port {port + 1}" in line


def test_an_unreadable_model_is_one_line_that_says_what_to_do(tmp_path, tiny_model):
    environment = surroundings(tmp_path, tiny_model, ALIGN_MODEL=str(tmp_path))
    line = refused(environment, "--port", str(free_port()))
    assert "holds no config.json" in line


def test_a_broker_that_does_not_answer_is_one_line(tmp_path, tiny_model):
    environment = surroundings(tmp_path, tiny_model, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert "No Redis answers" in refused(environment, "--port", str(free_port()))


def test_the_doctor_says_how_to_mend_what_is_not_right(tmp_path, tiny_model):
    environment = surroundings(tmp_path, tiny_model, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 1
    assert found["database"]["state"] == "fail"
    assert "manage.py migrate" in found["database"]["message"]
    assert found["broker"]["state"] == "fail"
    assert found["packages"]["state"] == "ok"

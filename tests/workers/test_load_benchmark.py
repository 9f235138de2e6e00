"""The load benchmark as a whole: a few people on the tiny model, with two worker hosts."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import psycopg
import pytest

from benchmarks.load.place import DATABASE_SERVER
from tests.environment import ROOT

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]


def server() -> str:
    """Return the address of a PostgreSQL server that answers; empty where none does."""
    url = os.environ.get("DATABASE_URL", "")
    url = url if url.startswith("postgres") else DATABASE_SERVER
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError:
        return ""
    return url


@pytest.mark.skipif(not importlib.util.find_spec("locust"), reason="no locust (make install-bench)")
def test_everything_is_done_once_and_nothing_is_lost(tmp_path, tiny_model):
    if not (database := server()):
        pytest.skip("no PostgreSQL server answers (DATABASE_URL)")
    small = ("--people", "12", "--seconds", "12", "--jobs", "3")
    where = ("--folder", str(tmp_path / "run"), "--json", str(tmp_path / "load.json"))
    which = ("--model", str(tiny_model), "--models", str(tmp_path / "none"))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *small, *where, *which],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / "load.json").exists(), done.stdout + done.stderr
    found = json.loads((tmp_path / "load.json").read_text())
    verdicts = {bar["what"]: bar["verdict"] for bar in found["bars"]}
    for what in ("replies written twice or unlike shown", "jobs trained twice", "messages and feedback lost"):
        assert verdicts[what] == "PASS", done.stdout
    assert found["checked"]["replies"]["written"] > 0
    assert found["checked"]["replies"]["failed"] == 0
    assert found["checked"]["faults"] == found["figures"]["errors"] == []
    assert found["figures"]["pages"]["n"] > 0
    with psycopg.connect(database) as connection:
        left = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'alignapp_load_%'"
        ).fetchall()
    assert not left

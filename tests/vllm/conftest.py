"""A real vLLM server with a tiny model, a store of sealed artifacts, and the engine that asks it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import torch
from transformers import LlamaForCausalLM

from personalization import artifacts
from personalization.engine.requests import Intervention, InterventionKind
from personalization.engine.vllm.client import VllmEngine
from personalization.models.base import BaseModel, load
from personalization.models.personal import SteeringVectors, save_vectors
from tests import tiny
from tests.environment import ROOT
from tests.ports import free_port

PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
KEY = "the-key-of-this-test"
# vLLM's attention on a CPU has no heads narrower than 32.
HIDDEN, CONTEXT = 64, 4096
PEOPLE, ROWS = 6, 4  # fewer rows than people: vectors change places in the tables


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here, and give the server time to start."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """The tiny model, as a worker loads it from the folder that the server serves."""
    if not PYTHON.exists():
        pytest.skip("vLLM is not installed in .venv-vllm: make test-vllm installs it")
    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    shape = tiny.config(
        hidden_size=HIDDEN, num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=CONTEXT
    )
    LlamaForCausalLM(shape).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return load(str(folder), folder.parent, device="cpu", threads=1)


class Store:
    """Sealed artifacts, made when a test asks for them."""

    def __init__(self, base: BaseModel, folder: Path) -> None:
        self.base, self.folder = base, folder

    def seal(self, temporary: Path, kind: InterventionKind, **changes: str) -> Intervention:
        """Seal a folder as somebody's, at strength 1."""
        named = {"owner": "ada", "model_revision": self.base.revision, "method": "test", **changes}
        empty = {"parameters": {}, "records": [], "metrics": {}}
        sealed = artifacts.seal(temporary, self.folder, kind=kind, **named, **empty, key=b"key")
        return Intervention(kind, sealed.path, sealed.digest)

    def adapter(self, seed: int, *, rank: int = 4) -> Intervention:
        """Return a random adapter."""
        temporary = self.folder / "temporary"
        tiny.save_adapter(temporary, seed=seed, rank=rank, shape=self.base.model.config)
        return self.seal(temporary, "adapter")

    def vector(self, seed: int, *, vectors: SteeringVectors | None = None) -> Intervention:
        """Return random vectors at both kinds of site, or these."""
        temporary = self.folder / "temporary"
        save_vectors(vectors or tiny.vectors(seed=seed, size=2.0, hidden=HIDDEN), temporary)
        return self.seal(temporary, "vector")


@pytest.fixture(scope="session")
def store(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(base, tmp_path_factory.mktemp("artifacts"))


@dataclass
class Server:
    """A running server."""

    url: str
    log: Path

    def ask(self, method: str, path: str, *, key: str | None = KEY, **more: object) -> httpx2.Response:
        """Ask it something directly."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx2.request(method, self.url + path, headers=headers, timeout=60, **more)

    def metric(self, name: str) -> float:
        """Return one of vLLM's metrics, summed over its labels."""
        found = re.findall(rf"^vllm:{name}\{{.*?\}} (\S+)$", self.ask("GET", "/metrics").text, re.MULTILINE)
        assert found, f"no metric {name}"
        return sum(map(float, found))


@pytest.fixture(scope="session")
def server(base: BaseModel, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    log = folder / "log"
    environment = {
        **os.environ,
        "VLLM_API_KEY": KEY,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(folder),
    }
    model = ["--model", str(base.model.config._name_or_path), "--artifacts", str(store.folder)]
    limits = ["--max-num-seqs", str(ROWS), "--max-lora-rank", "16", "--max-loras", "2"]
    command = [str(PYTHON), "-m", "personalization.engine.vllm.serve", *model, "--port", str(port), *limits]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        server = Server(f"http://127.0.0.1:{port}", log)
        _wait_until_ready(server, process)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its own group: the engine, where it is left


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 600
    while process.poll() is None and time.monotonic() < until:
        try:
            if server.ask("GET", "/health", key=None).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(f"the vLLM server did not start: {server.log.read_text()[-3000:]}")


@pytest.fixture(scope="session")
def engine(base: BaseModel, server: Server) -> Iterator[VllmEngine]:
    made = VllmEngine(base, server.url, KEY)
    yield made
    made.close()

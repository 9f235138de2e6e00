"""Before the tests: a browser where there may be one, and the model, converted once.

`make test` runs this. Installs Debian's Chromium when it is missing and this user may; otherwise the
browser tests skip and say so, and under CI=true that is a failure.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def ensure_browser() -> str:
    """Return Chromium's path, or an empty string. Installs the Debian package when allowed to."""
    if found := shutil.which("chromium"):
        return found
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("Installing Debian's Chromium for the browser tests")
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return shutil.which("chromium") or ""


def ensure_model() -> None:
    """Convert the embedded model once, in a process of its own, so that no test pays for it."""
    code = (
        "from pathlib import Path; from personalization.models.base import prepare; "
        f"prepare('embedded', Path({str(ROOT / 'var' / 'models')!r}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def main() -> int:
    """Prepare, and return 1 where CI would silently skip the browser tests."""
    browser = ensure_browser()
    if not browser and os.environ.get("CI") == "true":
        print(
            "CI runs the browser tests, but there is no Chromium: apt-get install chromium", file=sys.stderr
        )
        return 1
    ensure_model()
    return 0


if __name__ == "__main__":
    sys.exit(main())

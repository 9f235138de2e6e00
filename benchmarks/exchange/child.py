"""One measured act in a process of its own, so that its peak memory is its own: import a file, or export it.

python -m benchmarks.exchange.child import FILE        prints one JSON object
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

import django


def main() -> None:
    """Do what the arguments say and print seconds, peak memory and counts."""
    act, path = sys.argv[1], Path(sys.argv[2])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "alignapp.settings")
    django.setup()
    begun = time.monotonic()
    before = _peak_mib()
    counts = {"read": read, "import": bring, "export": take}[act](path)
    told = {"seconds": time.monotonic() - begun, "peak_mib": _peak_mib(), "idle_mib": before}
    print(json.dumps(told | counts))


def _peak_mib() -> float:
    """Return the most memory that this program held; `getrusage` would count its parent, too."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def read(path: Path) -> dict[str, int]:
    """Only read the file into records: what the library costs without a database."""
    from personalization.exchange import registry, transfer

    with path.open("rb") as file:
        return {"records": sum(1 for _ in transfer.read(file, registry.get("trl-preference")))}


def bring(path: Path) -> dict[str, int]:
    """Import the file into a new project, as a worker does."""
    from alignapp.accounts.models import Person
    from alignapp.annotation.services.projects import create_project
    from alignapp.exchange import services
    from alignapp.exchange.rows import commit
    from personalization.exchange import registry

    owner = Person.objects.create_user(f"{path.stem}@example.org")
    project = create_project(owner, name=path.stem)
    with path.open("rb") as file:
        found = services.read(file, registry.get("trl-preference"), licence="CC0-1.0", may_train=True)
        return commit(project, found).counts()


def take(path: Path) -> dict[str, int]:
    """Export the project that the file was imported into, as the page does."""
    from alignapp.annotation.models import Project
    from alignapp.exchange import records, services

    project = Project.objects.get(name=path.stem)
    about = services.about_project(project)
    pieces = services.pack(lambda: records.of_project(project), ["trl-preference"], "training", about)
    return {"bytes": sum(map(len, pieces))}


if __name__ == "__main__":
    main()

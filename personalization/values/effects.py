"""What a base model's value directions were measured to do, as `manage.py values build` wrote it.

Reads manifests only: knows nothing of tensors, people or pages. The directions of the embedded model come
with alignapp (`SHIPPED`), so that stated values act from the first minute; a build of one's own goes before.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORMAT = 1
MANIFEST = "manifest.json"
COMBINED = "combined.json"  # what pairs of values were measured to do together
MESSAGES = "messages.json"  # what asking for each value in words was measured to do
SHIPPED = Path(__file__).parent / "shipped"
# What belongs to the model and to no one value: hidden norms, what values did together and what asking in
# words did, the way to the subject.
SHARED = ("norms.json", COMBINED, MESSAGES, "subject.npy")
# What an importance of 1 to 5 is worth; 1 is the strength that was chosen and measured.
WORTH = {1: 0.4, 2: 0.55, 3: 0.7, 4: 0.85, 5: 1.0}


def folder_name(key: str) -> str:
    """Return the name of a value's folder below the model's."""
    return key.replace(".", "-")


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the manifests in one model's folder by their value's key; none where nothing was built."""
    found = {}
    for file in sorted(folder.glob(f"[!.]*/{MANIFEST}")):
        manifest = json.loads(file.read_text())
        if manifest.get("format") == FORMAT:
            found[manifest["value"]] = manifest
    return found


def works(manifest: Mapping[str, Any]) -> bool:
    """Say whether a value's direction was measured to show the value, in answers that stay sound."""
    report = manifest["report"]
    return bool(report["win_rate"]["low"] > 0.5 and report["sound"])


def place(store: Path, revision: str) -> Path:
    """Return the folder of a model's directions: built in `store`, or else shipped. It may not exist."""
    built = store / revision
    return built if any(built.glob(f"[!.]*/{MANIFEST}")) else SHIPPED / revision


def newest(store: Path) -> Path | None:
    """Return the folder that was built last; None where there is none."""
    found = [path for path in store.glob("*/") if any(path.glob(f"[!.]*/{MANIFEST}"))]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def forget_measured(folder: Path, key: str) -> None:
    """Drop what was measured with a value's earlier direction in company and beside a message."""
    (folder / COMBINED).unlink(missing_ok=True)
    if (folder / MESSAGES).exists():
        known = json.loads((folder / MESSAGES).read_text())
        known.pop(key, None)
        (folder / MESSAGES).write_text(json.dumps(known, indent=1))


def unpack_shipped(store: Path, revision: str) -> None:
    """Put what was shipped for a model into `store`, so that a build there only adds to it."""
    if (SHIPPED / revision).is_dir() and not (store / revision).exists():
        shutil.copytree(SHIPPED / revision, store / revision)


def ship(folder: Path, target: Path) -> list[str]:
    """Copy a model's vectors and manifests to `target`, without what they were made from; return the values.

    Adapters stay behind: each is a thousand times as large.
    """
    made = {key: each for key, each in read(folder).items() if each["kind"] != "adapter"}
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in SHARED:
        if (folder / name).exists():
            shutil.copy2(folder / name, target / name)
    for key in made:
        shutil.copytree(folder / folder_name(key), target / folder_name(key))
    return list(made)

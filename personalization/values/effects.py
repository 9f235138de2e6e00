"""What a base model's value directions were measured to do, as `manage.py values build` wrote it.

Reads manifests only: knows nothing of tensors, people or pages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FORMAT = 1
MANIFEST = "manifest.json"
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

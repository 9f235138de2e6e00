"""`steering.safetensors` without the library of that name: the web reads and writes vectors with numpy alone.

The format is a length, a JSON header of places and shapes, and the numbers
(github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

NAME = "steering.safetensors"
_DTYPES = {"F32": "<f4", "F16": "<f2"}


def read_vectors(folder: Path) -> dict[str, Array]:
    """Return the vectors in a folder by name. Raises ValueError for a file of anything else."""
    data = (folder / NAME).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    found = {}
    for name, about in header.items():
        if name == "__metadata__":
            continue
        if about["dtype"] not in _DTYPES:
            raise ValueError(f"{folder / NAME}: {name} is {about['dtype']}; vectors are F32 or F16.")
        start, end = about["data_offsets"]
        part = np.frombuffer(data[8 + size + start : 8 + size + end], dtype=_DTYPES[about["dtype"]])
        found[name] = part.reshape(about["shape"]).astype(np.float32)
    return found


def write_vectors(vectors: Mapping[str, Array], folder: Path) -> None:
    """Write vectors (hidden,) by name in float32, as the engine reads them, into an existing folder."""
    entries, parts, at = {}, [], 0
    for name, vector in vectors.items():
        part = vector.astype("<f4").tobytes()
        entries[name] = {"dtype": "F32", "shape": list(vector.shape), "data_offsets": [at, at + len(part)]}
        parts.append(part)
        at += len(part)
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    (folder / NAME).write_bytes(len(header).to_bytes(8, "little") + header + b"".join(parts))

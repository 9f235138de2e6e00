"""Tensors that depend on a base model only, kept in a folder: whole, checked when read, and bounded.

Knows nothing of what they mean. A file is named by a digest of all that its tensor depends on (the model's
revision, the prompts), so that another model or another wording never finds it; its metadata hold that name
and the digest of the tensor's bytes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

MOST_BYTES = 2**30  # of a folder: sixty models like SmolLM2-135M, eight of 7B
_KEY, _SUFFIX = "kept", ".safetensors"


def read(folder: Path, name: str) -> Tensor | None:
    """Return what was kept under this name; None where nothing was, or where it is damaged or another's."""
    file = folder / (name + _SUFFIX)
    try:
        with safe_open(file, framework="pt") as opened:
            metadata, tensor = opened.metadata() or {}, opened.get_tensor(_KEY)
        if (metadata.get("name"), metadata.get("sha256")) != (name, _digest(tensor)):
            return None
        with suppress(OSError):  # a folder that may only be read
            os.utime(file)  # so that what is used stays
    except (OSError, SafetensorError):
        return None
    return tensor


def write(folder: Path, name: str, tensor: Tensor) -> None:
    """Keep a tensor, and let go of what was used longest ago beyond `MOST_BYTES`. Raises OSError.

    The file is whole or absent, whenever the process or the machine stops.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / (name + _SUFFIX)
    with tempfile.TemporaryDirectory(dir=folder, prefix="keeping-") as temporary:
        partial = Path(temporary) / file.name
        save_file({_KEY: tensor.contiguous()}, partial, metadata={"name": name, "sha256": _digest(tensor)})
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(file)
    _bound(folder, file)


def _bound(folder: Path, newest: Path) -> None:
    """Remove the files used longest ago until the folder fits; the newest stays, however large."""
    room, found = MOST_BYTES - newest.stat().st_size, []
    for file in folder.glob("*" + _SUFFIX):
        with suppress(FileNotFoundError):  # another worker bounds the same folder
            if file != newest:
                found.append((file.stat().st_mtime, file.stat().st_size, file))
    for _, size, file in sorted(found, reverse=True):
        room -= size
        if room < 0:
            file.unlink(missing_ok=True)


def _digest(tensor: Tensor) -> str:
    about = repr((tensor.dtype, tuple(tensor.shape))).encode()
    return hashlib.sha256(about + tensor.contiguous().numpy().tobytes()).hexdigest()

"""An artifact as a zip, made while it is sent. Knows nothing of requests or of who asks."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from alignapp.zipping import Sink

CHUNK_BYTES = 256 * 1024


def zipped(folder: Path, name: str, more: Mapping[str, bytes] | None = None) -> Iterator[bytes]:
    """Yield a zip of a folder's files under `name`/, uncompressed: weights do not get smaller.

    `more` is put beside them, by file name; a sealed file of the same name stays as it is.
    """
    sink = Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        sealed = sorted(folder.iterdir())
        taken = {path.name for path in sealed}
        for extra, data in (more or {}).items():
            if extra not in taken:
                archive.writestr(f"{name}/{extra}", data)
        for path in sealed:
            entry = zipfile.ZipInfo.from_file(path, f"{name}/{path.name}")
            with path.open("rb") as source, archive.open(entry, "w") as target:
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
                    yield sink.drain()
            yield sink.drain()
    yield sink.drain()

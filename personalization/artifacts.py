"""Seal what was learned into a folder that is never changed again, and refuse anything that was.

Knows nothing of tensors, people or databases. A sealed folder is named by the digest of its contents
and holds a `manifest.json`: owner, base model, method, parameters, the records it learned from, metrics,
the SHA-256 of every file, and an HMAC-SHA256 signature over all of that. The digest covers everything
but the signature and the time of sealing, so that the same contents always lie in the same place.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from personalization import __version__
from personalization.errors import ArtifactError

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed artifact: where it lies and what its manifest says."""

    digest: str
    path: Path
    size_bytes: int
    manifest: Mapping[str, Any]


def path_of(store: Path, digest: str) -> Path:
    """Return where the artifact with this digest lies in a store."""
    return store / digest[:2] / digest


def seal(
    temporary: Path,
    store: Path,
    *,
    kind: str,
    owner: str,
    model_revision: str,
    method: str,
    parameters: Mapping[str, Any],
    records: Sequence[str],
    metrics: Mapping[str, Any],
    key: bytes,
    parents: Sequence[str] = (),
) -> Sealed:
    """Move a finished folder into the store, atomically, and return it.

    Writes the manifest, forces everything to disk and renames, so that a killed process leaves either
    nothing or the whole. `temporary` must lie on the store's file system; it is gone afterwards, also
    when sealing fails. `parents` are the digests of what it was merged from. Sealing the same contents
    again returns the first one, or replaces it when it was damaged. Raises ArtifactError for an empty
    folder, one with links or one that has a manifest already, and OSError when the disk is full.
    """
    try:
        files = _hashes(temporary)
        if not files:
            raise ArtifactError(f"There is nothing to seal in {temporary.name}.")
        if MANIFEST in files:
            raise ArtifactError(f"{temporary.name} holds a {MANIFEST} already; only sealing writes one.")
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "kind": kind,
            "owner": owner,
            "model_revision": model_revision,
            "method": method,
            "parameters": dict(parameters),
            "records": sorted(records),
            "data_sha256": hashlib.sha256("\n".join(sorted(records)).encode()).hexdigest(),
            "metrics": dict(metrics),
            "code_version": __version__,
            "sealed_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": files,
        }
        if parents:
            manifest["parents"] = sorted(parents)
        manifest = json.loads(_canonical(manifest))  # as it will be read: keys are text, tuples are lists
        digest = _digest(manifest)
        target = path_of(store, digest)
        if (first := _intact(target, manifest, key)) is not None:
            return first
        _place(temporary, target, manifest, key)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return _sealed(target, manifest)


def _place(temporary: Path, target: Path, manifest: dict[str, Any], key: bytes) -> None:
    """Sign the manifest, force everything to disk and rename."""
    manifest["signature"] = _signature(manifest, key)
    (temporary / MANIFEST).write_bytes(_canonical(manifest))
    target.parent.mkdir(parents=True, exist_ok=True)
    for name in (*manifest["files"], MANIFEST):
        _sync(temporary / name)
    _sync(temporary)
    discard(target)
    temporary.rename(target)
    _sync(target.parent)


def verify(path: Path, *, owner: str, model_revision: str, key: bytes) -> dict[str, Any]:
    """Return the manifest of an untouched artifact of this owner for this base model.

    Reads every byte. Raises ArtifactError when anything was changed, added or removed, when the
    signature is not ours, or when owner or base model are others.
    """
    raw, manifest = _read(path)
    unsigned = {name: value for name, value in manifest.items() if name != "signature"}
    signature = str(manifest.get("signature"))
    if raw != _canonical(manifest) or not hmac.compare_digest(signature, _signature(unsigned, key)):
        raise ArtifactError(f"The manifest of artifact {path.name[:12]} was changed; learn again.")
    _check_contents(path, manifest)
    if manifest["owner"] != owner:
        raise ArtifactError(f"The artifact {path.name[:12]} belongs to somebody else.")
    if manifest["model_revision"] != model_revision:
        raise ArtifactError(
            f"The artifact {path.name[:12]} was made for base model {manifest['model_revision']}, "
            f"not for {model_revision}; learn again on the new model."
        )
    return manifest


def untouched(path: Path) -> dict[str, Any]:
    """Return the manifest of an artifact whose contents are those that its digest names; reads every byte.

    For a host without the key, told the digest by one that verified the rest. Raises ArtifactError.
    """
    _, manifest = _read(path)
    _check_contents(path, manifest)
    return manifest


def discard(path: Path) -> None:
    """Remove an artifact; one that is gone already is no error."""
    shutil.rmtree(path, ignore_errors=True)


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    try:
        raw = (path / MANIFEST).read_bytes()
        return raw, dict(json.loads(raw))
    except (OSError, ValueError, TypeError) as error:
        raise ArtifactError(
            f"The artifact {path.name[:12]} has no readable manifest; learn again."
        ) from error


def _check_contents(path: Path, manifest: Mapping[str, Any]) -> None:
    """Raise ArtifactError when manifest or files are not what the folder's name says."""
    if _digest({name: value for name, value in manifest.items() if name != "signature"}) != path.name:
        raise ArtifactError(f"The artifact {path.name[:12]} does not lie under its own digest; learn again.")
    if _hashes(path, skip=MANIFEST) != manifest.get("files"):
        raise ArtifactError(f"The files of artifact {path.name[:12]} were changed; learn again.")


def _intact(target: Path, manifest: Mapping[str, Any], key: bytes) -> Sealed | None:
    """Return what lies at `target` already, when it is whole."""
    owner, revision = manifest["owner"], manifest["model_revision"]
    try:
        return _sealed(target, verify(target, owner=owner, model_revision=revision, key=key))
    except ArtifactError:
        return None


def _sealed(path: Path, manifest: Mapping[str, Any]) -> Sealed:
    return Sealed(path.name, path, sum(file.stat().st_size for file in path.iterdir()), manifest)


def _digest(unsigned: Mapping[str, Any]) -> str:
    named = {name: value for name, value in unsigned.items() if name != "sealed_at"}
    return hashlib.sha256(_canonical(named)).hexdigest()


def _hashes(folder: Path, *, skip: str = "") -> dict[str, str]:
    hashes = {}
    for file in sorted(folder.iterdir()):
        if file.is_symlink() or not file.is_file():
            raise ArtifactError(f"An artifact holds plain files only, not {file.name!r}.")
        if file.name != skip:
            with file.open("rb") as stream:
                hashes[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashes


def _canonical(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _signature(manifest: Mapping[str, Any], key: bytes) -> str:
    return hmac.new(key, _canonical(manifest), hashlib.sha256).hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

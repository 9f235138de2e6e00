"""Sealing and checking artifacts: nothing that was touched, moved or foreign is ever used."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from personalization import artifacts
from personalization.errors import ArtifactError

KEY = b"the key of this installation"
ADA = {"owner": "ada", "model_revision": "base-1", "key": KEY}


def learned(folder: Path, weights: bytes = bytes(range(256))) -> Path:
    """Write what a method leaves behind."""
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(weights)
    (folder / "adapter_config.json").write_text('{"r": 8, "peft_type": "LORA"}')
    return folder


def seal(tmp_path: Path, name: str = "learning", weights: bytes = bytes(range(256)), **changed: Any):
    given: dict[str, Any] = {
        "kind": "adapter",
        "owner": "ada",
        "model_revision": "base-1",
        "method": "dpo",
        "parameters": {"beta": 0.1},
        "records": ["row-2", "row-1"],
        "metrics": {"loss": 0.5},
        "key": KEY,
    }
    return artifacts.seal(learned(tmp_path / name, weights), tmp_path / "store", **{**given, **changed})


def refuse(path: Path, match: str = "artifact", **changed: Any) -> None:
    with pytest.raises(ArtifactError, match=match):
        artifacts.verify(path, **{**ADA, **changed})


def test_an_untouched_artifact_is_verified_and_says_what_it_was_made_from(tmp_path):
    sealed = seal(tmp_path)
    manifest = artifacts.verify(sealed.path, **ADA)
    assert sealed.path == artifacts.path_of(tmp_path / "store", sealed.digest)
    assert manifest == sealed.manifest
    assert manifest["records"] == ["row-1", "row-2"]
    assert manifest["parameters"] == {"beta": 0.1}
    assert sealed.size_bytes == sum(f.stat().st_size for f in sealed.path.iterdir())
    assert not (tmp_path / "learning").exists()


@pytest.mark.parametrize("bit", [0, 7])
def test_any_flipped_byte_of_any_file_is_refused(tmp_path, bit):
    sealed = seal(tmp_path)
    tried = 0
    for file in sealed.path.iterdir():
        content = file.read_bytes()
        for at in range(len(content)):
            changed = bytearray(content)
            changed[at] ^= 1 << bit
            file.write_bytes(changed)
            refuse(sealed.path)
            tried += 1
        file.write_bytes(content)
    assert tried > 600  # weights, configuration, manifest with its signature
    artifacts.verify(sealed.path, **ADA)


def test_a_manifest_rewritten_in_full_is_refused_without_the_key(tmp_path):
    sealed = seal(tmp_path)
    unsigned = {k: v for k, v in sealed.manifest.items() if k != "signature"}
    forged = {**unsigned, "owner": "eve"}
    forged["signature"] = artifacts._signature(forged, b"a guessed key")
    (sealed.path / "manifest.json").write_bytes(artifacts._canonical(forged))
    refuse(sealed.path, "manifest .* was changed", owner="eve")


def test_a_manifest_that_is_spelled_in_another_way_is_refused(tmp_path):
    sealed = seal(tmp_path)
    (sealed.path / "manifest.json").write_text(json.dumps(dict(sealed.manifest), indent=1))
    refuse(sealed.path, "manifest .* was changed")


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b"\xff\xfe", b'{"signature": 3}', b"7"])
def test_a_manifest_that_is_no_manifest_is_refused(tmp_path, content):
    sealed = seal(tmp_path)
    (sealed.path / "manifest.json").write_bytes(content)
    refuse(sealed.path)


def test_missing_extra_and_linked_files_are_refused(tmp_path):
    sealed = seal(tmp_path)
    weights = sealed.path / "adapter_model.safetensors"
    elsewhere = tmp_path / "elsewhere"
    shutil.copy(weights, elsewhere)
    (sealed.path / "extra").write_text("")
    refuse(sealed.path, "files of artifact .* were changed")
    (sealed.path / "extra").unlink()
    (sealed.path / "folder").mkdir()
    refuse(sealed.path, "plain files only")
    (sealed.path / "folder").rmdir()
    weights.unlink()
    refuse(sealed.path, "files of artifact .* were changed")
    weights.symlink_to(elsewhere)  # the very same bytes
    refuse(sealed.path, "plain files only")
    weights.unlink()
    shutil.copy(elsewhere, weights)
    artifacts.verify(sealed.path, **ADA)
    refuse(tmp_path / "store" / "no" / "nowhere", "no readable manifest")


def test_other_owners_models_keys_and_places_are_refused(tmp_path):
    sealed = seal(tmp_path)
    refuse(sealed.path, "belongs to somebody else", owner="bob")
    refuse(sealed.path, "made for base model base-1, not for base-2", model_revision="base-2")
    refuse(sealed.path, "manifest .* was changed", key=b"another key")
    moved = sealed.path.with_name("0" * 64)
    shutil.copytree(sealed.path, moved)
    refuse(moved, "does not lie under its own digest")


def test_two_peoples_files_swapped_are_refused(tmp_path):
    ada, bob = seal(tmp_path), seal(tmp_path, weights=bytes(256), owner="bob")
    for name in ("adapter_model.safetensors", "manifest.json"):
        aside = tmp_path / "aside"
        for source, target in ((ada.path, aside), (bob.path, ada.path / name), (aside, bob.path / name)):
            shutil.copy(source if source == aside else source / name, target)
        refuse(ada.path)
        refuse(bob.path, owner="bob")


def test_sealing_the_same_contents_again_returns_the_first(tmp_path, monkeypatch):
    first = seal(tmp_path)
    later = artifacts.datetime

    class NextYear(later):
        @classmethod
        def now(cls, tz=None):
            return later.now(tz).replace(year=later.now(tz).year + 1)

    monkeypatch.setattr(artifacts, "datetime", NextYear)
    assert seal(tmp_path) == first
    assert not (tmp_path / "learning").exists()
    assert seal(tmp_path, owner="bob").digest != first.digest


def test_sealing_again_replaces_a_first_one_that_was_damaged(tmp_path):
    first = seal(tmp_path)
    (first.path / "adapter_model.safetensors").write_bytes(b"torn")
    again = seal(tmp_path)
    assert again.digest == first.digest
    artifacts.verify(again.path, **ADA)


def test_whatever_json_can_say_can_be_sealed(tmp_path):
    sealed = seal(tmp_path, metrics={"layers": {2: 0.5, 10: 0.25}, "name": "Ærø", "none": None, "t": (1, 2)})
    assert artifacts.verify(sealed.path, **ADA)["metrics"]["layers"] == {"2": 0.5, "10": 0.25}
    assert sealed.manifest["metrics"]["t"] == [1, 2]


@pytest.mark.parametrize("failing", range(6))
def test_a_disk_that_fails_while_sealing_leaves_nothing_or_the_whole(tmp_path, monkeypatch, failing):
    calls = 0
    fsync = os.fsync

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == failing + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    if failing < 5:
        with pytest.raises(OSError, match="No space"):
            seal(tmp_path)
    else:
        seal(tmp_path)
    assert not (tmp_path / "learning").exists()
    whole = list((tmp_path / "store").glob("??/*"))
    assert len(whole) == (1 if failing >= 4 else 0)  # the fifth call comes after the rename
    for path in whole:
        artifacts.verify(path, **ADA)


def test_what_cannot_be_sealed_is_refused_and_removed(tmp_path):
    def attempt(folder: Path) -> None:
        with pytest.raises(ArtifactError):
            artifacts.seal(
                folder, tmp_path / "store", kind="adapter", owner="ada", model_revision="base-1",
                method="dpo", parameters={}, records=[], metrics={}, key=KEY,
            )  # fmt: skip
        assert not folder.exists()
        assert not list(tmp_path.glob("store/??/*"))

    (tmp_path / "empty").mkdir()
    attempt(tmp_path / "empty")
    (learned(tmp_path / "linked") / "link").symlink_to("/etc/passwd")
    attempt(tmp_path / "linked")
    (learned(tmp_path / "named") / "manifest.json").write_text("{}")
    attempt(tmp_path / "named")


def test_discarding_twice_is_no_error(tmp_path):
    sealed = seal(tmp_path)
    artifacts.discard(sealed.path)
    artifacts.discard(sealed.path)
    assert not sealed.path.exists()

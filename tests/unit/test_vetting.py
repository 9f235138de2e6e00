"""A base model is looked at before anything of it is run, and tried before people are moved to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from personalization.engine import smoke
from personalization.models import vetting
from personalization.models.base import content_hash, load, revision_of
from tests import tiny


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with a tiny random model."""
    made = tmp_path / "tiny"
    tiny.base().model.save_pretrained(made)
    tiny.base().tokenizer.save_pretrained(made)
    return made


def look(folder: Path, licence: str = "") -> dict[str, vetting.Finding]:
    found = vetting.look(folder, device=torch.device("cpu"), store=folder, licence=licence)
    return {finding.name: finding for finding in found}


def run(folder: Path, capsys) -> tuple[int, list[dict]]:
    places = [
        "--model-dir",
        str(folder.parent),
        "--store",
        str(folder.parent),
        "--values",
        str(folder.parent),
    ]
    status = smoke.main([str(folder), "--device", "cpu", *places])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_sound_model_passes_every_check_and_is_described(folder, capsys):
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
    status, lines = run(folder, capsys)
    findings = [line["finding"] for line in lines if "finding" in line]
    assert [each for each in findings if not each["ok"]] == []
    assert [each["name"] for each in findings][-4:] == ["answer", "steer", "adapter", "batch and alone"]
    facts = lines[-1]["facts"]
    assert status == 0
    assert facts["revision"] == revision_of(folder) == facts["content_hash"][:16]
    assert len(content_hash(folder)) == 64
    assert (facts["layers"], facts["hidden_size"], facts["sites"]) == (3, 48, ["output", "attention"])
    assert facts["licence"] == "apache-2.0"
    assert facts["parameters"] == sum(p.numel() for p in tiny.base().model.parameters())
    assert [line["share"] for line in lines] == sorted(line["share"] for line in lines)


@pytest.mark.parametrize(
    ("name", "content", "check", "words"),
    [
        ("modeling_x.py", "", "no code", "modeling_x.py"),
        ("config.json", '{"auto_map": {"AutoModel": "x.Y"}}', "no code", "auto_map in config.json"),
        ("pytorch_model.bin", "", "safetensors only", "pytorch_model.bin"),
        ("training_args.pkl", "", "safetensors only", "training_args.pkl"),
        ("model.safetensors", "none", "safetensors only", "cannot be read"),
    ],
)
def test_code_and_pickles_are_refused_before_anything_is_loaded(folder, capsys, name, content, check, words):
    (folder / name).write_text(content)
    found = look(folder)[check]
    assert not found.ok
    assert words in found.words
    _status, lines = run(folder, capsys)
    assert not [line for line in lines if "facts" in line or line["finding"]["name"] == "load"]


def test_a_model_without_a_template_or_too_large_for_the_memory_is_refused(folder, monkeypatch):
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert not look(folder)["chat template"].ok
    assert look(folder)["room"].ok
    monkeypatch.setattr(vetting, "ROOM", 1e9)
    assert "are free on cpu" in look(folder)["room"].words
    assert not look(folder)["room"].ok


def test_what_is_not_there_is_said_in_words(tmp_path, capsys):
    status, lines = run(tmp_path / "nowhere", capsys)
    assert status == 1
    assert "Every worker host must see it" in lines[-1]["finding"]["words"]


def test_a_model_on_which_nothing_acts_fails_the_smoke_test(folder, monkeypatch):
    monkeypatch.setattr(smoke, "PUSH", 1e-9)
    monkeypatch.setattr(smoke, "CHANGE", 1e-9)
    base = load(str(folder), folder.parent, device="cpu")
    failed = [finding.name for finding in smoke.smoke(base) if not finding.ok]
    assert failed == ["steer", "adapter"]

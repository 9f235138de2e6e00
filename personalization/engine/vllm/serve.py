"""Start a vLLM server for alignapp: `VLLM_API_KEY=… python -m personalization.engine.vllm.serve`.

Runs in vLLM's own environment, from the checkout. Options that are not named here are vLLM's and go to it as
they are (`-- --tensor-parallel-size 2`). Knows nothing of people.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from personalization.engine.vllm.door import Door, Settings
from personalization.engine.vllm.stock import Resolver, Stock
from personalization.errors import AlignError, ModelError

_PACKAGE = "personalization.engine.vllm"
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",  # without it no resolver is asked; the door keeps its paths shut
    "VLLM_USE_V2_MODEL_RUNNER": "0",  # `steering` is written for the first
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; return the exit status."""
    options, rest = _options(arguments)
    try:
        key = os.environ.get("VLLM_API_KEY", "")
        if len(key) < 16:
            raise ModelError(
                "VLLM_API_KEY must hold 16 characters or more, the same as the workers' ALIGN_VLLM_KEY: "
                "without one, whoever reaches this server could have it answer as anybody."
            )
        os.environ.update(_ENVIRONMENT)
        _serve(options, rest, key)
    except AlignError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog=f"python -m {_PACKAGE}.serve", description=__doc__, allow_abbrev=False
    )
    environment = os.environ.get
    parser.add_argument("--model", default=environment("ALIGN_MODEL", "embedded"), help="as ALIGN_MODEL")
    parser.add_argument("--models", type=Path, default=environment("ALIGN_MODELS", "var/models"))
    parser.add_argument("--artifacts", type=Path, default=environment("ALIGN_ARTIFACTS", "var/artifacts"))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100)
    options, rest = parser.parse_known_args(arguments)
    return options, [each for each in rest if each != "--"]


def _serve(options: argparse.Namespace, rest: list[str], key: str) -> None:
    # The environment is set by now, and vLLM reads it when it is imported.
    import uvloop
    from vllm.entrypoints.launchers.api_server.entry import run_server
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.lora.resolver import LoRAResolverRegistry
    from vllm.platforms import current_platform
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    from personalization.models.base import prepare, revision_of

    source = prepare(options.model, options.models)
    revision = revision_of(source)
    if current_platform.is_cpu():
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    # vLLM takes the last of equal options: what an operator may change comes before theirs, what not after.
    free = [
        *("--dtype", "float32" if current_platform.is_cpu() else "bfloat16"),
        *("--max-lora-rank", "32", "--max-loras", "16", "--max-cpu-loras", "128"),
    ]
    fixed = [
        *("--model", str(source), "--served-model-name", revision),
        *("--host", options.host, "--port", str(options.port)),
        *("--generation-config", "vllm", "--scheduling-policy", "priority"),
        *("--enable-lora", "--enforce-eager", "--worker-extension-cls", f"{_PACKAGE}.steering.Steering"),
        *("--middleware", f"{_PACKAGE}.door.Door", "--disable-fastapi-docs"),
    ]
    args = make_arg_parser(FlexibleArgumentParser()).parse_args([*free, *rest, *fixed])
    validate_parsed_serve_args(args)
    if args.pipeline_parallel_size > 1 or args.data_parallel_size > 1:
        raise ModelError("Vectors reach one whole model: use --tensor-parallel-size, or more servers.")
    stock = Stock(options.artifacts, revision)
    Door.settings = Settings(stock, key, revision)
    LoRAResolverRegistry.register_resolver("alignapp", Resolver(stock))
    try:
        uvloop.run(run_server(args))
    finally:
        stock.close()


if __name__ == "__main__":
    sys.exit(main())

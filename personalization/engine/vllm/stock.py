"""What a vLLM server has at hand: adapters as folders that its resolver names, vectors with its workers.

Knows nothing of HTTP. Both come from the artifact store, at the strength of an answer, when one needs them.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import save

from personalization.engine.vllm import combine, names
from personalization.engine.vllm.shelf import Shelf
from personalization.errors import ArtifactError, ModelError

# A request that was given up is still known to the engine for a moment: what it names stays as long.
GRACE_SECONDS = 3.0


class Stock:
    """Adapters (on disk, `adapter_bytes` at most, in a folder of this process) and vectors (`vector_bytes`).

    `store` is the artifact store, `model_revision` what is served.
    """

    def __init__(
        self,
        store: Path,
        model_revision: str,
        *,
        adapter_bytes: int = 16 * 2**30,
        vector_bytes: int = 256 * 2**20,
    ) -> None:
        self._store, self._revision = store, model_revision
        self._copies = Path(tempfile.mkdtemp(prefix="alignapp-vllm-"))  # for this user alone
        self._adapters, self._vectors = Shelf(adapter_bytes), Shelf(vector_bytes)
        self._paths: dict[str, Path] = {}
        self._changing = asyncio.Lock()
        self._tidying: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Remove every copy."""
        shutil.rmtree(self._copies, ignore_errors=True)

    def adapter_path(self, name: str) -> Path | None:
        """Return the folder of an adapter that is at hand."""
        return self._paths.get(name)

    @asynccontextmanager
    async def holding(self, adapter: str, vectors: str, state: Any) -> AsyncIterator[None]:
        """Have what these names stand for (empty: nothing) at hand inside.

        `state` is the state of vLLM's application. Raises ArtifactError for what cannot be read, and
        ModelError for what does not fit the model or its server's limits.
        """
        with self._adapters.holding(adapter), self._vectors.holding(vectors):
            try:
                async with self._changing:
                    if adapter and adapter not in self._adapters:
                        await self._put_adapter(adapter, state)
                    if vectors and vectors not in self._vectors:
                        await self._put_vectors(vectors, state)
                yield
            finally:
                self._tidy_later(state)

    async def forget(self, digests: Collection[str], state: Any) -> None:
        """Drop what was deleted as soon as no answer uses it, and every cached prefix at once."""
        for shelf in (self._adapters, self._vectors):
            shelf.delete(digests)
        self._tidy_later(state)
        await state.engine_client.reset_prefix_cache(reset_running_requests=True)

    async def _put_adapter(self, name: str, state: Any) -> None:
        weights = await asyncio.to_thread(
            combine.adapter, self._store, names.parse(name), model_revision=self._revision
        )
        rank, most = combine.rank_of(weights), state.vllm_config.lora_config.max_lora_rank
        if rank > most:
            raise ModelError(
                f"What acts here has rank {rank} together, and the vLLM server takes {most}: "
                f"start it with --max-lora-rank {rank} or more."
            )
        # A folder of its own each time: vLLM keeps what it read by path.
        path = Path(tempfile.mkdtemp(dir=self._copies)) / "adapter"
        size = await asyncio.to_thread(combine.save_adapter, weights, path)
        self._paths[name] = path
        self._adapters.put(name, size)

    async def _put_vectors(self, name: str, state: Any) -> None:
        found = await asyncio.to_thread(
            combine.vectors, self._store, names.parse(name), model_revision=self._revision
        )
        config = state.vllm_config.model_config.hf_text_config
        for (layer, _), vector in found.sites.items():
            if vector.shape != (config.hidden_size,) or layer >= config.num_hidden_layers:
                raise ModelError(
                    f"A steering vector {tuple(vector.shape)} for layer {layer} does not fit the model: "
                    f"{config.num_hidden_layers} layers of width {config.hidden_size}."
                )
        if not all(bool(vector.isfinite().all()) for vector in found.sites.values()):
            raise ModelError("A steering vector holds numbers that are not finite.")
        payload = save({f"layer.{layer}.{site}": vector for (layer, site), vector in found.sites.items()})
        answers = await state.engine_client.collective_rpc("steer_put", args=(name, payload))
        if refusals := [answer for answer in answers if answer]:
            raise ModelError(refusals[0])
        self._vectors.put(name, len(payload))

    def _tidy_later(self, state: Any) -> None:
        task = asyncio.create_task(self._tidy(state))
        self._tidying.add(task)  # a task that nobody knows may be collected
        task.add_done_callback(self._tidying.discard)

    async def _tidy(self, state: Any) -> None:
        await asyncio.sleep(GRACE_SECONDS)
        async with self._changing:
            for name in self._adapters.take_surplus():
                models = state.openai_serving_models
                models.lora_resolver_lock.pop(name, None)
                if (known := models.lora_requests.pop(name, None)) is not None:
                    await state.engine_client.remove_lora(known.lora_int_id)
                await asyncio.to_thread(shutil.rmtree, self._paths.pop(name).parent, ignore_errors=True)
            if surplus := self._vectors.take_surplus():
                await state.engine_client.collective_rpc("steer_drop", args=(surplus,))


class Resolver:
    """vLLM's way to an adapter by its name. `holding` has verified it and written it before vLLM asks."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock

    async def resolve_lora(self, base_model_name: str, lora_name: str) -> Any:  # noqa: ARG002 - vLLM's form
        """Return where an adapter lies; None when no request holds it."""
        from vllm.lora.request import LoRARequest

        if (path := self._stock.adapter_path(lora_name)) is None:
            return None
        return LoRARequest(lora_name=lora_name, lora_int_id=1, lora_path=str(path))  # vLLM counts anew


def check_name(name: str) -> str:
    """Return a name from outside, or raise ArtifactError."""
    if not isinstance(name, str):
        raise ArtifactError("A name of artifacts is a text.")
    if name:
        names.parse(name)
    return name

"""vLLM's workers with vectors: a table for each site, and for each token of a step the row that acts on it.

`serve` injects `Steering` into vLLM's worker class (`--worker-extension-cls`). Knows nothing of digests,
strengths or people. Written for vLLM 0.32's first model runner in eager mode; a captured graph would not see
the hooks. A vector acts on every token, the prompt's too, as in `personalization.models.interventions`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor, nn

# What a completion's `vllm_xargs` name vectors by.
ARGUMENT = "steer"


class Steering:
    """What collective calls reach. Vectors come as safetensors bytes, once for each name."""

    def steer_put(self, name: str, payload: bytes) -> str:
        """Register vectors (`layer.N.site` -> (hidden,)); return why that cannot be, or an empty text."""
        try:
            self._steered().put(name, load(payload))
        except (AttributeError, IndexError, KeyError, ValueError) as error:
            return f"vectors cannot act on this model: {error}"
        return ""

    def steer_drop(self, names: list[str]) -> None:
        """Forget vectors that no request names any more."""
        self._steered().drop(names)

    def _steered(self) -> Steered:
        if not hasattr(self, "_steered_model"):
            self._steered_model = Steered(self.model_runner)  # type: ignore[attr-defined]
        return self._steered_model


class Steered:
    """A model runner whose steps carry vectors. Raises AttributeError for one of another kind."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._layers = runner.get_model().model.layers
        self._rows: int = runner.scheduler_config.max_num_seqs + 1
        self._vectors: dict[str, dict[str, Tensor]] = {}
        self._slots: OrderedDict[str, int] = OrderedDict()  # least recently used first
        self._tables: dict[str, Tensor] = {}  # site -> (rows, hidden); row 0 is zero
        most_tokens: int = runner.scheduler_config.max_num_batched_tokens
        self._row_of_token = torch.zeros(most_tokens, dtype=torch.long, device=runner.device)
        self._count = 0  # tokens of this step; 0 where no row is steered
        self._prepare: Callable[..., Any] = runner._prepare_inputs
        runner._prepare_inputs = self._prepare_inputs
        runner.get_model().register_forward_hook(self._end_step)

    def put(self, name: str, vectors: dict[str, Tensor]) -> None:
        """Keep vectors under a name. Raises what a site that the model lacks raises."""
        for site in vectors:
            if site not in self._tables:
                self._tables[site] = self._table(site, vectors[site])
        self._vectors[name] = vectors

    def drop(self, names: list[str]) -> None:
        """Forget vectors, and free their rows for others."""
        for name in names:
            self._vectors.pop(name, None)
            if name in self._slots:
                self._slots.move_to_end(name, last=False)

    def _table(self, site: str, like: Tensor) -> Tensor:
        _, number, place = site.split(".")
        layer = self._layers[int(number)]
        module: nn.Module = layer if place == "output" else layer.self_attn.o_proj
        table = torch.zeros(self._rows, len(like), dtype=self._runner.dtype, device=self._runner.device)
        module.register_forward_hook(self._hook(table))
        return table

    def _hook(self, table: Tensor) -> Callable[[nn.Module, Any, Any], None]:
        def add(_: nn.Module, __: Any, output: Any) -> None:
            if count := self._count:
                # A layer gives (hidden, residual), whose sum is its output; a projection (output, bias).
                hidden = output[0] if isinstance(output, tuple) else output
                hidden[:count] += table[self._row_of_token[:count]]

        return add

    def _prepare_inputs(self, scheduler_output: Any, *args: Any, **kwargs: Any) -> Any:
        prepared = self._prepare(scheduler_output, *args, **kwargs)
        requests = list(self._runner.input_batch.req_ids)
        names = [self._name_of(request) for request in requests]
        if any(names):
            tokens = [scheduler_output.num_scheduled_tokens[request] for request in requests]
            rows = np.repeat(self._rows_of(names), tokens)
            self._row_of_token[: len(rows)].copy_(torch.from_numpy(rows))
            self._count = len(rows)
        return prepared

    def _end_step(self, *_: Any) -> None:
        self._count = 0

    def _name_of(self, request: str) -> str:
        parameters = self._runner.requests[request].sampling_params
        return str((parameters.extra_args or {}).get(ARGUMENT, "")) if parameters else ""

    def _rows_of(self, names: list[str]) -> list[int]:
        for name in names:
            if name in self._slots:
                self._slots.move_to_end(name)  # so that no other of this step takes its row
        return [self._slots.get(name) or self._fill(name) if name else 0 for name in names]

    def _fill(self, name: str) -> int:
        """Put vectors into a row that no request of this step has. Raises KeyError for an unknown name."""
        vectors = self._vectors[name]
        free = len(self._slots) + 1
        slot = free if free < self._rows else self._slots.popitem(last=False)[1]
        for site, table in self._tables.items():
            table[slot] = vectors[site].to(table) if site in vectors else 0
        self._slots[name] = slot
        return slot

"""Tokens of many rows through a Llama-like decoder in few operations, each row with what is its own.

The same arithmetic as the model's own forward pass with hooks, which it is compared with when it is made:
products that share an input are one, weights are laid out for few rows, and nothing is looked up, checked or
copied in between. Knows nothing of queues or requests.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from personalization.engine.attention import Attend, by_torch, of_step, turn
from personalization.engine.cache import Held, RowCache
from personalization.engine.weights import Form, Product, gated, norm, product
from personalization.errors import AlignError, ModelError, UnknownName
from personalization.models.base import BaseModel
from personalization.models.compiled import Compiled, Function, compiled
from personalization.models.interventions import Plan
from personalization.models.stacks import Group

log = logging.getLogger(__name__)

_LAYER = frozenset({"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"})
_ATTENTION = frozenset({"q_proj", "k_proj", "v_proj", "o_proj"})
_HEAD_NORMS = frozenset({"q_norm", "k_norm"})  # Qwen 3
_MLP = frozenset({"gate_proj", "up_proj", "down_proj", "act_fn"})
# How far logits may be from the model's own, as a part of their norm: rounding, and what int8 loses.
ROUNDING = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 5e-2}
_INT8 = 0.2
_PROBE = 12  # tokens


@dataclass(frozen=True, slots=True)
class _Joint:
    """Linear layers that read the same input, as one product; their adapters act on all of its output."""

    multiply: Product
    names: tuple[str, ...]

    @classmethod
    def of(cls, modules: Mapping[str, nn.Module], form: Form, built: Compiled | None) -> _Joint:
        linears = [module for module in modules.values() if isinstance(module, nn.Linear)]
        if len(linears) < len(modules):
            raise ModelError("not every projection is a plain linear layer")
        return cls(product(linears, form, built), tuple(modules))

    def __call__(self, x: Tensor, lora: Mapping[str, Sequence[Group]]) -> Tensor:
        return self.multiply(x, lora.get(self.names[0], ()))


@dataclass(frozen=True, slots=True)
class _Layer:
    """One decoder layer."""

    attention_norm: Function
    qkv: _Joint
    head_norms: tuple[nn.Module, nn.Module] | None  # of queries and keys
    o: _Joint
    mlp_norm: Function
    gate_up: _Joint
    gated: Function  # the halves of what `gate_up` gives, multiplied
    down: _Joint
    scaling: float

    @classmethod
    def of(cls, layer: Any, name: str, form: Form, built: Compiled | None) -> _Layer:
        """Raises ModelError for a layer that is built otherwise."""
        attention, mlp = layer.self_attn, layer.mlp
        _expect(layer, _LAYER)
        _expect(attention, _ATTENTION, _HEAD_NORMS)
        _expect(mlp, _MLP)

        def joint(part: str, *projections: str) -> _Joint:
            module = getattr(layer, part)
            parts = {f"{name}.{part}.{p}": getattr(module, p) for p in projections}
            return _Joint.of(parts, form, built)

        return cls(
            attention_norm=norm(layer.input_layernorm, built),
            qkv=joint("self_attn", "q_proj", "k_proj", "v_proj"),
            head_norms=(attention.q_norm, attention.k_norm) if hasattr(attention, "q_norm") else None,
            o=joint("self_attn", "o_proj"),
            mlp_norm=norm(layer.post_attention_layernorm, built),
            gate_up=joint("mlp", "gate_proj", "up_proj"),
            gated=gated(mlp.act_fn, mlp.down_proj.weight, built),
            down=joint("mlp", "down_proj"),
            scaling=float(attention.scaling),
        )


def _expect(module: nn.Module, names: frozenset[str], optional: frozenset[str] = frozenset()) -> None:
    found = {name for name, _ in module.named_children()}
    if not names <= found <= names | optional:
        raise ModelError(f"{type(module).__name__} is built of {', '.join(sorted(found))}")


class FusedDecoder:
    """Reads prompts, and steps of a `RowCache`'s rows. Made by `fused`, which compares it with the model."""

    def __init__(self, base: BaseModel, form: Form, built: Compiled | None = None) -> None:
        config = base.model.config.get_text_config()
        self._base = base
        self._embed: nn.Module = base.model.get_input_embeddings()
        self._rotary = base.decoder.get_submodule("rotary_emb")
        self._norm = norm(base.decoder.get_submodule("norm"), built)
        self._heads = int(config.num_attention_heads)
        self._key_heads = int(getattr(config, "num_key_value_heads", None) or self._heads)
        self.built = built  # what `Interventions.plan` may leave adapters where they lie for
        names = {module: name for name, module in base.model.named_modules()}
        self._layers = [_Layer.of(layer, names[layer], form, built) for layer in base.layers]
        self._head = _Joint.of({"lm_head": base.model.get_output_embeddings()}, form, built)
        # What `Interventions.plan` must know to stack adapters as the products are.
        self.joints = [j.names for each in self._layers for j in (each.qkv, each.o, each.gate_up, each.down)]

    def step(
        self, ids: Tensor, plan: Plan, cache: Held, watched: Sequence[int] = ()
    ) -> tuple[Tensor, list[Tensor]]:
        """Read one token of each row, ids (rows, 1), into the cache.

        Returns the logits (rows, vocabulary), and what the watched layers gave, (rows, 1, hidden) each. The
        caller makes room in the cache before and counts the token after.
        """
        x = self._embed(ids)
        turned = turn(*self._rotary(x, cache.lengths[:, None]))
        if self.built is not None and isinstance(cache, RowCache):
            attend = of_step(self.built, turned, cache)
        else:
            attend = by_torch(self._heads, self._key_heads, turned, cache.mask(x.dtype), cache.past)
        seen, last = [], x
        for i, last in enumerate(self._layers_of(x, plan, attend)):
            if i in watched:
                seen.append(last)
        return self._base.scaled(self._head(self._norm(last[:, -1]), plan.lora)), seen

    def read(self, ids: Tensor, plan: Plan, past: DynamicCache) -> Tensor:
        """Read the next tokens of prompts of which equally many are known, ids (rows, tokens), into `past`.

        Returns the hidden states that the head reads (rows, tokens, hidden).
        """
        start, tokens = past.get_seq_length(), ids.shape[1]
        places = torch.arange(start + tokens, device=ids.device)
        x = self._embed(ids)
        mask = torch.where(places <= places[start:, None], 0.0, -torch.inf).to(x.dtype)
        turned = turn(*self._rotary(x, places[None, start:]))
        *_, last = self._layers_of(x, plan, by_torch(self._heads, self._key_heads, turned, mask, past))
        return self._norm(last)

    def _layers_of(self, x: Tensor, plan: Plan, attend: Attend) -> Iterator[Tensor]:
        """Yield what each layer makes of x (rows, tokens, hidden)."""
        for i, layer in enumerate(self._layers):
            states = layer.qkv(layer.attention_norm(x), plan.lora)
            if layer.head_norms is not None:
                states = self._normed(states, *layer.head_norms)
            x = layer.o(attend(i, states, layer.scaling), plan.lora).add_(x)
            if (pushed := plan.vectors.get((i, "attention"))) is not None:
                x += pushed
            inner = layer.gated(layer.gate_up(layer.mlp_norm(x), plan.lora))
            x = layer.down(inner, plan.lora).add_(x)
            if (pushed := plan.vectors.get((i, "output"))) is not None:
                x += pushed
            yield x

    def _normed(self, states: Tensor, q_norm: nn.Module, k_norm: nn.Module) -> Tensor:
        """Return states whose queries and keys are normed, head by head."""
        heads, keys = self._heads, self._key_heads
        q, k, v = states.unflatten(2, (heads + 2 * keys, -1)).split([heads, keys, keys], dim=2)
        return torch.cat([q_norm(q), k_norm(k), v], dim=2).flatten(2)


def fused(base: BaseModel, form: Form = "exact", *, is_compiled: bool = False) -> FusedDecoder | None:
    """Return a decoder that computes what the model does, or None (and a line in the log) where it does not.

    `is_compiled`: by what this machine's compiler builds, where it has one and weights are float32 on a CPU.
    Raises ModelError when `form` is int8 and cannot be had, since who asked for it must know, and
    UnknownName for another form.
    """
    if form not in get_args(Form):
        raise UnknownName("form of the weights (ALIGN_DECODE_WEIGHTS)", form, get_args(Form))
    try:
        is_plain = base.device.type == "cpu" and base.model.dtype == torch.float32
        made = FusedDecoder(base, form, compiled() if is_compiled and is_plain else None)
        off, limit = _difference(base, made), _INT8 if form == "int8" else ROUNDING[base.model.dtype]
        if off <= limit:
            return made
        why = f"its logits differ by {off:.1%} from the model's own"
    except (AlignError, RuntimeError, AttributeError, NotImplementedError) as error:
        why = str(error)
    if form != "exact":
        raise ModelError(f"{base.name} cannot be served in {form} here ({why}); unset ALIGN_DECODE_WEIGHTS.")
    log.warning("%s is served by its own forward pass, which takes about twice as long: %s", base.name, why)
    return None


@torch.inference_mode()
def _difference(base: BaseModel, made: FusedDecoder) -> float:
    """Return how far what is made of two rows of different lengths is from the model's own."""
    ids = torch.arange(2 * _PROBE, device=base.device).view(2, -1) * 7 % base.model.config.vocab_size
    lengths = [_PROBE - 1, _PROBE // 2]
    past = DynamicCache()
    base.decoder(input_ids=ids[:, :-1], past_key_values=past, use_cache=True)
    cache = RowCache(len(base.layers), max_rows=2, max_tokens=2 * _PROBE, device=base.device)
    cache.append(past, lengths, [0, 1])
    nothing, read = Plan(lora={}, vectors={}, row_count=2), DynamicCache()
    states = torch.cat([made.read(part, nothing, read) for part in ids.split(_PROBE // 2, dim=1)], dim=1)
    rows = torch.arange(2, device=base.device)
    logits, _ = made.step(ids[rows, torch.tensor(lengths, device=base.device)][:, None], nothing, cache)
    hidden = base.decoder(input_ids=ids).last_hidden_state
    wanted = base.logits(hidden[rows, torch.tensor(lengths, device=base.device)])
    pairs = (logits, wanted), (states, hidden)
    return max(float((mine - own).norm() / own.norm()) for mine, own in pairs)

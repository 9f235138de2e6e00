"""The ways to answer sixteen people at once, each timed over the same prompts and numbers of new tokens."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from benchmarks.serving.apart import Arm
from benchmarks.serving.people import Model, Person, requests
from personalization.engine.local import LocalEngine
from personalization.engine.requests import Finished, GenerationRequest, Stream
from personalization.models.base import BaseModel
from personalization.models.personal import load_vectors
from personalization.models.prompts import encode_chat
from personalization.records import Message


def written(engine: LocalEngine, wanted: Sequence[GenerationRequest]) -> list[Finished]:
    """Return the ends of all requests, submitted at once. Raises RuntimeError when one failed."""
    ends = []
    for stream in [engine.submit(request) for request in wanted]:
        last = end_of(stream)
        if last.error:
            raise RuntimeError(last.error)
        ends.append(last)
    return ends


def end_of(stream: Stream) -> Finished:
    """Wait for a stream's end and return it."""
    *_, last = list(stream)
    assert isinstance(last, Finished)
    return last


def ours(
    model: Model,
    group: Sequence[Person | None],
    lengths: tuple[int, int],
    repeats: int,
    **settings: Any,
) -> Arm:
    """Our engine with a row for each of the group, for `timed` with so many repeats; None has the base model.

    Every run has other prompts, made before, so that nothing is known from earlier ones. `settings` are the
    engine's.
    """
    base = model.base()
    engine = model.engine(base, len(group), **settings)
    acting = [() if person is None else person.acting() for person in group]
    prompts = iter(
        [
            requests(base, acting, prompt_tokens=lengths[0], new_tokens=lengths[1], first_seed=1000 * run)
            for run in range(1, repeats + 2)
        ]
    )
    return lambda: written(engine, next(prompts))


def transformers_batch(model: Model, chats: Sequence[Sequence[Message]], new_tokens: int) -> Arm:
    """transformers' own `generate` on one batch, without anybody's adapter."""
    base = model.base()
    return partial(_written_ids, base.model, _ids(base, chats), new_tokens)


def peft_mixed(
    model: Model, group: Sequence[Person], chats: Sequence[Sequence[Message]], new_tokens: int
) -> Arm:
    """PEFT's mixed batch: row i with adapter i (`adapter_names`), without vectors, which it does not have."""
    base = model.base()
    peft, names = _peft_model(base, group), [str(i) for i in range(len(chats))]
    return partial(_written_ids, peft, _ids(base, chats), new_tokens, adapter_names=names)


def _peft_model(base: BaseModel, group: Sequence[Person]) -> PeftModel:
    wrapped = PeftModel.from_pretrained(base.model, group[0].adapter, adapter_name="0")
    for i, person in enumerate(group[1:], start=1):
        wrapped.load_adapter(str(person.adapter), adapter_name=str(i))
    return wrapped.eval()


def together(model: Model, wanted: Sequence[GenerationRequest]) -> list[str]:
    """Return what our engine writes for all of these at once."""
    engine = model.engine(model.base(), len(wanted))
    try:
        return [end.text for end in written(engine, wanted)]
    finally:
        engine.close()


def alone(
    model: Model,
    group: Sequence[Person],
    chats: Sequence[Sequence[Message]],
    new_tokens: int,
) -> list[str]:
    """Return what PEFT and hooks write for one person after the other: what every batch must write too."""
    base, texts = model.base(), []
    peft = _peft_model(base, group)
    inner: Any = peft.get_base_model()
    for i, (person, chat) in enumerate(zip(group, chats, strict=True)):
        peft.set_adapter(str(i))
        with ExitStack() as hooks:
            for (layer, site), vector in load_vectors(person.vector).sites.items():
                module: Any = inner.get_decoder().layers[layer]
                if site != "output":
                    module = module.self_attn.o_proj
                handle = module.register_forward_hook(_adding(vector))
                hooks.callback(handle.remove)
            ids = _ids(base, [chat])
            out = _written_ids(peft, ids, new_tokens)[0, ids.shape[1] :]
        texts.append(str(base.tokenizer.decode(out, skip_special_tokens=True)))
    return texts


def _adding(vector: Tensor) -> Callable[[object, object, Tensor], Tensor]:
    return lambda _, __, output: output + vector


def _ids(base: BaseModel, chats: Sequence[Sequence[Message]]) -> Tensor:
    return torch.tensor([encode_chat(base, chat) for chat in chats])  # all of one length


@torch.no_grad()
def _written_ids(model: Any, ids: Tensor, new_tokens: int, **more: Any) -> Tensor:
    config = copy.deepcopy(model.generation_config)
    config.eos_token_id, config.pad_token_id = None, 0  # no token ends an answer, and nothing is padded
    config.do_sample, config.max_length, config.max_new_tokens = False, None, new_tokens
    out: Tensor = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config, **more
    )
    assert out.shape[1] == ids.shape[1] + new_tokens
    return out

"""The base model and the engine of this process, each made once, when the first task needs it."""

from __future__ import annotations

import logging
import threading
import time
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

from alignapp.adapters.evictions import Evictions
from personalization.errors import UnknownName
from personalization.threads import in_a_thread_that_ends

if TYPE_CHECKING:
    from personalization.engine.requests import Engine
    from personalization.evaluation.plain import Plain
    from personalization.models.base import BaseModel

log = logging.getLogger(__name__)
EVICTION_SECONDS = 5.0
_making = threading.Lock()


def base_for_process() -> BaseModel:
    """Return the base model, loaded once. Raises ModelError with what to do."""
    with _making:
        return _base()


def plain_for_process() -> Plain:
    """Return what the base model itself answers where every artifact is asked the same."""
    with _making:
        return _plain()


def engine_for_process() -> Engine:
    """Return the engine that all tasks of this process share."""
    with _making:
        return _engine()


def loaded_base() -> BaseModel | None:
    """Return the base model if it was loaded already."""
    return _base() if _base.cache_info().currsize else None


def loaded_engine() -> Engine | None:
    """Return the engine if it was made already."""
    return _engine() if _engine.cache_info().currsize else None


@cache
def _base() -> BaseModel:
    from personalization.models.base import load

    begun = time.monotonic()
    base = in_a_thread_that_ends(
        lambda: load(
            settings.ALIGN_MODEL,
            settings.MODEL_DIR,
            device=settings.ALIGN_DEVICE,
            threads=settings.ALIGN_THREADS,
        )
    )
    log.info("base model %s on %s in %.1f s", base.revision, base.device, time.monotonic() - begun)
    return base


@cache
def _plain() -> Plain:
    from personalization.evaluation.plain import Plain

    return Plain(_base())


@cache
def _engine() -> Engine:
    makers = {"local": _local, "vllm": _vllm}
    if settings.ALIGN_ENGINE not in makers:
        raise UnknownName("engine (ALIGN_ENGINE)", settings.ALIGN_ENGINE, makers)
    engine = makers[settings.ALIGN_ENGINE]()
    threading.Thread(target=_forget_deleted, args=(engine,), name="evictions", daemon=True).start()
    return engine


def _local() -> Engine:
    from personalization.engine.local import LocalEngine
    from personalization.engine.replay import CudaGraphs

    base = _base()
    is_replayed = settings.ALIGN_CUDA_GRAPHS and base.device.type == "cuda"
    return in_a_thread_that_ends(
        lambda: LocalEngine(
            base,
            max_rows=settings.ALIGN_ROWS,
            weights=settings.ALIGN_DECODE_WEIGHTS,
            is_compiled=settings.ALIGN_COMPILE,
            capture=CudaGraphs(base.device) if is_replayed else None,
        )
    )


def _vllm() -> Engine:
    from personalization.engine.vllm.client import VllmEngine

    return VllmEngine(_base(), settings.ALIGN_VLLM_URL, settings.ALIGN_VLLM_KEY)


def _forget_deleted(engine: Engine) -> None:
    """Let the engine forget what people deleted, every few seconds as long as the process lives."""
    evictions = Evictions()
    while True:
        if names := evictions.new():
            engine.forget(names)
            log.info("%d deleted artifacts or people are out of memory", len(names))
        time.sleep(EVICTION_SECONDS)

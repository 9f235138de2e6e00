"""What decoding computes most, as this machine's own compiler builds it, where there is one.

oneDNN is slow for 8 to 32 rows, torch computes a norm in seven passes, and an adapter costs half as much when
it is fetched while its layer multiplies (`python -m benchmarks.serving`).
Nothing needs this: without a compiler, or where what it built is wrong, the log says why and torch's own
operators do the work. Compiled once for a process, in one or two seconds; nothing is left on disk. Knows
nothing of layers; float32 on a CPU only, but for adapters, which may be bfloat16.
"""

from __future__ import annotations

import ctypes
import logging
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from personalization.errors import ModelError
from personalization.models.codes import codes_of
from personalization.models.personal import LoraWeights
from personalization.models.placed import Placed, Placements

log = logging.getLogger(__name__)

_SOURCE = Path(__file__).with_suffix(".cpp")
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-shared", "-fPIC")
_COMPILERS = ("c++", "g++")
_PATIENCE = 60  # seconds for the compiler
Function = Callable[[Tensor], Tensor]


class WithOwn(Protocol):
    """A product to which each row's own adapters may be added."""

    def __call__(self, x: Tensor, own: Placed | None = None) -> Tensor: ...


class Compiled:
    """What was built, as functions of tensors."""

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, count, bits, threads = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_int
        library.panels_bytes.restype, library.panels_bytes.argtypes = count, [count, count, bits]
        library.pack.argtypes = [pointer, pointer, count, count]
        library.pack_codes.argtypes = [*[pointer] * 4, count, count, bits]
        library.multiply.argtypes = [
            *[pointer] * 3, *[count] * 3, bits, *[pointer] * 3, count, threads,
        ]  # fmt: skip
        library.add.argtypes = [*[pointer] * 2, *[count] * 4, *[pointer] * 3, count, threads]
        library.normalise.argtypes = [pointer, pointer, pointer, count, count, ctypes.c_float, threads]
        library.gate.argtypes = [pointer, pointer, count, count, threads]
        library.attend.argtypes = [*[pointer] * 7, *[count] * 5, ctypes.c_float, threads]
        self._library = library

    def product(self, weight: Tensor, bias: Tensor | None) -> WithOwn:
        """Return x (..., in) -> x weightT + bias (..., out), with a copy of weight (out, in).

        The copy is of the weight's codes, where it has any: the same product from a fifth of the memory. What
        each row has of its own, for x (rows, 1, in), is added.
        """
        weight = weight.contiguous()
        out, width = weight.shape
        found, multiply = codes_of(weight), self._library.multiply
        bits = 32 if found is None else found.bits
        panels = torch.empty(self._library.panels_bytes(out, width, bits), dtype=torch.uint8)
        if found is None:
            self._library.pack(weight.data_ptr(), panels.data_ptr(), out, width)
        else:
            held = (each.data_ptr() for each in (found.scales, found.offsets, found.codes))
            self._library.pack_codes(*held, panels.data_ptr(), out, width, bits)

        def product(x: Tensor, own: Placed | None = None) -> Tensor:
            x = x.contiguous()
            y = x.new_empty(*x.shape[:-1], out)
            rows, threads = x.numel() // width, torch.get_num_threads()
            own_terms = (None, None, None, 0) if own is None else _of(own, rows)
            multiply(
                x.data_ptr(), panels.data_ptr(), y.data_ptr(), rows, width, out, bits, *own_terms, threads
            )
            return y if bias is None else y.add_(bias)

        return product

    def add(self, x: Tensor, output: Tensor, own: Placed) -> None:
        """Add what each row's own adapters make of x (rows, ..., in) to output (rows, ..., out), in place.

        Output is contiguous. Raises ModelError for another number of rows.
        """
        x, rows, threads = x.contiguous(), len(x), torch.get_num_threads()
        sizes = rows, output.numel() // output.shape[-1] // rows, x.shape[-1], output.shape[-1]
        self._library.add(x.data_ptr(), output.data_ptr(), *sizes, *_of(own, rows), threads)

    def norm(self, weight: Tensor, epsilon: float) -> Function:
        """Return x (..., width) -> x / sqrt(mean(x^2) + epsilon) * weight."""
        width, normalise = len(weight), self._library.normalise

        def norm(x: Tensor) -> Tensor:
            x = x.contiguous()
            y, rows, threads = torch.empty_like(x), x.numel() // width, torch.get_num_threads()
            normalise(x.data_ptr(), weight.data_ptr(), y.data_ptr(), rows, width, epsilon, threads)
            return y

        return norm

    def gated(self, x: Tensor) -> Tensor:
        """Return silu(gate) * value, of x (..., 2 x width), gates before values."""
        x = x.contiguous()
        width = x.shape[-1] // 2
        y = x.new_empty(*x.shape[:-1], width)
        self._library.gate(
            x.data_ptr(), y.data_ptr(), x.numel() // (2 * width), width, torch.get_num_threads()
        )
        return y

    def attend(
        self,
        states: Tensor,
        turn: tuple[Tensor, Tensor],
        held: tuple[Tensor, Tensor],
        lengths: Tensor,
        scale: float,
    ) -> Tensor:
        """Return what a new token of each row finds (rows, 1, heads x width); writes its key and value.

        states (rows, 1, (heads + 2 x key heads) x width): its queries, keys and values. Queries and keys are
        turned by `turn`, cosines and sines (rows, 1, width), the sines' first half with its sign turned.
        held: keys and values (rows, key heads, space, width), contiguous, filled up to `lengths` (rows,).
        """
        keys, values = held
        rows, key_heads, space, width = keys.shape
        heads = states.shape[-1] // width - 2 * key_heads
        states, (cos, sin) = states.contiguous(), turn
        found = states.new_empty(rows, 1, heads * width)
        read = (each.data_ptr() for each in (states, cos, sin, keys, values, lengths, found))
        self._library.attend(*read, rows, heads, key_heads, width, space, scale, torch.get_num_threads())
        return found


def _of(own: Placed, rows: int) -> tuple[int, ...]:
    """Return what each row has of its own, as the library takes it. Raises ModelError for other rows."""
    if rows != len(own.starts) - 1:
        raise ModelError(f"The batch has {rows} rows, what is their own {len(own.starts) - 1}.")
    return own.terms, own.starts.data_ptr(), own.outs.data_ptr(), len(own.outs)


@cache
def compiled() -> Compiled | None:
    """Return what this machine's compiler builds, checked; None, and a line in the log, without one."""
    begun = time.monotonic()
    try:
        found = Compiled(_built())
        _check(found)
    except (OSError, subprocess.SubprocessError, ModelError) as error:
        log.info(
            "products, norms, gates and attention are torch's own, none could be compiled here: %s", error
        )
        return None
    log.info("products, norms, gates and attention were compiled in %.1f s", time.monotonic() - begun)
    return found


def _built() -> ctypes.CDLL:
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise ModelError(f"there is no {' and no '.join(_COMPILERS)}")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "compiled.so"
        told = subprocess.run(
            [compiler, *_FLAGS, "-o", target, _SOURCE],
            capture_output=True, text=True, timeout=_PATIENCE, check=False,
        )  # fmt: skip
        if told.returncode:
            raise ModelError(told.stderr.strip()[:500])
        return ctypes.CDLL(str(target))


@torch.inference_mode()
def _check(found: Compiled) -> None:
    """Raise ModelError where its threads are not torch's, which costs more than it gains, or it is wrong."""
    maps = Path("/proc/self/maps")
    if maps.exists() and len(teams := set(_openmp(maps.read_text()))) > 1:
        raise ModelError(f"its threads are not torch's ({', '.join(sorted(teams))})")
    random = torch.Generator().manual_seed(0)
    for rows, width, out in ((1, 37, 101), (7, 64, 48), (22, 6, 3)):
        x, weight = (torch.randn(count, width, generator=random) for count in (rows, out))
        coded = torch.arange(out * width).view(out, width) * 7 % 16 - 8.0  # whole blocks of it have codes
        bias, scale = torch.randn(out, generator=random), torch.randn(width, generator=random)
        gates, values = both = torch.randn(2, rows, width, generator=random)
        normal = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * scale
        own, added = _own(found, x[:, None].expand(-1, 5, -1), out)
        for mine, right in (
            (found.product(weight, bias)(x), x @ weight.T + bias),
            (found.product(weight, None)(x[:, None], own), (x @ weight.T)[:, None] + added[:, :1]),
            (found.product(coded, None)(x[:, None], own), (x @ coded.T)[:, None] + added[:, :1]),
            (found.norm(scale, 1e-5)(x), normal),
            (found.gated(torch.cat([*both], dim=-1)), torch.nn.functional.silu(gates) * values),
        ):
            if not torch.allclose(mine, right, rtol=1e-4, atol=1e-4):
                raise ModelError("what was built computes something else")


def _own(found: Compiled, x: Tensor, out: int) -> tuple[Placed, Tensor]:
    """Return adapters of each row's own, by turns in float32 and bfloat16, and what they make of x.

    Raises ModelError where they make something else of several tokens (rows, tokens, in).
    """
    (rows, _, width), random = x.shape, torch.Generator().manual_seed(1)
    dtypes = [(torch.float32, torch.bfloat16)[i % 2] for i in range(rows)]
    pairs = [
        tuple((0.3 * torch.randn(size, generator=random)).to(dtype) for size in ((width, 8), (8, out)))
        for dtype in dtypes
    ]
    layer = {"layer": torch.nn.Linear(width, out, device="meta")}
    acting = [((LoraWeights({"layer": (a, b)}), 0.5),) for a, b in pairs]
    own = Placements(layer, (), found.add).groups(acting)["layer"][0]
    right = torch.stack([0.5 * x[i] @ a.float() @ b.float() for i, (a, b) in enumerate(pairs)])
    own.add_(x, mine := torch.zeros_like(right))
    if not torch.allclose(mine, right, rtol=1e-4, atol=1e-4):
        raise ModelError("what was built adds something else")
    return own, right


def _openmp(maps: str) -> list[str]:
    """Return the OpenMP libraries among what a process has mapped (the text of /proc/self/maps)."""
    files = (line.rsplit(maxsplit=1)[-1] for line in maps.splitlines())
    return [file for file in files if Path(file).name.startswith(("libgomp", "libomp", "libiomp"))]

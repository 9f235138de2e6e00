"""The one list of ways to merge: a way is one file in `personalization/merging/ways`.

A way sees one weight at a time: every task's change to it and every task's weight, and returns the merged
change, as factors or as a matrix. Its keyword arguments are its parameters, as those of methods are. To one
that is named `rank` the merge compresses the result; a way that need not know it is registered with it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from torch import Tensor

from personalization.errors import AlignError, UnknownName
from personalization.merging.changes import Change
from personalization.registry import Parameter, Range, checked, parameters_of

Merged = Change | Tensor  # (in, out) where it is a matrix
Function = Callable[..., Merged]
RANKS = Range(1, 256)


@dataclass(frozen=True, slots=True)
class Way:
    """A registered way to merge."""

    name: str
    paper: str
    summary: str
    parameters: Mapping[str, Parameter]
    function: Callable[..., Merged]

    def resolve(self, given: Mapping[str, float]) -> dict[str, float]:
        """Return every parameter's value: the given ones, checked, and the defaults. Raises AlignError."""
        return checked(self.name, self.parameters, given)

    def __call__(
        self, changes: Sequence[Change], weights: Sequence[float], parameters: Mapping[str, float]
    ) -> Merged:
        """Return the merged change of one weight, whatever its rank."""
        taken = inspect.signature(self.function).parameters
        return self.function(changes, weights, **{n: v for n, v in parameters.items() if n in taken})


_ways: dict[str, Way] = {}


def way(name: str, *, paper: str, rank: int | None = None) -> Callable[[Function], Function]:
    """Register the decorated function as a way to merge. Raises AlignError when it is not well described.

    `rank`: the default rank of the result of a way that knows nothing of ranks itself.
    """

    def register(function: Function) -> Function:
        if name in _ways and _ways[name].function.__module__ != function.__module__:
            raise AlignError(f"Two files define the way {name!r}; give one of them another name.")
        if not (function.__doc__ or "").strip():
            raise AlignError(f"The way {name!r} has no docstring; say what it does and where it comes from.")
        summary = inspect.getdoc(function).splitlines()[0]  # type: ignore[union-attr]
        parameters = parameters_of(name, function)
        if rank is not None:
            parameters["rank"] = Parameter("rank", rank, RANKS)
        _ways[name] = Way(name, paper, summary, parameters, function)
        return function

    return register


@cache
def _scan() -> None:
    package = importlib.import_module("personalization.merging.ways")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def all_ways() -> tuple[Way, ...]:
    """Return every way, by name."""
    _scan()
    return tuple(sorted(_ways.values(), key=lambda w: w.name))


def get(name: str) -> Way:
    """Return the way of this name. Raises UnknownName with the nearest names."""
    _scan()
    if name not in _ways:
        raise UnknownName("way to merge", name, _ways)
    return _ways[name]

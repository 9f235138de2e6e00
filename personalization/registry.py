"""The one list of learning methods: a method is one file in `personalization/methods`.

Knows nothing of training: it holds each method's function, what data it learns from, what it
produces, its parameters with their ranges, and its paper. The parameters are read from the
function's keyword-only arguments, annotated `Annotated[float, Range(low, high)]`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from .errors import AlignError, UnknownName

Data = Literal[
    "pairs",
    "contrasts",
    "thumbs",
    "choices",
    "ratings",
    "edits",
    "critiques",
    "inventory",
    "prompts",
    "values",
    "adapters",
]
Produces = Literal["adapter", "vector", "personality", "values"]
# Where an answer of an online method comes from: the policy, its likeliest tokens, policy and base in one.
Draw = Literal["policy", "greedy", "mixture"]
# What of an adapter trains when (`personalization.training.parts`).
Trained = Literal["whole", "iterations", "controls"]


@dataclass(frozen=True, slots=True)
class Range:
    """The closed interval that a parameter may lie in."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number that a person or an operator may set."""

    name: str
    default: float
    range: Range

    def check(self, value: float) -> float:
        """Return the value as the default's type. Raises AlignError outside of the range."""
        if not self.range.low <= value <= self.range.high:
            raise AlignError(f"{self.name} is {value}; it must lie in [{self.range.low}, {self.range.high}].")
        if isinstance(self.default, int) and value != int(value):
            raise AlignError(f"{self.name} is {value}; it must be a whole number.")
        return type(self.default)(value)


@dataclass(frozen=True, slots=True)
class Method:
    """A registered method: `function` is a loss over log-probabilities, or a closed-form fit.

    `offered`: a new installation has it switched on, because it was measured to help. `remembers`: the loss
    takes a dictionary that a run keeps from step to step. `draws`: what is written anew for each message at
    every step (`personalization.training.online`); nothing for a method that learns from what is there.
    """

    name: str
    data: Data
    produces: Produces
    paper: str
    summary: str
    needs_reference: bool
    offered: bool
    remembers: bool
    parameters: Mapping[str, Parameter]
    function: Callable[..., Any]
    draws: tuple[Draw, ...] = ()
    trained: Trained = "whole"

    def resolve(self, given: Mapping[str, float]) -> dict[str, float]:
        """Return every parameter's value: the given ones, checked, and the defaults. Raises AlignError."""
        return checked(self.name, self.parameters, given)


def checked(owner: str, parameters: Mapping[str, Parameter], given: Mapping[str, float]) -> dict[str, float]:
    """Return every parameter's value: the given ones, checked, and the defaults. Raises AlignError."""
    for name in given:
        if name not in parameters:
            raise UnknownName(f"parameter of {owner}", name, parameters)
    return {p.name: p.check(given.get(p.name, p.default)) for p in parameters.values()}


_methods: dict[str, Method] = {}


def method(
    name: str,
    *,
    data: Data,
    produces: Produces,
    paper: str,
    needs_reference: bool = False,
    offered: bool = True,
    draws: tuple[Draw, ...] = (),
    trained: Trained = "whole",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as a method. Raises AlignError when it is not well described."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        if name in _methods and _methods[name].function.__module__ != function.__module__:
            raise AlignError(f"Two files define the method {name!r}; give one of them another name.")
        if not (function.__doc__ or "").strip():
            raise AlignError(
                f"The method {name!r} has no docstring; say what it does and where it comes from."
            )
        _methods[name] = Method(
            name=name,
            data=data,
            produces=produces,
            paper=paper,
            summary=inspect.getdoc(function).splitlines()[0],  # type: ignore[union-attr]
            needs_reference=needs_reference,
            offered=offered,
            remembers="memory" in inspect.signature(function).parameters,
            draws=draws,
            trained=trained,
            parameters=parameters_of(name, function),
            function=function,
        )
        return function

    return register


def parameters_of(name: str, function: Callable[..., Any]) -> dict[str, Parameter]:
    """Read the parameters from a function's keyword-only arguments. Raises AlignError without range."""
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = {}
    for argument in inspect.signature(function).parameters.values():
        if argument.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        ranges = [m for m in getattr(hints[argument.name], "__metadata__", ()) if isinstance(m, Range)]
        if len(ranges) != 1 or argument.default is inspect.Parameter.empty:
            raise AlignError(f"{name}: {argument.name} needs a default and Annotated[..., Range(low, high)].")
        parameter = Parameter(argument.name, argument.default, ranges[0])
        parameter.check(argument.default)
        parameters[argument.name] = parameter
    return parameters


@cache
def _scan() -> None:
    package = importlib.import_module("personalization.methods")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def all_methods() -> tuple[Method, ...]:
    """Return every method, by name. Imports the methods folder (and with it torch) at the first call."""
    _scan()
    return tuple(sorted(_methods.values(), key=lambda m: m.name))


def get(name: str) -> Method:
    """Return the method of this name. Raises UnknownName with the nearest names."""
    _scan()
    if name not in _methods:
        raise UnknownName("method", name, _methods)
    return _methods[name]

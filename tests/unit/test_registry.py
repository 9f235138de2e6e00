"""The register of methods: what it reads from a function, and what it refuses."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization import registry
from personalization.errors import AlignError, UnknownName
from personalization.registry import Range, method


@pytest.fixture(autouse=True)
def own_register(monkeypatch):
    registry.all_methods()  # scanned once, before the copy
    monkeypatch.setattr(registry, "_methods", dict(registry._methods))


def register(name: str = "trial"):
    return method(name, data="pairs", produces="adapter", paper="arXiv:0000.00000")


def test_every_file_in_the_folder_is_a_method_with_paper_and_summary():
    found = {m.name: m for m in registry.all_methods()}
    assert {"dpo", "steer", "pas"} <= set(found)
    assert list(found) == sorted(found)
    for m in found.values():
        assert m.paper.startswith("arXiv:"), m.name
        assert m.summary.endswith("."), m.name
        assert m.function.__module__ == f"personalization.methods.{m.name}"
        assert m.resolve({}) == {p.name: p.default for p in m.parameters.values()}
    assert found["dpo"].needs_reference
    assert {m: (found[m].data, found[m].produces) for m in ("dpo", "steer", "pas")} == {
        "dpo": ("pairs", "adapter"),
        "steer": ("ratings", "vector"),
        "pas": ("inventory", "personality"),
    }


def test_parameters_are_read_from_the_signature():
    @register()
    def loss(
        policy, reference, *, beta: Annotated[float, Range(0, 1)] = 0.5, k: Annotated[int, Range(1, 9)] = 3
    ):
        """Try something."""

    m = registry.get("trial")
    assert m.function is loss
    assert m.resolve({"k": 4.0}) == {"beta": 0.5, "k": 4}
    assert isinstance(m.resolve({"k": 4.0})["k"], int)
    assert m.resolve({"beta": 0}) == {"beta": 0.0, "k": 3}


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_value_outside_of_its_range_never_passes(value):
    beta = registry.get("dpo").parameters["beta"]
    if 0.01 <= value <= 1.0:
        assert beta.check(value) == value
    else:
        with pytest.raises(AlignError, match=r"^beta is .*; it must lie in \[0\.01, 1\.0\]\.$"):
            beta.check(value)


def test_half_a_count_is_refused():
    @register()
    def loss(policy, *, k: Annotated[int, Range(1, 9)] = 3):
        """Try something."""

    with pytest.raises(AlignError, match=r"^k is 3\.5; it must be a whole number\.$"):
        registry.get("trial").resolve({"k": 3.5})


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownName, match=r"^There is no method named 'dop'\. Did you mean dpo"):
        registry.get("dop")
    with pytest.raises(
        UnknownName, match=r"^There is no parameter of dpo named 'betta'\. Did you mean beta\?$"
    ):
        registry.get("dpo").resolve({"betta": 0.1})


def test_what_is_not_well_described_is_refused():
    with pytest.raises(AlignError, match="has no docstring"):

        @register()
        def silent(policy): ...

    with pytest.raises(AlignError, match="beta needs a default"):

        @register()
        def unbounded(policy, *, beta: float = 0.1):
            """Try something."""

    with pytest.raises(AlignError, match="beta needs a default"):

        @register()
        def undecided(policy, *, beta: Annotated[float, Range(0, 1)]):
            """Try something."""

    with pytest.raises(AlignError, match="beta is 7"):

        @register()
        def outside(policy, *, beta: Annotated[float, Range(0, 1)] = 7.0):
            """Try something."""

    assert "trial" not in registry._methods


def test_two_files_cannot_share_a_name():
    def other(policy):
        """Try something."""

    with pytest.raises(AlignError, match=r"^Two files define the method 'dpo'"):
        register("dpo")(other)

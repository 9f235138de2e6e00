"""Gradient entanglement is what the paper defines, and an anchored run does not let chosen answers sink."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from personalization import registry
from personalization.models.logprobs import PairLogps
from personalization.records import Records
from personalization.training import run as running
from personalization.training.entanglement import Entanglement, entanglement
from personalization.training.train import train_adapter
from tests import tiny
from tests.unit.test_training import FAST, pairs, train


@given(
    up=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
    down=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
)
def test_linear_log_probabilities_have_their_weights_as_gradients(up, down):
    weights = torch.zeros(3, requires_grad=True)
    a, b = torch.tensor(up), torch.tensor(down)
    found = entanglement(weights @ a, weights @ b, [weights])
    assert found.inner == pytest.approx(float(a @ b), abs=1e-5)
    assert (found.chosen, found.rejected) == pytest.approx((float(a @ a), float(b @ b)), abs=1e-5)
    assert -1.0001 <= found.cosine <= 1.0001
    # To first order a step on the margin moves each answer by its gradient's product with (a - b).
    raises, lowers = float(a @ (a - b)) >= -1e-6, float(b @ (a - b)) <= 1e-6
    if abs(float(a @ b) - min(float(a @ a), float(b @ b))) > 1e-4:
        assert found.holds == (raises and lowers)
    assert weights.grad is None


def test_what_no_parameter_touches_is_not_entangled():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    found = entanglement(used.sum(), (used * 2).sum(), [used, unused])
    assert found == Entanglement(4.0, 2.0, 8.0)
    assert not found.holds
    assert Entanglement(0.0, 0.0, 1.0).cosine == 0.0


def test_a_run_reports_each_epoch_and_anchors_only_what_sinks(tmp_path, monkeypatch):
    calm = train(tmp_path / "calm")
    assert [set(one) for one in calm.entanglement] == [
        {"inner", "chosen", "rejected", "cosine", "holds"}
    ] * FAST.epochs
    assert calm.anchored_at is None

    def sink(policy: PairLogps, reference: PairLogps, **_: float) -> torch.Tensor:
        return policy.chosen - reference.chosen  # makes chosen answers less likely, on purpose

    usual = registry.get("dpo")
    bad = replace(usual, function=sink)
    monkeypatch.setattr(running, "SINKING_NATS", -0.01)
    changes = {}
    for weight in (0.0, 50.0):
        monkeypatch.setattr(running, "ANCHOR", weight)
        run = train_adapter(
            tiny.base(), Records(pairs=tuple(pairs(6))), bad, parameters={}, system_message="",
            out=tmp_path / f"out-{weight}", checkpoints=tmp_path / f"checkpoints-{weight}", settings=FAST,
        )  # fmt: skip
        assert run.anchored_at == run.steps // FAST.epochs
        changes[weight] = run.metrics["chosen_change"]
    assert changes[0.0] < changes[50.0]

"""What the head says of states is what a softmax over every word says, and so are its gradients."""

from __future__ import annotations

import pytest
import torch

from personalization.models.head import STATES, Said, divergence, word_logps
from tests import tiny

MANY = STATES + 7


@pytest.fixture(params=[{}, {"logits_scaling": 3.0}, {"final_logit_softcapping": 2.0}], ids=str)
def base(request, monkeypatch):
    torch.set_num_threads(1)
    found = tiny.base()
    for name, value in request.param.items():
        monkeypatch.setattr(found.model.config, name, value, raising=False)
    return found


def drawn(seed: int) -> torch.Tensor:
    return torch.randn(MANY, tiny.HIDDEN, generator=torch.Generator().manual_seed(seed))


def by_softmax(base, states):
    return base.logits(states).double().log_softmax(dim=-1)


def test_a_words_log_probability_and_its_gradient(base):
    words = torch.arange(MANY) % base.model.config.vocab_size
    weights = drawn(3)[:, 0]
    ours, theirs = (drawn(1).requires_grad_() for _ in range(2))
    found = word_logps(base, ours, words)
    wanted = by_softmax(base, theirs).gather(1, words[:, None])[:, 0]
    (found * weights).sum().backward()
    (wanted * weights).sum().backward()
    torch.testing.assert_close(found.double(), wanted, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4)
    assert theirs.grad.abs().max() > 0.1


def test_the_divergence_from_what_was_said_and_its_gradient(base):
    before, near = drawn(1), drawn(1) + 0.3 * drawn(2)
    parts = [Said.of(base, part) for part in before.split(50)]
    assert divergence(base, before, Said.joined(parts)).abs().max() < 1e-4
    ours, theirs = (near.clone().requires_grad_() for _ in range(2))
    found = divergence(base, ours, Said.joined(parts))
    said = by_softmax(base, before)
    wanted = (said.exp() * (said - by_softmax(base, theirs))).sum(dim=-1)
    found.sum().backward()
    wanted.sum().backward()
    torch.testing.assert_close(found.double(), wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-3)
    assert wanted.min() > 0

"""Several arms write in one batch: each what it writes alone, those of one place with the same draws."""

from __future__ import annotations

import torch

from personalization.models.generate import _Noise, answers_of_arms, short_answers
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import SteeringVectors
from personalization.records import Message
from tests import tiny

CHATS = [
    [Message("user", text)] for text in ("How do I boil an egg?", "Why?", "Tell me about rivers, please.")
]


def pushed(size: float) -> Row:
    vector = size * torch.randn(tiny.HIDDEN, generator=torch.Generator().manual_seed(3))
    return Row(vectors=((SteeringVectors({(1, "output"): vector}), 1.0),))


def test_an_arm_writes_what_it_writes_alone_whoever_is_beside_it():
    base = tiny.base()
    interventions = Interventions(base)
    arms = [(Row(), CHATS), (pushed(5.0), CHATS), (Row(), CHATS)]
    plain, other, again = answers_of_arms(base, interventions, arms, seed=4, max_new_tokens=12)
    assert plain == again == short_answers(base, CHATS, seed=4, max_new_tokens=12)
    with interventions.everywhere(pushed(5.0)):
        assert other == short_answers(base, CHATS, seed=4, max_new_tokens=12)
    assert other != plain
    interventions.remove()


def test_draws_are_as_likely_as_the_model_says():
    logits, temperature, count = torch.tensor([2.0, 1.0, 0.0, -1.0]), 0.7, 20_000
    noise = _Noise(range(count), 5, temperature)
    drawn = noise(torch.empty(0), logits.expand(count, -1)).argmax(dim=1)
    found = torch.bincount(drawn, minlength=4) / count
    assert torch.allclose(found, (logits / temperature).softmax(dim=0), atol=0.015)

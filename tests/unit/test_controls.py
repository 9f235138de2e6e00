"""Controls have the artifact's size and place, and nothing of its direction."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from personalization.evaluation.controls import (
    SHOTS,
    clearest_of_each,
    compare,
    examples,
    others_row,
    random_row,
)
from personalization.models.ability import QUESTIONS, measure_ability, right_answers
from personalization.models.interventions import Interventions, Row
from personalization.models.personal import LoraWeights, SteeringVectors
from personalization.records import Message, Pair
from tests import tiny


def pair(i: int, *, margin: float = 1.0, chosen: str = "", conversation: str = "") -> Pair:
    prompt = (Message("user", f"Question {i}?"),)
    return Pair(conversation or f"chat-{i}", (), prompt, chosen or f"yes {i}", f"no {i}", margin)


def vector(values: torch.Tensor, layer: int = 1) -> Row:
    return Row(vectors=((SteeringVectors({(layer, "output"): values}), 1.0),))


@given(
    size=st.floats(0.01, 50), rank=st.integers(1, 4), inside=st.integers(4, 12), seed=st.integers(0, 2**31)
)
def test_a_random_row_has_the_norms_of_the_row_and_another_direction(size, rank, inside, seed):
    generator = torch.Generator().manual_seed(seed)
    own = size * torch.randn(64, generator=generator)
    down, up = torch.randn(inside, rank, generator=generator), torch.randn(rank, 9, generator=generator)
    row = Row(adapters=((LoraWeights({"q": (down, up)}), 0.5),), vectors=vector(own).vectors)
    found = random_row(row, seed=seed + 1)
    other = found.vectors[0][0].sites[1, "output"]
    assert other.norm().item() == pytest.approx(own.norm().item(), rel=1e-4)
    assert abs(torch.cosine_similarity(own, other, dim=0).item()) < 0.7
    a, b = found.adapters[0][0].modules["q"]
    assert (a @ b).norm().item() == pytest.approx((down @ up).norm().item(), rel=1e-3)
    assert (a.shape, b.shape, found.adapters[0][1]) == (down.shape, up.shape, 0.5)


def test_each_conversation_is_compared_by_its_clearest_pair():
    pairs = [pair(1, margin=0.2, conversation="a"), pair(2, margin=0.9, conversation="a"), pair(3)]
    assert clearest_of_each(pairs) == [pairs[1], pairs[2]]


def test_examples_are_the_best_liked_answers_to_different_prompts():
    pairs = [pair(1, margin=0.3), pair(2, margin=0.9, chosen="loved"), pair(2, margin=0.8), pair(4), pair(5)]
    shown = examples(pairs)
    assert len(shown) == 2 * SHOTS
    assert [m.role for m in shown[:2]] == ["user", "assistant"]
    assert "loved" in [m.content for m in shown]
    assert "yes 1" not in [m.content for m in shown]


def test_what_others_would_teach_acts_where_the_artifact_does_and_is_what_they_like():
    base = tiny.base()
    interventions = Interventions(base)
    plain = [pair(i, chosen=f"So it is. {i}.", conversation=str(i)) for i in range(6)]
    own = torch.ones(tiny.HIDDEN)
    try:
        row = others_row(base, interventions, plain, vector(own, layer=2))
        swapped = [Pair(p.conversation, (), p.prompt, p.rejected, p.chosen, p.margin) for p in plain]
        turned = others_row(base, interventions, swapped, vector(own, layer=2))
        usual = others_row(base, interventions, plain, Row())
    finally:
        interventions.remove()
    (place, found), *rest = row.vectors[0][0].sites.items()
    assert (place, rest) == ((2, "output"), [])
    assert found.norm().item() == pytest.approx(own.norm().item(), rel=1e-4)
    # What the person chose plays no part: only the texts do.
    assert torch.allclose(found, turned.vectors[0][0].sites[place], atol=1e-5)
    assert list(usual.vectors[0][0].sites) == [(int(0.47 * len(base.layers)), "output")]


def test_an_artifact_compared_with_itself_is_neither_ahead_nor_behind():
    base = tiny.base()
    interventions = Interventions(base)
    pairs = [pair(i) for i in range(8)]
    try:
        found = compare(
            base, interventions, pairs, [], vector(torch.randn(tiny.HIDDEN)), system_message="", seed=1
        )
    finally:
        interventions.remove()
    assert set(found) == {"artifact", "random"}
    assert found["artifact"].ahead.value == 0.0
    gap = found["artifact"].accuracy.value - found["random"].accuracy.value
    assert found["random"].ahead.value == pytest.approx(gap)


def test_general_ability_is_measured_with_the_artifact_and_without():
    base = tiny.base()
    interventions, before = Interventions(base), right_answers(base)
    try:
        same = measure_ability(base, interventions, Row(), before)
        other = measure_ability(base, interventions, vector(30 * torch.randn(tiny.HIDDEN)), before)
    finally:
        interventions.remove()
    assert same.base == same.artifact == sum(before) / len(QUESTIONS)
    assert (same.change.value, other.base) == (0.0, same.base)
    assert all(len(set(four)) == 4 for _, four in QUESTIONS)

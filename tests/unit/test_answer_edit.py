"""A person's answers written into a model in closed form: what is computed is what the model then says."""

from __future__ import annotations

import pytest
import torch

from personalization.models.interventions import Interventions, Row
from personalization.models.prompts import encode_text
from personalization.records import Message
from personalization.steering.edit import AnswerEditor, ordinary_keys
from personalization.steering.scale import Scale, expected, orders, usual_of
from tests import tiny

STATEMENTS = ["Worry about things.", "Love large parties.", "Trust others.", "Get angry easily."]
WISHED = torch.tensor([4.5, 1.5, 3.5, 2.0])


@pytest.fixture(scope="module")
def edited():
    base = tiny.base()
    scale = Scale(base)
    reading = scale.read(STATEMENTS, orders(10))
    ordinary = ordinary_keys(base, [encode_text(base, "Rivers run to the sea, and boats run on them.")])
    return base, scale, reading, AnswerEditor.prepare(base, scale, reading, ordinary)


def test_orders_are_balanced():
    for count in (10, 60, 120):
        found = orders(count)
        assert len(set(found)) == count
        for word in range(5):
            places = [order.index(word) for order in found]
            assert {places.count(place) for place in range(5)} == {count // 5}
    with pytest.raises(ValueError, match="balanced"):
        orders(7)


def test_the_answers_that_are_computed_are_those_of_the_edited_model(edited):
    base, scale, reading, editor = edited
    computed = editor.answers(scale, reading, editor.reading_vector(WISHED))
    interventions = Interventions(base)
    with interventions.everywhere(Row(adapters=((editor.adapter(WISHED), 1.0),))):
        said = expected(scale.read(STATEMENTS, orders(10)).logps, editor.usual)
    interventions.remove()
    torch.testing.assert_close(computed, said, atol=1e-4, rtol=0)


def test_the_model_comes_nearer_to_what_is_wished(edited):
    _, scale, reading, editor = edited
    plain = expected(reading.logps, usual_of(reading))
    after = editor.answers(scale, reading, editor.reading_vector(WISHED))
    assert (after - WISHED).abs().mean() < 0.8 * (plain - WISHED).abs().mean()


def test_what_stands_before_a_statement_is_read_with_it(edited):
    _, scale, _, _ = edited
    told = scale.read(STATEMENTS, orders(2), head=lambda i, _: (Message("system", f"Number {i}"),))
    alone = scale.read(STATEMENTS[2:3], orders(2), head=lambda _, __: (Message("system", "Number 2"),))
    torch.testing.assert_close(told.logps[:, 2:3], alone.logps, atol=1e-4, rtol=0)
    assert told.logps.shape == (2, 4, 5)

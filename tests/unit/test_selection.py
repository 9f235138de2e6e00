"""Which records are worth most: a text that shares words compresses together; all is kept unless asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.errors import UnknownName
from personalization.records import Edit, Message, Pair, RatedGroup, Records, Thumb
from personalization.training.selection import alignment, best, liked, selected, similarities
from personalization.training.settings import TrainingSettings

TEA = "How long should green tea steep in hot water before it turns bitter?"
STEEP = "Green tea should steep in hot water for two minutes before it turns bitter."
TAX = "Quarterly VAT returns list outgoing invoices, deductions and reverse charges."


def pair(prompt: str, chosen: str) -> Pair:
    return Pair("c", (), (Message("user", prompt),), chosen, "no")


def never(_answers):
    raise AssertionError("nobody asked the model")


def test_what_shares_words_is_more_alike_than_what_does_not():
    assert alignment(TEA, TEA) > 0.8 > alignment(TEA, STEEP) > alignment(TEA, TAX) + 0.1
    near, far = similarities([STEEP, TAX], [TEA, "Is tea bitter in hot water?"])
    assert near > far
    assert similarities([TEA], []) == [0.0]


def test_the_share_with_the_highest_scores_stays_in_its_order():
    assert best([0.1, 0.9, 0.5, 0.9], 0.5) == [1, 3]
    assert best([0.1, 0.2], 0.01) == [1]
    with pytest.raises(ValueError):
        best([0.1], 0.0)


def test_nothing_is_left_out_unless_it_is_asked_for():
    records = Records(pairs=(pair(TEA, STEEP), pair(TEA, TAX)))
    assert selected(records, TrainingSettings(), never) is records
    assert "kept" not in repr(TrainingSettings())  # what was measured before stays comparable
    half = TrainingSettings(kept_share=0.5)
    assert selected(records, half, never).pairs == records.pairs[:1]


def test_the_model_says_what_is_near_to_it():
    records = Records(pairs=(pair(TEA, STEEP), pair(TEA, TAX)))
    half = TrainingSettings(kept_share=0.5, kept_by="likelihood")
    found = selected(records, half, lambda answers: [-len(text) for _, text in answers])
    assert found.pairs == (min(records.pairs, key=lambda p: len(p.chosen)),)


def test_a_way_that_there_is_not_is_named():
    with pytest.raises(UnknownName, match="likelihood"):
        selected(Records(), TrainingSettings(kept_by="likelyhood"), never)


def test_what_a_person_liked_of_each_kind():
    ask = (Message("user", TEA),)
    assert liked(pair(TEA, "yes")) == "yes"
    assert liked(RatedGroup("c", (), ask, ("a", "b"), (1.0, 9.0))) == "b"
    assert liked(Edit("c", (), ask, "so", "such")) == "such"
    assert liked(Thumb("c", (), ask, "so", desirable=False)) == "so"


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=20), st.floats(0.01, 1))
def test_nothing_better_is_left_out(scores, share):
    kept = best(scores, share)
    left = set(range(len(scores))) - set(kept)
    assert kept == sorted(kept)
    assert max((scores[i] for i in left), default=-2) <= min(scores[i] for i in kept)

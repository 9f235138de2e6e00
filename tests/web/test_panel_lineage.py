"""The picture of where an artifact comes from: who it was merged of, and that a phone holds it."""

from __future__ import annotations

import pytest
from django.urls import reverse

from alignapp.panel.pages.lineage import WIDTH, lineage
from tests.web import learned
from tests.web.operating import signed_in_with

pytestmark = pytest.mark.django_db
PHONE_CARD = 294  # px that a card holds on a screen of 360


@pytest.fixture
def merged(owner, other):
    """A merge of two people's adapters, which a third one was made of."""
    made = learned.artifact(owner)
    made.parents.set([learned.artifact(owner), learned.artifact(other)])
    learned.artifact(owner).parents.set([made])
    return made


def test_whose_a_parent_is_stands_in_its_box(merged, other):
    titles = [box.title for box in lineage(merged).wide.boxes]
    foreign = next(parent for parent in merged.parents.all() if parent.person_id == other.pk)
    assert f"{foreign}, {other.pseudonym}" in titles
    assert str(merged) in titles  # of one's own the pages say already whose they are


def test_on_a_phone_one_box_stands_below_the_other_and_all_of_them_fit(merged):
    drawn = lineage(merged)
    assert len(drawn.tall.boxes) == len(drawn.wide.boxes) == 8
    assert drawn.tall.width <= PHONE_CARD
    assert all(box.x + WIDTH < drawn.tall.width for box in drawn.tall.boxes)
    tops = [box.y for box in drawn.tall.boxes]
    assert tops == sorted(set(tops))
    assert [box.is_own for box in drawn.tall.boxes].index(True) == 6  # after its sources, before what it made


def test_the_page_holds_both_pictures(merged, owner):
    page = signed_in_with("operator", owner).get(reverse("panel:adapter", args=[merged.pk])).content.decode()
    assert page.count('<svg class="lineage"') == 2
    assert page.count('class="own"') == 2

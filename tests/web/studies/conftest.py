"""A project whose three annotators have opposite tastes, and a study of it."""

from __future__ import annotations

import pytest

from alignapp.annotation.access import Role
from alignapp.studies import services
from alignapp.studies.models import Study
from tests.web import studied
from tests.web.learned import methods


@pytest.fixture(autouse=True)
def few_pairs(settings) -> None:
    settings.MIN_TRAINING_PAIRS = 4


@pytest.fixture
def project(owner):
    return studied.project_of(owner)


@pytest.fixture
def study(project) -> Study:
    """Anna and Bert have opposite tastes, and Carl answered two items only."""
    methods()
    studied.annotator(project, "anna", studied.LONG)
    studied.annotator(project, "bert", studied.SHORT)
    carl = studied.annotator(project, "carl")
    keep = project.items.order_by("key")[:2]
    carl.person.assignments.exclude(item__in=keep).delete()
    return services.start(project.memberships.get(role=Role.OWNER), "dpo")

"""Every registered method is documented, listed for the pages, and shaped as its registry entry says."""

from __future__ import annotations

from pathlib import Path

import pytest

from alignapp.adapters.models import MethodInfo
from personalization.merging.registry import all_ways
from personalization.registry import all_methods
from workers.signals import register_methods

DOCS = Path(__file__).resolve().parents[2] / "docs" / "methods.md"


@pytest.mark.parametrize("method", all_methods(), ids=lambda m: m.name)
def test_a_method_has_a_paper_and_a_line_in_the_docs(method):
    assert method.paper.startswith("arXiv:")
    assert f"| `{method.name}` | {method.data} | {method.produces} |" in DOCS.read_text()


@pytest.mark.django_db
def test_rows_follow_the_registry_and_keep_what_an_operator_switched_off():
    MethodInfo.objects.create(name="gone", data="pairs", produces="adapter", summary="", paper="")
    register_methods()
    assert {m.name for m in MethodInfo.objects.all()} == {m.name for m in all_methods()}
    MethodInfo.objects.filter(name="dpo").update(enabled=False)
    register_methods()
    assert not MethodInfo.objects.get(name="dpo").enabled


@pytest.mark.parametrize("way", all_ways(), ids=lambda w: w.name)
def test_a_way_to_merge_has_a_paper_and_a_line_in_the_docs(way):
    assert f"| `{way.name}` | {way.paper} |" in DOCS.read_text()

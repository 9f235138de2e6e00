"""The agreement benchmark reads public files as they are meant, and finds cycles where there are some."""

from __future__ import annotations

import json

import pytest

from benchmarks.agreement import data
from benchmarks.agreement.page import verdict, write_page
from benchmarks.agreement.study import errors_against_wins, orders, published
from personalization.agreement.judgements import comparisons, units
from personalization.agreement.kappa import kappas
from personalization.agreement.report import figures


def _panda(idx, *labels):
    row = {"idx": idx, "cmp_key": "cerebras-gpt-6.7B_llama-7b", "response1": "one", "response2": True}
    return row | dict(zip(data.ANNOTATORS, labels, strict=True))


def _question(preference, errors=0):
    feedback = {"errors": [{}] * errors}
    texts = {name: "word " * n for n, name in enumerate(data.PREDICTIONS)}
    return {"preference": preference, "feedback": feedback, **texts}


def test_labels_of_pandalm_are_a_tie_the_first_or_the_second():
    said = data.pandalm([_panda(7, 0, 1, 2)])
    assert [one.preferred for one in comparisons(said)] == [0, 1, -1]
    assert said[0].makers == {"response1": "cerebras-gpt-6.7B", "response2": "llama-7b"}
    assert len(units(said)) == 1


def test_six_comparisons_fit_an_order_or_hold_a_cycle():
    straight = _question([1, 1, 1, 1, 1, 1])  # 1 > 2 > 3 > 4
    tied = _question([0, 1, 1, 1, 1, 0])
    cycle = _question([1, 2, 1, 1, 1, 1])  # 1 over 2, 2 over 3, 3 over 1
    assert orders(data.fine_grained([straight, tied, cycle])) == {"items": 3, "with_order": 2}


def test_wins_are_told_apart_by_marked_errors():
    found = errors_against_wins(data.marked([_question([1] * 6), _question([2, 2, 0, 1, 1, 1], errors=2)]))
    assert found["none"]["value"] == 1.0
    assert found["one or two"]["value"] == pytest.approx(1 / 6)


def test_the_page_stands_beside_what_was_published(tmp_path):
    rows = [_panda(n, n % 3, n % 3, n % 3 if n % 9 else 1) for n in range(60)]
    said = {
        "pandalm": data.pandalm(rows),
        "fine-grained": data.fine_grained([_question([1, 1, 1, 1, 1, 1], errors=1)] * 4),
        "prism": data.prism([{"user_group": "a", "chosen": "long one", "rejected": "short"}] * 3),
    }
    found = {
        "machine": "x", "commit": "c", "seconds": 1.0, "rows": {name: len(of) for name, of in said.items()},
        "published": published(kappas(units(said["pandalm"])), rows),
        "orders": orders(said["fine-grained"]), "errors_against_wins": {},
        "figures": {name: [one.as_dict() for one in figures(of)] for name, of in said.items()},
    }  # fmt: skip
    assert "(published: 0.85, 0.88, 0.86)" in verdict(found)
    write_page(tmp_path, found)
    page = (tmp_path / "agreement.md").read_text()
    assert "| kappa, annotator1 and annotator2 | 0.85 | 1.00 [1.00, 1.00] |" in page
    assert (tmp_path / "agreement.svg").exists()
    json.loads((tmp_path / "agreement.json").read_text())

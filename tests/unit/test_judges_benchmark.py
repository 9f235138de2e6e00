"""The page of the judges: whose comparisons are read, and that nothing is claimed that is not shown."""

from __future__ import annotations

import json

import numpy as np

from benchmarks.judges import data
from benchmarks.judges.__main__ import measure_in_turns
from benchmarks.judges.page import verdict, write_page
from personalization.records import Message, Pair

ROW = {"idx": 7, "instruction": "Add", "input": "", "response1": "It is 2.", "response2": False}


def test_ties_and_other_peoples_labels_are_not_confused():
    said = data.pandalm([{**ROW, "annotator1": 1, "annotator2": 2, "annotator3": 0}])
    assert [(pair.chosen, pair.rejected) for pair in said["annotator1"]] == [("It is 2.", "False")]
    assert [(pair.chosen, pair.rejected) for pair in said["annotator2"]] == [("False", "It is 2.")]
    assert said["annotator3"] == []
    row = {f"prediction {n}": f"answer {n}" for n in range(1, 5)}
    pairs = data.fine_grained([{**row, "question": "Why?", "preference": [1, 2, 0, 0, 0, 1]}])
    assert [(p.chosen[-1], p.rejected[-1]) for p in pairs] == [("1", "2"), ("3", "1"), ("3", "4")]
    people = data.simulated([{**row, "question": "Why?"}])
    assert len(people) == 12
    assert {len(said) for said in people.values()} == {2}


def planted(*, taste: float) -> dict:
    """Return what is measured of two people and 40 items whose states show, or do not, what they like."""
    draw, said, states = np.random.default_rng(0), {"ann": [], "bert": []}, {}
    for n in range(40):
        prompt = (Message("user", f"question {n}"),)
        for person, pairs in said.items():
            pairs.append(Pair(f"{n}", (person,), prompt, f"yes {n} {person}", f"no {n} {person}"))
            states[prompt, pairs[-1].chosen], states[prompt, pairs[-1].rejected] = (
                draw.normal(size=(1, 6)).astype("f4") + shift * np.eye(6, dtype="f4")[:1]
                for shift in (taste, -taste)
            )
    return measure_in_turns(said, states)


def test_what_is_there_is_found_and_chance_is_not_claimed(tmp_path):
    told = {"model": "m", "machine": "x", "commit": "c", "seconds": 60.0}
    found = {**told, "sets": {"real": planted(taste=1.5) | {"set": "real"}}}
    chance = {**told, "sets": {"none": planted(taste=0.0) | {"set": "none"}}}
    assert verdict(found).endswith("real: Bradley-Terry, MORE, Bradley-Terry, without the person.")
    assert verdict(chance).endswith("none: none.")
    assert found["sets"]["real"]["judges"]["bradley_terry"]["accuracy"]["low"] > 0.9
    write_page(tmp_path, found)
    page = (tmp_path / "judges.md").read_text()
    assert "**real**: 80 comparisons, 40 items, 2 people" in page
    assert "| always one half | 0.500 | 0.500 | 0.250 | 0.000 |" in page
    assert json.loads((tmp_path / "judges.json").read_text())["sets"]["real"]["people"] == 2
    assert (tmp_path / "judges.svg").exists()

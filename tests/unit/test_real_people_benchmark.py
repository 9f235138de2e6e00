"""The real-people benchmark leaves whole conversations out, and claims nothing that chance explains."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.real_people.arms import shrunk
from benchmarks.real_people.data import by_person, earlier_turns, folds
from benchmarks.real_people.page import table, verdict, write_page
from benchmarks.real_people.results import ARMS, READINGS, people_needed, summary


def _row(person, first, *later, chosen="yes", rejected="no"):
    roles = ("user", "model")
    context = [{"role": roles[i % 2], "content": text} for i, text in enumerate((first, *later))]
    return {"user_group": person, "context": context, "chosen": chosen, "rejected": rejected}


ROWS = [
    _row("anna", "Tea?", chosen="green"),
    _row("anna", "Tea?", "green", "Why?", chosen="calm"),
    _row("anna", "Rain?", chosen="wet"),
    _row("bert", "Tea?", chosen="black"),
    _row("cleo", "Snow?", chosen="cold"),
    _row("cleo", "Sun?", chosen="warm"),
]


def test_all_turns_of_a_conversation_are_left_out_together():
    found = list(folds(by_person(ROWS)))
    assert [(f.person, f.conversation, len(f.held_out)) for f in found] == [
        ("anna", "Tea?", 2),
        ("anna", "Rain?", 1),
        ("cleo", "Snow?", 1),
        ("cleo", "Sun?", 1),
    ]  # bert has one conversation: nothing to learn from
    for fold in found:
        assert not {p.conversation for p in fold.held_out} & {p.conversation for p in fold.own}
        assert not {p.sources for p in fold.others} & {p.sources for p in (*fold.own, *fold.held_out)}
    assert [p.chosen for p in found[1].others] == ["black", "cold", "warm"]
    assert [m.role for m in found[0].held_out[1].prompt] == ["user", "assistant", "user"]


def test_a_conversation_is_shown_once_as_far_as_it_goes():
    shown = earlier_turns(by_person(ROWS)["anna"])
    assert [m.content for m in shown] == ["Tea?", "green", "Why?", "calm", "Rain?", "wet"]
    assert [m.role for m in shown] == ["user", "assistant"] * 3


def test_with_more_pairs_of_their_own_a_person_is_less_like_the_others():
    own, others = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    few, many = shrunk(own, others, pairs=1), shrunk(own, others, pairs=12)
    assert few[0] / few[1] == pytest.approx(1 / 4)  # 1 own pair beside the worth of 4
    assert many[0] / many[1] == pytest.approx(3.0)
    assert many.norm() == pytest.approx(1.0)


def test_people_needed_is_the_usual_count_and_none_without_an_effect():
    # means 0.4 and 0.0: mean 0.2, sd 0.2828; ((1.96 + 0.8416) * 1.4142)^2 = 15.7
    assert people_needed([0.4, 0.4, 0.0], ["anna", "anna", "bert"]) == 16
    assert people_needed([-0.4, 0.0], ["anna", "bert"]) is None
    assert people_needed([0.4, 0.2], ["anna", "anna"]) is None
    assert people_needed([1.0, -0.999], ["anna", "bert"]) is None  # more than anybody would ask


def _folds(own, base, count=10):
    found = []
    for i in range(count):
        outcomes = {arm: [0.5, 0.5] for arm in (*ARMS, *READINGS)}
        outcomes |= {"own": own(i), "base": base(i)}
        found.append({"person": f"person {i}", "conversation": "Tea?", "outcomes": outcomes})
    return found


def _told(found):
    return found | {
        "model": "m", "machine": "x", "dtype": "float32", "commit": "c", "seconds": 60.0, "layer": 14,
        "layers": 30, "strength": 0.15, "prior_pairs": 4.0, "random_directions": 5,
    }  # fmt: skip


def test_chance_is_called_chance_in_the_first_sentence(tmp_path):
    chance = summary(_folds(lambda i: [float(i % 2)] * 2, lambda i: [float(i % 2 == 0)] * 2))
    assert chance["differences"]["own - base"]["value"] == 0.0
    assert chance["differences"]["own - base"]["people_needed"] is None
    write_page(tmp_path, _told(chance))
    page = (tmp_path / "real_people.md").read_text()
    assert page.split("\n\n")[1].startswith("On 20 pairs of 10 real people nothing is shown to help")
    assert "no feasible number" in page
    assert (tmp_path / "real_people.svg").exists()
    json.loads((tmp_path / "real_people.json").read_text())


def test_a_vector_that_always_wins_is_claimed_and_one_that_always_loses_is_called_worse():
    wins = summary(_folds(lambda _: [1.0, 1.0], lambda _: [0.0, 0.0]))
    assert verdict(wins) == (
        "On 20 pairs of 10 real people a person's own vector beats the base model, the others' and a random "
        "vector."
    )
    assert "| own - base | +1.00 [+1.00, +1.00]" in table(wins)
    loses = summary(_folds(lambda _: [0.0, 0.0], lambda _: [1.0, 1.0]))
    assert "is worse, not better" in verdict(loses)


def test_the_three_declared_differences_are_adjusted_together():
    found = summary(_folds(lambda i: [1.0, float(i < 7)], lambda _: [0.5, 0.5]))
    rows = found["differences"].values()
    assert len(rows) == 3
    assert all(row["p_holm"] >= row["p"] for row in rows)
    assert min(row["p_holm"] for row in rows) == pytest.approx(3 * min(row["p"] for row in rows))

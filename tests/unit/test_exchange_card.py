"""The dataset card says what was counted, and its head is what the Hub reads."""

from __future__ import annotations

import yaml

from personalization.exchange import registry
from personalization.exchange.card import About, card
from personalization.exchange.licences import forbids_training
from personalization.exchange.neutral import Act, Answer, Example, Judgement
from personalization.exchange.transfer import Export
from personalization.records import Message


def example(key: str, picked: int, licence: str = "CC-BY-4.0", *, may_train: bool = True) -> Example:
    act = Act("pick", picked, protocol="pick-1-of-n")
    judgement = Judgement("p", (act,), (1, 0), may_train=may_train)
    answers = (Answer("short"), Answer("rather longer"))
    return Example(key, (Message("user", "Q"),), answers, (judgement,), language="en", licence=licence)


def made(*examples: Example, purpose: str = "training") -> str:
    files = {}
    for name in ("trl-preference", "ranked"):
        export = files[f"{name}.jsonl"] = Export(registry.get(name), purpose)
        list(export.lines(examples))
    about = About(
        'Rivers: a "test"', "2026-01-02", "About rivers.", "Friends.", ["On paper."], {"picks": "0.4"}
    )
    return card(files, about)


def test_the_head_is_yaml_that_the_hub_reads():
    head = yaml.safe_load(made(example("a", 0), example("b", 1)).split("---")[1])
    assert head["pretty_name"] == 'Rivers: a "test"'
    assert (head["license"], head["language"], head["size_categories"]) == ("cc-by-4.0", ["en"], ["n<1K"])
    assert [one["data_files"] for one in head["configs"]] == ["trl-preference.jsonl", "ranked.jsonl"]


def test_it_counts_people_protocols_what_was_left_out_and_how_the_shown_order_counted():
    words = made(
        example("a", 0), example("b", 1), example("c", 1, "CC-BY-NC-4.0"), example("d", 1, may_train=False)
    )
    for line in (
        "- Friends.", "- On paper.", "- picks: 0.4", "- `pick-1-of-n`: in 2 judgements",
        "- 1 people, under names that mean nothing elsewhere; no e-mail address is in the files.",
        "- `ranked.jsonl`: 1, its licence (CC-BY-NC-4.0) does not allow training",
        "- `ranked.jsonl`: 1, the person has not agreed to training",
        "- Of two answers the one shown first was picked in 50% of 2 cases.",
        "- Of two answers the longer one was picked in 50% of 2 cases.",
    ):  # fmt: skip
        assert line in words.splitlines(), line
    assert "## What was left out, and why\n\n- Nothing." in made(example("a", 0), purpose="analysis")
    assert "license: other" in made(example("a", 0), example("b", 0, "MIT"))


def test_licences_that_close_training_are_known_by_their_clauses():
    for name in (
        "CC-BY-NC-4.0",
        "cc-by-nd-4.0",
        "CC BY-NC-SA 3.0",
        "non-commercial use",
        "All rights reserved",
    ):
        assert forbids_training(name), name
    for name in ("", "CC-BY-4.0", "MIT", "Apache-2.0", "CC0-1.0", "public domain", "incl. ancient texts"):
        assert not forbids_training(name), name

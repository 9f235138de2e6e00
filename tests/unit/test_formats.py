"""Formats: the real files are read and written back as they were; what may not leave does not."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.exchange import registry, transfer
from personalization.exchange.neutral import Act, Answer, Example, Judgement, Participant, Span
from personalization.exchange.preferences import preferences
from personalization.exchange.source import LineError
from personalization.exchange.transfer import NO_CONSENT, Export, Read
from personalization.records import Message

DATA = Path(os.environ.get("ALIGN_DATA", Path(__file__).parents[2].parent / "shared/data"))
SOME = 200
COMMON = {"id", "person", "licence", "may_train", "language", "source"}


def real(name: str) -> Path:
    """Return a real file; the test is skipped where it is absent."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is absent; set ALIGN_DATA to the data folder")
    return path


def read_path(path: Path, form: str, most: int = SOME) -> list:
    with path.open("rb") as file:
        found = list(islice(transfer.read(file, registry.get(form)), most))
    assert not [one for one in found if isinstance(one, LineError)]
    return [one.record for one in found if isinstance(one, Read)]


def write(records, form: str, purpose: str = "analysis") -> tuple[list[dict], Export]:
    export = Export(registry.get(form), purpose)
    text = "".join(export.lines(records))
    rows = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    return rows, export


def read(rows: list[dict], form: str) -> list:
    file = io.BytesIO("\n".join(json.dumps(row) for row in rows).encode())
    found = list(transfer.read(file, registry.get(form)))
    assert all(isinstance(one, Read) for one in found) or not rows, found
    return [one.record for one in found if isinstance(one, Read)]


def without_common(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in COMMON}


def raw(path: Path, most: int = SOME) -> list[dict]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return (
        json.loads(text)[:most]
        if text[0] == "["
        else [json.loads(x) for x in islice(text.splitlines(), most)]
    )


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("pandalm/pairs.json", "pandalm"),
        ("finegrained_rlhf/feedback.json", "finegrained"),
        ("hh_rlhf/harmless_test.jsonl.gz", "hh"),
        ("prism/profiles.jsonl", "prism-survey"),
    ],
)
def test_a_real_file_comes_back_as_it_was(name, form):
    path = real(name)
    rows, export = write(read_path(path, form), form)
    expected = [
        {k: "True" if v is True else v for k, v in row.items()} for row in raw(path)
    ]  # see pandalm.py
    assert [without_common(row) for row in rows] == expected
    assert not export.left_out
    assert registry.recognise(raw(path, 1)[0]).name == form


@pytest.mark.data
def test_open_assistants_trees_come_back_as_they_were():
    path = real("oasst/trees.jsonl")
    rows, _ = write(read_path(path, "oasst", 10_000), "oasst")
    trees = raw(path)
    assert len(rows) == len(trees) == 100
    for row, tree in zip(rows, trees, strict=True):
        assert without_common(row) == _with_ranks_in_order(tree)


def _with_ranks_in_order(tree: dict) -> dict:
    """Ranks count from 0 without gaps when they are written; the real ones have gaps where replies went."""

    def mend(node: dict) -> None:
        ranked = sorted(reply["rank"] for reply in node["replies"] if reply.get("rank") is not None)
        for reply in node["replies"]:
            if reply.get("rank") is not None:
                reply["rank"] = ranked.index(reply["rank"])
            else:
                reply.pop("rank", None)
            mend(reply)

    mend(tree["prompt"])
    return tree


@pytest.mark.data
def test_real_inventories_keep_every_answer():
    people = raw(real("papi/subjects.json"), 20)
    rows, _ = write(read_path(real("papi/subjects.json"), "ipip", 20), "ipip")
    for row, person in zip(rows, people, strict=True):
        assert row["person"] == str(person["case"])
        assert all(row[f"i{n}"] == person[f"i{n}"] for n in range(1, 301))


@pytest.mark.data
def test_real_pairs_of_prism_become_trl_rows_that_say_who_preferred():
    pairs = raw(real("prism/pairs.jsonl"))
    rows = [{"prompt": pair["context"], "chosen": pair["chosen"], "rejected": pair["rejected"],
             "person": pair["user_group"]} for pair in pairs]  # fmt: skip
    back, export = write(read(rows, "trl-conversational"), "trl-conversational")
    assert [row["person"] for row in back] == [pair["user_group"] for pair in pairs]
    assert [row["chosen"][0]["content"] for row in back] == [pair["chosen"] for pair in pairs]
    assert len(export.people) == 9


# --- any records ------------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
several = st.integers(2, 4)
plain = st.text("abc xyzÄ中", min_size=1, max_size=12).map(lambda text: text.strip() or "a")


@st.composite
def examples(draw, *, answers=several, text=words) -> Example:
    """An example with one message, different answers and one person's judgement with a permuted order."""
    texts = draw(answers.flatmap(lambda n: st.lists(text, min_size=n, max_size=n, unique=True)))
    order = draw(st.permutations(range(len(texts))))
    scores = draw(st.lists(st.integers(1, 100), min_size=len(texts), max_size=len(texts)))
    acts = [Act("rating", i, protocol="slider-1-100", score=float(score)) for i, score in enumerate(scores)]
    acts.append(Act("pick", scores.index(max(scores)), protocol="pick-1-of-n"))
    judgement = Judgement(draw(words), tuple(acts), tuple(order))
    made = tuple(Answer(text, maker=f"m{i}") for i, text in enumerate(texts))
    licence = draw(st.sampled_from(["", "CC-BY-4.0"]))
    return Example(draw(words), (Message("user", draw(text)),), made, (judgement,), licence=licence)


@settings(max_examples=40, deadline=None)
@given(examples())
def test_prism_keeps_ratings_picks_order_and_who(example):
    for form in ("prism-conversations", "prism-utterances"):
        [back] = read(write([example], form)[0], form)
        assert (back.messages, back.answers, back.licence) == (
            example.messages,
            example.answers,
            example.licence,
        )
        assert set(back.judgements[0].acts) == set(example.judgements[0].acts)
        assert back.judgements[0].order == example.judgements[0].order
        assert back.judgements[0].person == example.judgements[0].person


@settings(max_examples=40, deadline=None)
@given(examples(text=plain))
def test_every_pair_format_keeps_every_preference(example):
    expected = {(one.chosen, one.rejected) for one in preferences(example, example.judgements[0])}
    assert expected
    for form in ("trl-preference", "trl-conversational", "trl-implicit", "hh"):
        found = read(write([example], form)[0], form)
        assert {(one.answers[0].text, one.answers[1].text) for one in found} == expected
        assert all(one.messages == example.messages and one.licence == example.licence for one in found)


@settings(max_examples=40, deadline=None)
@given(examples())
def test_ranked_groups_keep_the_ratings(example):
    [back] = read(write([example], "ranked")[0], "ranked")
    scores = {act.answer: act.score for act in example.judgements[0].acts if act.kind == "rating"}
    assert {act.answer: act.score for act in back.judgements[0].acts} == scores
    assert back.answers == example.answers


@settings(max_examples=40, deadline=None)
@given(examples(answers=st.just(2)))
def test_ratings_survive_ultrafeedbacks_scale_to_half_a_point(example):
    rows, export = write([example], "ultrafeedback")
    scores = [act.score for act in example.judgements[0].acts if act.kind == "rating"]
    assert not export.left_out  # a pick decides between equal ratings
    [back] = read(rows, "ultrafeedback")
    found = sorted(act.score for act in back.judgements[0].acts if act.kind == "rating")
    assert found == pytest.approx(sorted(scores), abs=0.5)


@settings(max_examples=40, deadline=None)
@given(examples(answers=st.just(2)), st.sampled_from([((0,), (1,)), ((1,), (0,)), ((0, 1),)]))
def test_two_answers_keep_their_verdict_in_pandalm_and_label_studio(example, ranking):
    judgement = Judgement("annotator1", (Act("ranking", protocol="pick-1-of-n", ranking=ranking),))
    example = Example(example.key, example.messages, example.answers, (judgement,))
    expected = {(one.chosen, one.rejected) for one in preferences(example, judgement)}
    [back] = read(write([example], "pandalm")[0], "pandalm")
    assert {(one.chosen, one.rejected) for one in preferences(back, back.judgements[0])} == expected
    rows, export = write([example], "label-studio")
    assert sum(export.left_out.values()) == (len(ranking) == 1)  # it has no ties, and says so
    for back in read(rows, "label-studio"):
        assert {(one.chosen, one.rejected) for one in preferences(back, back.judgements[0])} == expected


def spans_example() -> Example:
    acts = (
        Act(
            "critique",
            0,
            protocol="marked-spans",
            spans=(Span(0, 3, "Irrelevant"), Span(2, 4, "Redundant", "twice")),
        ),
        Act("edit", 0, protocol="edited-answer", text="better"),
        Act("ranking", protocol="places-with-ties", ranking=((2,), (0, 1), (3,))),
    )
    answers = tuple(Answer(text) for text in ("abcdef", "b", "c", "d"))
    return Example("k", (Message("user", "Why?"),), answers, (Judgement("p", acts),))


def test_spans_edits_and_rankings_survive_the_fine_grained_format():
    example = spans_example()
    [back] = read(write([example], "finegrained")[0], "finegrained")
    assert set(back.judgements[0].acts) == set(example.judgements[0].acts)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.integers(1, 120), st.integers(1, 5), min_size=1), words, st.booleans())
def test_inventories_survive_both_shapes(items, name, keyed):
    person = Participant(name, items=dict(sorted(items.items())), keyed=keyed)
    [wide] = read(write([person], "ipip")[0], "ipip")
    assert wide == person
    export = Export(registry.get("ipip-long"), "analysis")
    file = io.BytesIO("".join(export.lines([person])).encode())
    [long] = [one.record for one in transfer.read(file, registry.get("ipip-long"))]
    assert long == person


def test_thumbs_survive_and_the_wanted_answer_is_the_edit():
    acts = (
        Act("thumb", 0, protocol="thumb", liked=False),
        Act("edit", 0, protocol="edited-answer", text="Better."),
    )
    example = Example(
        "k", (Message("system", "s"), Message("user", "Q")), (Answer("A"),), (Judgement("p", acts),)
    )
    [back] = read(write([example], "unpaired")[0], "unpaired")
    assert (back.messages, back.answers[0].text) == (example.messages, "A")
    assert back.judgements[0].acts == acts[:1]
    [row] = write([example], "sft")[0]
    assert [message["content"] for message in row["messages"]] == ["s", "Q", "Better."]


def test_prompts_come_without_answers_and_rows_with_answers_are_no_prompts():
    conversation = (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "And?"))
    [back] = read(
        write([Example("k", conversation, (Answer("A"),), licence="CC0-1.0")], "prompts")[0], "prompts"
    )
    assert (back.messages, back.answers, back.licence) == (conversation, (), "CC0-1.0")
    assert registry.recognise({"prompt": "Why?"}).name == "prompts"
    assert registry.recognise({"prompt": "Why?", "chosen": "So.", "rejected": "No."}).name == "trl-preference"
    assert registry.recognise({"prompt": "Why?", "chosen": 3, "rejected": "No."}) is None


def test_a_conversation_is_one_prism_row_and_one_tree():
    first = Example("c/0", (Message("user", "Hi"),), (Answer("Hello"), Answer("No")),
                    (Judgement("p", (Act("pick", 0, protocol="pick-1-of-n"),)),), "c", 0)  # fmt: skip
    context = (*first.messages, Message("assistant", "Hello"), Message("user", "And?"))
    second = Example("c/1", context, (Answer("x"), Answer("y")),
                     (Judgement("p", (Act("pick", 1, protocol="pick-1-of-n"),)),), "c", 1)  # fmt: skip
    for form in ("prism-conversations", "prism-utterances"):
        rows, _ = write([first, second], form)
        assert [one.messages for one in read(rows, form)] == [first.messages, second.messages]
    [tree] = write([first, second], "oasst")[0]
    assert tree["prompt"]["replies"][0]["replies"][0]["text"] == "And?"
    assert [one.messages for one in read([tree], "oasst")] == [first.messages, second.messages]


# --- what may not leave -----------------------------------------------------------------------


def test_what_may_not_be_trained_on_stays_and_is_counted():
    example = spans_example()
    agreed, refused = example.judgements[0], Judgement("q", example.judgements[0].acts, may_train=False)
    parts = example.key, example.messages, example.answers
    records = [
        Example(*parts, (agreed, refused)),
        Example(*parts, (refused,)),
        Example(*parts, (agreed,), licence="CC-BY-NC-4.0"),
        Example(*parts, (agreed,), may_train=False),
    ]
    rows, export = write(records, "finegrained", "training")
    assert [row["person"] for row in rows] == ["p"]
    assert export.left_out == Counter({
        NO_CONSENT: 2,
        "its licence (CC-BY-NC-4.0) does not allow training": 1,
        transfer.NOT_FOR_TRAINING: 1,
    })  # fmt: skip
    rows, export = write(records, "finegrained", "analysis")
    assert [(row["person"], row["may_train"]) for row in rows] == [
        ("p", True), ("q", False), ("q", False), ("p", True), ("p", False),
    ]  # fmt: skip
    assert not export.left_out
    assert read(rows, "finegrained")[1].may_train is False  # and it stays so wherever it is read


@pytest.mark.parametrize("form", [one.name for one in registry.all_formats()])
def test_every_format_reads_writes_and_says_what_it_loses(form):
    one = registry.get(form)
    assert one.read is not None
    assert one.writes
    assert one.loses.endswith(".")
    assert one.columns
    page = (Path(__file__).parents[2] / "docs/data-formats.md").read_text()
    assert f"| `{form}` | {one.title} |" in page
    assert one.loses in page


def test_an_unknown_format_is_answered_with_the_nearest():
    with pytest.raises(
        LookupError, match=r"There is no format named 'prism-survy'\. Did you mean prism-survey"
    ):
        registry.get("prism-survy")

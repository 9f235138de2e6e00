"""Label Studio's pairwise tasks: `data` with a prompt and two answers, `annotations` with `selected`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import PICKED, Act, Answer, Example, FormatError, Judgement
from personalization.exchange.preferences import ranks
from personalization.exchange.registry import Format, LeftOut, Written

PROMPTS = ("prompt", "question", "instruction", "text")
PAIRS = (("answer1", "answer2"), ("response1", "response2"), ("left", "right"), ("option1", "option2"),
         ("text1", "text2"), ("response_a", "response_b"), ("answer_a", "answer_b"))  # fmt: skip


def read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one task with everybody's choice; a cancelled annotation is left out."""
    [row] = rows
    data = row.get("data")
    if not isinstance(data, dict):
        raise FormatError("“data” is missing; export as JSON, not as JSON-MIN or CSV.")
    asked = next((name for name in PROMPTS if name in data), "")
    pair = next((names for names in PAIRS if all(name in data for name in names)), None)
    if not asked or pair is None:
        raise FormatError("“data” needs a prompt and two answers, named prompt, answer1 and answer2.")
    judgements = tuple(
        found
        for one in row.get("annotations") or []
        if not one.get("was_cancelled") and (found := _judgement(one)) is not None
    )
    answers = [Answer(fields.text(data, name), fields.text(data, f"{name}_model", "")) for name in pair]
    common = {**(row.get("meta") or {}), **({"id": f"label-studio-{row['id']}"} if "id" in row else {})}
    yield fields.example(common, fields.prompt(data, asked), answers, judgements=judgements)


def _judgement(one: Mapping[str, Any]) -> Judgement | None:
    by = one.get("completed_by")
    person = str(by.get("email") or by.get("id")) if isinstance(by, dict) else str(by or "")
    for result in one.get("result") or []:
        if result.get("type") == "pairwise":
            selected = (result.get("value") or {}).get("selected")
            if selected not in ("left", "right"):
                raise FormatError(f"“selected” is {str(selected)[:20]!r}; left or right is needed.")
            seconds = one.get("lead_time")
            spent = round(seconds * 1000) if isinstance(seconds, int | float) else None
            act = Act("pick", 0 if selected == "left" else 1, protocol=PICKED)
            return Judgement(person, (act,), (0, 1), spent, str(one.get("created_at") or ""))
    return None


def write(examples: Sequence[Example]) -> Written:
    """Write one task for each two answers that somebody compared; its ties cannot be held."""
    [example] = examples
    judged = [(judgement, ranks(example, judgement)) for judgement in example.judgements]
    for first, second in combinations(range(len(example.answers)), 2):
        chosen = [(j, places) for j, places in judged if first in places and second in places]
        done = [
            _annotation(j, places[first] < places[second])
            for j, places in chosen
            if places[first] != places[second]
        ]
        if len(done) < len(chosen):
            yield LeftOut("Label Studio's pairs have no ties", len(chosen) - len(done))
        if done:
            answers = example.answers[first], example.answers[second]
            system = [m.content for m in example.messages[:-1]]
            data = {"prompt": fields.as_chat(example.messages) if system else example.messages[0].content}
            data |= {f"answer{n}": answer.text for n, answer in enumerate(answers, 1)}
            data |= {f"answer{n}_model": answer.maker for n, answer in enumerate(answers, 1)}
            part = "" if len(example.answers) == 2 else f"{first}-{second}"
            meta = fields.columns(example, None, part)
            meta["may_train"] = meta["may_train"] and all(j.may_train for j, _places in chosen)
            yield {"data": data, "annotations": done, "predictions": [], "meta": meta}


def _annotation(judgement: Judgement, first_wins: bool) -> dict[str, Any]:  # noqa: FBT001 - the verdict itself
    value = {"selected": "left" if first_wins else "right"}
    result = {"type": "pairwise", "from_name": "pairwise", "to_name": "answer1,answer2", "value": value}
    spent = None if judgement.duration_ms is None else judgement.duration_ms / 1000
    return {
        "completed_by": {"id": judgement.person, "email": ""}, "result": [result],
        "was_cancelled": False, "lead_time": spent, "created_at": judgement.at,
    }  # fmt: skip


FORMATS = (
    Format(
        "label-studio", "Label Studio pairwise", frozenset({"data", "annotations"}),
        "Which of two answers is better, without ties; everything else is left out.",
        read=read, write_examples=write, suffix="json",
    ),
)  # fmt: skip

"""PRISM: survey, conversations and utterances, as in the codebook of HannahKirk/prism-alignment.

A conversation is read as one example for each turn; what was chosen is the context of the next. Each answer
carries `display_position`, which PRISM does not record: where it stood on the screen, from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import (
    ATTRIBUTES,
    COMMENT,
    PICKED,
    RATED,
    Act,
    Answer,
    Example,
    FormatError,
    Judgement,
    Participant,
)
from personalization.exchange.preferences import best, ratings
from personalization.exchange.registry import Format, LeftOut, Written
from personalization.records import Message

ASKED = {"performance_attributes": ATTRIBUTES, "choice_attributes": "choice-attributes"}
KEPT = ("conversation_type", "timing_duration_mins", "included_in_balanced_subset")
Data = Mapping[str, Any]


def read_conversations(rows: Sequence[Data]) -> Iterator[Example]:
    """Read one conversation, turn by turn."""
    [row] = rows
    history = [part for part in fields.listed(row, "conversation_history") if isinstance(part, dict)]
    turns = [part for part in history if part.get("role") == "user"]
    if not turns:
        raise FormatError("“conversation_history” has no message of the user.")
    replies: dict[int, list[Data]] = {}
    for part in history:
        if part.get("role") == "model":
            replies.setdefault(fields.whole(part, "turn"), []).append(part)
    asked = [(fields.whole(turn, "turn"), fields.text(turn, "content")) for turn in turns]
    examples = list(_turns(row, asked, replies))
    yield _with_conversation(examples[0], row)
    yield from examples[1:]


def read_utterances(rows: Sequence[Data]) -> Iterator[Example]:
    """Read the utterances of one conversation, turn by turn."""
    replies: dict[int, list[Data]] = {}
    asked: dict[int, str] = {}
    for row in rows:
        turn = fields.whole(row, "turn")
        asked.setdefault(turn, fields.text(row, "user_prompt"))
        replies.setdefault(turn, []).append({**row, "content": fields.text(row, "model_response")})
    yield from _turns(rows[0], sorted(asked.items()), replies)


def _turns(
    row: Data, asked: Sequence[tuple[int, str]], replies: Mapping[int, list[Data]]
) -> Iterator[Example]:
    conversation, person = fields.text(row, "conversation_id"), fields.text(row, "user_id")
    context: tuple[Message, ...] = ()
    for turn, prompt in asked:
        context = (*context, Message("user", prompt))
        parts = sorted(replies.get(turn, []), key=lambda part: int(part.get("within_turn_id") or 0))
        answers = [Answer(fields.text(p, "content"), fields.text(p, "model_name", ""),
                          fields.text(p, "model_provider", "")) for p in parts]  # fmt: skip
        acts = tuple(act for i, part in enumerate(parts) for act in _acts(i, part))
        judgement = Judgement(person, acts, _order(parts))
        extra = {"conversation_type": row.get("conversation_type", "")}
        yield fields.example(
            row, context, answers, key=f"{conversation}/{turn}", judgements=(judgement,),
            conversation=conversation, turn=turn, extra=extra,
        )  # fmt: skip
        chosen = [act.answer for act in acts if act.kind == "pick" and act.answer is not None]
        context = (*context, *(Message("assistant", answers[i].text) for i in chosen[:1]))


def _acts(i: int, part: Data) -> Iterator[Act]:
    if part.get("score") is not None:
        yield Act("rating", i, protocol=RATED, score=float(fields.whole(part, "score")))
    if fields.truth(part, "if_chosen", default=False):
        yield Act("pick", i, protocol=PICKED)


def _order(parts: Sequence[Data]) -> tuple[int, ...]:
    if not parts or any(part.get("display_position") is None for part in parts):
        return ()
    return tuple(sorted(range(len(parts)), key=lambda i: fields.whole(parts[i], "display_position")))


def _with_conversation(example: Example, row: Data) -> Example:
    """Return the first turn with what was said of the whole conversation."""
    [judgement] = example.judgements
    acts = list(judgement.acts)
    rated = {act.answer: act.score or 0.0 for act in acts if act.kind == "rating"}
    chosen = [act.answer for act in acts if act.kind == "pick"]
    about = chosen[0] if chosen else max(rated, key=lambda i: rated[i], default=None)
    for name, protocol in ASKED.items():
        for attribute, score in (row.get(name) or {}).items():
            if score is not None and about is not None:
                acts.append(Act("rating", about, protocol=protocol, attribute=attribute, score=float(score)))
    if feedback := fields.text(row, "open_feedback", ""):
        acts.append(Act("critique", protocol=COMMENT, text=feedback))
    seconds = row.get("timing_duration_s")
    spent = round(float(seconds) * 1000) if isinstance(seconds, int | float) else None
    at = fields.text(row, "generated_datetime", "")
    told = Judgement(judgement.person, tuple(acts), judgement.order, spent, at)
    extra = {name: row[name] for name in KEPT if row.get(name) is not None}
    return _replaced(example, told, extra)


def _replaced(example: Example, judgement: Judgement, extra: Data) -> Example:
    return Example(
        example.key, example.messages, example.answers, (judgement,), example.conversation, example.turn,
        example.language, example.source, example.licence, example.may_train, extra,
    )  # fmt: skip


def write_conversations(examples: Sequence[Example]) -> Written:
    """Write one row for each person who judged a conversation."""
    for person in dict.fromkeys(one.person for example in examples for one in example.judgements):
        history: list[dict[str, Any]] = []
        for turn, (example, _judgement, replies) in enumerate(_of(person, examples)):
            history += [{"turn": turn, "role": "user", "content": example.messages[-1].content}]
            history += [
                {"turn": turn, "role": "model", "content": content} | part for content, part in replies
            ]
        first, judgement, _replies = next(_of(person, examples))
        attributes = {
            name: {a.attribute: _number(a.score) for a in judgement.acts if a.protocol == protocol}
            for name, protocol in ASKED.items()
        }
        spent = None if judgement.duration_ms is None else judgement.duration_ms / 1000
        yield {
            "conversation_id": _conversation_id(first, person), "user_id": person,
            "conversation_type": "unguided", "opening_prompt": first.messages[-1].content,
            "conversation_turns": 1 + max(part["turn"] for part in history), "conversation_history": history,
        } | attributes | {
            "open_feedback": next((a.text for a in judgement.acts if a.protocol == COMMENT), ""),
            "generated_datetime": judgement.at, "timing_duration_s": spent,
        } | {n: first.extra[n] for n in KEPT if n in first.extra} | _common(first, judgement)  # fmt: skip
    yield from _lost(examples)


def write_utterances(examples: Sequence[Example]) -> Written:
    """Write one row for each answer that somebody judged."""
    for person in dict.fromkeys(one.person for example in examples for one in example.judgements):
        for turn, (example, judgement, replies) in enumerate(_of(person, examples)):
            conversation = _conversation_id(example, person)
            for content, part in replies:
                interaction = f"{conversation}-{turn}"
                yield {
                    "utterance_id": f"{interaction}-{part['within_turn_id']}", "interaction_id": interaction,
                    "conversation_id": conversation, "user_id": person, "turn": turn,
                    "conversation_type": example.extra.get("conversation_type", "unguided"),
                    "user_prompt": example.messages[-1].content, "model_response": content,
                } | part | _common(example, judgement)  # fmt: skip
    yield from _lost(examples)


def _of(
    person: str, examples: Sequence[Example]
) -> Iterator[tuple[Example, Judgement, list[tuple[str, dict[str, Any]]]]]:
    """Yield the turns that a person judged, each with its answers and what the formats say of them."""
    for example in examples:
        for judgement in example.judgements:
            if judgement.person == person:
                yield example, judgement, list(_replies(example, judgement))


def _replies(example: Example, judgement: Judgement) -> Iterator[tuple[str, dict[str, Any]]]:
    scores = ratings(judgement)
    chosen = {act.answer for act in judgement.acts if act.kind == "pick"}
    wanted = best(example, judgement)
    if not chosen and wanted is not None:
        chosen = {next((i for i, answer in enumerate(example.answers) if answer.text == wanted), None)}
    for i, answer in enumerate(example.answers):
        yield answer.text, {
            "model_name": answer.maker, "model_provider": answer.provider, "score": _number(scores.get(i)),
            "if_chosen": i in chosen, "within_turn_id": i,
            "display_position": judgement.order.index(i) if i in judgement.order else None,
        }  # fmt: skip


def _number(score: float | None) -> int | None:
    return None if score is None else round(score)


def _conversation_id(example: Example, person: str) -> str:
    name = example.conversation or example.key
    return name if len(example.judgements) < 2 else f"{name}/{person}"


def _common(example: Example, judgement: Judgement) -> dict[str, Any]:
    found = fields.columns(example, judgement)
    return {name: value for name, value in found.items() if name not in ("id", "person")}


def _lost(examples: Sequence[Example]) -> Iterator[LeftOut]:
    if unjudged := sum(not example.judgements for example in examples):
        yield LeftOut("nobody judged it", unjudged)
    if lost := max(len(examples[0].messages) - 1, 0):
        yield LeftOut("messages before the first turn that was judged", lost)


def read_survey(rows: Sequence[Data]) -> Iterator[Participant]:
    """Read one person's survey."""
    [row] = rows
    own = {"user_id", "licence", "may_train"}
    answers = {name: value for name, value in row.items() if name not in own}
    licence, may_train = fields.text(row, "licence", ""), fields.truth(row, "may_train", default=True)
    yield Participant(fields.text(row, "user_id"), answers, licence=licence, may_train=may_train)


def write_survey(participant: Participant) -> Written:
    """Write one person's survey."""
    if participant.survey:
        yield {"user_id": participant.person} | dict(participant.survey) | fields.columns(participant)
    else:
        yield LeftOut("the person answered no survey")


_LOSES = "Ratings, picks, attributes and open feedback; rankings, thumbs, edits and spans are left out."
FORMATS = (
    Format(
        "prism-conversations", "PRISM conversations",
        frozenset({"conversation_id", "user_id", "conversation_history"}), _LOSES,
        read=read_conversations, write_examples=write_conversations, whole_conversations=True,
        licence="CC-BY-NC-4.0",
    ),
    Format(
        "prism-utterances", "PRISM utterances",
        frozenset({"conversation_id", "user_id", "user_prompt", "model_response", "turn"}),
        "Ratings and picks only.",
        read=read_utterances, write_examples=write_utterances, whole_conversations=True,
        together="conversation_id", licence="CC-BY-NC-4.0",
    ),
    Format(
        "prism-survey", "PRISM survey", frozenset({"user_id", "self_description"}),
        "The survey's answers as they are.",
        read=read_survey, write_participant=write_survey, licence="CC-BY-4.0",
    ),
)  # fmt: skip

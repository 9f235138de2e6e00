"""Rows for tests of the chat and of feedback: conversations whose answers are complete."""

from __future__ import annotations

from typing import Any

import numpy as np

from alignapp.accounts.models import Person
from alignapp.chat.models import Conversation, Reply, Turn
from alignapp.instant.models import PersonalReward, ReplyStates
from personalization.steering.instant import MeanStates


def conversation_of(person: Person, **fields: Any) -> Conversation:
    """Return an empty conversation of this person."""
    return Conversation.objects.create(person=person, **fields)


def answered_turn(
    conversation: Conversation, *answers: str, text: str = "Hello", parent: Reply | None = None
) -> tuple[Turn, list[Reply]]:
    """Return a turn and its complete candidates, made by different makers, in the order shown."""
    turn = Turn.objects.create(conversation=conversation, text=text, parent=parent, blind=len(answers) > 1)
    makers = (Reply.Maker.SYSTEM_MESSAGE, Reply.Maker.BASE, Reply.Maker.SAMPLING, Reply.Maker.SAMPLING)
    replies = [
        Reply.objects.create(
            turn=turn,
            position=position,
            maker=makers[position % 4],
            status=Reply.Status.DONE,
            text=answer,
            system_message="Be brief." if position % 4 == 0 else "",
            interventions=[],
            sampling={"temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": 64, "seed": position},
        )
        for position, answer in enumerate(answers)
    ]
    return turn, replies


def reward_of(person: Person, *, useful: bool = True) -> PersonalReward:
    """Give a person a reward that tells which answers they like, or one that does not."""
    accuracy = {"value": 0.72, "n": 48, "low": 0.55 if useful else 0.45, "high": 0.85}
    summary = {"scale": 2.0, "accuracy": accuracy, "prompts": 8, "ratings": 32, "useful": useful}
    made, _ = PersonalReward.objects.update_or_create(
        person=person,
        defaults={
            "model_revision": "smol@1",
            "layers": [0, 1, 2],
            "weights": np.eye(3, 16, dtype="<f4").tobytes(),
            "summary": summary,
        },
    )
    return made


def states_of(replies: list[Reply], *, width: int = 16, revision: str = "smol@1") -> None:
    """Give answers states as a worker does; a taste for the first ones lies along the first axis."""
    generator = np.random.default_rng(0)
    for place, reply in enumerate(replies):
        means = generator.normal(size=(3, width)).astype(np.float32)
        means[:, 0] += 8.0 - 4.0 * place
        ReplyStates.keep(reply, revision, MeanStates((0, 1, 2), means, tokens=5))

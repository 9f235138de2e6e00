"""The messages that stand before an answer: what the model reads when it is served, and when it is trained.

Knows nothing of token budgets or chat templates. An edited or regenerated turn is
a branch: only the messages above it count.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from alignapp.chat.models import Reply, Turn
from personalization.records import Message


def path_to(turn: Turn) -> tuple[Message, ...]:
    """Return the messages up to and including this turn's own, oldest first. One query."""
    return Paths(Turn.objects.filter(conversation=turn.conversation_id).select_related("parent")).to(turn.id)


def messages_before(reply: Reply) -> list[Message]:
    """Return what the model reads before it writes this reply: the row's system message, then the path."""
    system = [Message("system", reply.system_message)] if reply.system_message.strip() else []
    return [*system, *path_to(reply.turn)]


class Paths:
    """The paths of many turns from rows loaded once; the turns need their `parent` selected."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        self._turns = {turn.id: turn for turn in turns}

    def to(self, turn_id: uuid.UUID) -> tuple[Message, ...]:
        """Return the messages up to and including this turn's own. Raises KeyError."""
        messages: list[Message] = []
        turn = self._turns[turn_id]
        while True:
            messages.append(Message("user", turn.text))
            if turn.parent is None:
                earlier = [Message(each["role"], each["content"]) for each in turn.earlier]
                return (*earlier, *reversed(messages))
            messages.append(Message("assistant", turn.parent.text))
            turn = self._turns[turn.parent.turn_id]

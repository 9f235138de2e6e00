"""One conversation as JSON lines: the conversation, its turns with replies, then what was said of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from alignapp.chat.models import Conversation, Reply
from alignapp.feedback.models import Feedback

_REPLY = (
    *("id", "position", "maker", "is_comparison", "status", "text", "error", "system_message"),
    *("interventions", "sampling", "model_revision", "finish_reason", "token_count", "first_token_ms"),
    *("duration_ms", "created_at", "finished_at", "profile_version_id", "alignment_version_id"),
)
_FEEDBACK = (
    *("id", "turn_id", "reply_id", "kind", "protocol", "score", "thumb", "ranking", "text", "shown"),
    *("blind", "profile_version_id", "duration_ms", "input_kind", "created_at"),
)


def lines(conversation: Conversation) -> Iterator[dict[str, Any]]:
    """Yield one dict per line; `record` says what it is. Ids are those of the rows."""
    yield {
        "record": "conversation",
        **{name: getattr(conversation, name) for name in ("id", "kind", "title", "created_at")},
        "personalised": conversation.personalised,
        "for_training": conversation.for_training,
    }
    replies: dict[Any, list[dict[str, Any]]] = {}
    for reply in Reply.objects.filter(turn__conversation=conversation).order_by("turn_id", "position"):
        replies.setdefault(reply.turn_id, []).append({name: getattr(reply, name) for name in _REPLY})
    for turn in conversation.turns.all():
        names = ("id", "parent_id", "earlier", "text", "chosen_id", "blind", "revealed_at", "created_at")
        shown = [_hidden(line) if turn.is_blind else line for line in replies.get(turn.id, [])]
        yield {"record": "turn", **{name: getattr(turn, name) for name in names}, "replies": shown}
    for act in Feedback.objects.filter(turn__conversation=conversation).select_related("turn"):
        line = {name: getattr(act, name) for name in _FEEDBACK}
        if act.turn.is_blind:
            line["shown"] = [{"reply": entry["reply"]} for entry in act.shown]
        yield {"record": "feedback", **line}


def _hidden(line: dict[str, Any]) -> dict[str, Any]:
    """Leave out what would tell the maker of a candidate that is still rated blind."""
    telling = {"maker", "system_message", "interventions", "sampling", "alignment_version_id"}
    return {name: value for name, value in line.items() if name not in telling}

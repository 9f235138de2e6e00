"""Open-Assistant's message trees: prompts with ranked replies, replies with further prompts.

Each prompt is read as an example with the assistant's replies to it; a tree's examples share `conversation`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personalization.exchange import fields
from personalization.exchange.neutral import RANKED, Act, Answer, Example, FormatError, Judgement
from personalization.exchange.preferences import ranks
from personalization.exchange.registry import Format, LeftOut, Written
from personalization.records import Message, Role

CROWD = "crowd"  # a tree holds one ranking, made of many people's
BUILT = ("text", "role", "replies", "rank", "parent_id")
_NAME: Mapping[Role, str] = {"user": "prompter", "assistant": "assistant"}
Node = dict[str, Any]


def read(rows: Sequence[Mapping[str, Any]]) -> Iterator[Example]:
    """Read one tree, a prompt before what follows from it."""
    [row] = rows
    root, tree = row.get("prompt"), fields.text(row, "message_tree_id")
    waiting: list[tuple[Any, tuple[Message, ...], str]] = [(root, (), "")]
    while waiting:
        node, context, parent = waiting.pop()
        if not isinstance(node, dict) or node.get("role") != "prompter":
            raise FormatError(
                "A tree begins with a prompter's message, and only those follow the assistant's."
            )
        messages = (*context, Message("user", fields.text(node, "text")))
        replies = node.get("replies") or []
        if any(not isinstance(reply, dict) or reply.get("role") != "assistant" for reply in replies):
            raise FormatError("Replies to a prompter have to be the assistant's.")
        answers = [Answer(fields.text(r, "text"), r.get("model_name") or "", extra=_kept(r)) for r in replies]
        extra = {"tree_state": row.get("tree_state", ""), "node": _kept(node), "parent_id": parent}
        yield fields.example(
            row, messages, answers, key=fields.text(node, "message_id"), judgements=tuple(_judged(replies)),
            conversation=tree, turn=len(messages) // 2, language=node.get("lang") or "", extra=extra,
        )  # fmt: skip
        for reply in reversed(replies):
            heard = (*messages, Message("assistant", reply["text"]))
            below = [(child, heard, fields.text(reply, "message_id")) for child in reply.get("replies") or []]
            waiting += reversed(below)


def _kept(node: Node) -> Node:
    return {name: value for name, value in node.items() if name not in BUILT}


def _judged(replies: Sequence[Node]) -> Iterator[Judgement]:
    places = defaultdict(list)
    for i, reply in enumerate(replies):
        if reply.get("rank") is not None:
            places[fields.whole(reply, "rank")].append(i)
    if places:
        ranking = tuple(tuple(places[rank]) for rank in sorted(places))
        yield Judgement(CROWD, (Act("ranking", protocol=RANKED, ranking=ranking),))


def write(examples: Sequence[Example]) -> Written:
    """Write a conversation's examples as one tree."""
    first = examples[0]
    if any(message.role == "system" for message in first.messages):
        yield LeftOut("a tree has no system message", len(examples))
        return
    nodes: dict[str, Node] = {}
    said: dict[tuple[str, ...], str] = {}  # the id of the assistant's message that ends a path
    root: Node | None = None
    for example in examples:
        path = tuple(message.content for message in example.messages)
        parent = str(example.extra.get("parent_id") or said.get(path[:-1], ""))
        if root is None:
            root, parent = _context(example, nodes)
        elif parent not in nodes:
            yield LeftOut("it does not follow from the tree's other messages")
            continue
        node = _node(example.key, example.messages[-1], example.extra.get("node", {}), example.language)
        if parent:
            node["parent_id"] = parent
            nodes[parent]["replies"].append(node)
        else:
            root = node
        for answer, reply in zip(example.answers, _replies(example, node["message_id"]), strict=True):
            node["replies"].append(reply)
            nodes[reply["message_id"]] = reply
            said[(*path, answer.text)] = reply["message_id"]
    state = first.extra.get("tree_state") or "ready_for_export"
    yield {"message_tree_id": first.conversation or first.key, "tree_state": state, "prompt": root} | {
        name: value for name, value in fields.columns(first).items() if name not in ("id", "person")
    }


def _context(example: Example, nodes: dict[str, Node]) -> tuple[Node, str]:
    """Make nodes of what was said before the first example; return the root and the last one's id."""
    root: Node = {}
    parent = ""
    for i, message in enumerate(example.messages[:-1]):
        node = _node(f"{example.key}-{i}", message, {}, example.language)
        nodes[node["message_id"]] = node
        if parent:
            node["parent_id"] = parent
            nodes[parent]["replies"].append(node)
        root, parent = root or node, node["message_id"]
    return root, parent


def _node(key: str, message: Message, kept: Mapping[str, Any], language: str) -> Node:
    made = {"message_id": key, "text": message.content, "role": _NAME[message.role], "lang": language or "en",
            "review_count": 0, "review_result": True, "deleted": False, "synthetic": False}  # fmt: skip
    return made | dict(kept) | {"replies": []}


def _replies(example: Example, parent: str) -> Iterator[Node]:
    """Yield the answers as nodes; of several people's rankings the mean counts."""
    places: dict[int, list[int]] = defaultdict(list)
    for judgement in example.judgements:
        for i, place in ranks(example, judgement).items():
            places[i].append(place)
    means = {i: sum(of) / len(of) for i, of in places.items()}
    for i, answer in enumerate(example.answers):
        node = _node(f"{example.key}-a{i}", Message("assistant", answer.text), answer.extra, example.language)
        node["parent_id"] = parent
        if answer.maker:
            node |= {"model_name": answer.maker, "synthetic": True}
        if i in means:
            node["rank"] = sum(mean < means[i] for mean in means.values())
        yield node


FORMATS = (
    Format(
        "oasst", "Open-Assistant trees", frozenset({"message_tree_id", "prompt"}),
        "One ranking for each prompt: the mean of several people's; ratings become ranks.",
        read=read, write_examples=write, whole_conversations=True, licence="Apache-2.0",
    ),
)  # fmt: skip

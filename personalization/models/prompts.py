"""Chats as token ids, in the model's own chat template, with text that can never act as a control token.

Knows nothing of people or budgets. A second tokenizer is built from the model's: the same, except
that every control token has a secret name. The template's control tokens are written with their
secret names and a person's text as it is, so that `<|im_end|>` in a text is ordinary characters,
while harmless text is encoded exactly as the plain template would be. (`split_special_tokens` does
not do: it switches a flag of the shared tokenizer, so two threads could undo each other.) Limit: a
template whose roles are marked by plain words (Llama 2's `[INST]`) can still be imitated in words.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError
from tokenizers import Tokenizer as Backend
from transformers import PreTrainedTokenizerBase as Tokenizer

from personalization.errors import ModelError
from personalization.models.base import BaseModel
from personalization.records import Message

_EDGE = "\t\n"  # around each placeholder: gone when the template strips the text
_Piece = tuple[str, bool]  # a text, and whether it is a person's


def encode_chat(base: BaseModel, messages: Sequence[Message]) -> list[int]:
    """Return the ids of a chat that the assistant is to answer: it ends with the generation prompt.

    A system message is folded into the first user message where the template knows no such role.
    Raises ModelError when the template cannot hold these roles in this order, or there is none.
    """
    return _encoder(base.tokenizer).chat(messages)


def encode_text(base: BaseModel, text: str) -> list[int]:
    """Return the ids of a text in which nothing is a control token."""
    return _encoder(base.tokenizer).encode([(text, True)])


def encode_completion(base: BaseModel, text: str) -> list[int]:
    """Return the ids of an answer, ending with the end of turn."""
    return [*encode_text(base, text), base.end_of_turn]


class _Encoder:
    """A tokenizer whose control tokens have secret names. Safe to use from many threads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ModelError("This model's tokenizer has no tokenizer.json; convert it to a fast one.")
        self._tokenizer = tokenizer
        self._secret = secrets.token_hex(12)
        # Runs of spaces are added tokens of some models without any control meaning.
        control = {t.content: i for i, t in tokenizer.added_tokens_decoder.items() if t.content.strip()}
        self._renamed = {name: f"{name}{self._secret}" for name in control}
        longest_first = sorted(control, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._placeholder = re.compile(rf"({_EDGE})?{self._secret}(\d+)x({_EDGE})?")
        self._backend = Backend.from_str(json.dumps(self._rename(json.loads(backend.to_str()))))
        self._secret_ids = {name: self._backend.token_to_id(new) for name, new in self._renamed.items()}
        self._ids = {self._secret_ids[name]: i for name, i in control.items()}

    def _rename(self, spec: dict[str, Any]) -> dict[str, Any]:
        model, renamed = spec["model"], self._renamed
        for token in spec["added_tokens"]:
            token["content"] = renamed.get(token["content"], token["content"])
        # Without this a Unigram model could still find "<s>" in a text.
        if isinstance(model["vocab"], dict):
            model["vocab"] = {renamed.get(token, token): i for token, i in model["vocab"].items()}
        else:
            model["vocab"] = [[renamed.get(token, token), score] for token, score in model["vocab"]]
        if isinstance(unknown := model.get("unk_token"), str):
            model["unk_token"] = renamed.get(unknown, unknown)
        return {**spec, "truncation": None, "padding": None, "post_processor": None}

    def chat(self, messages: Sequence[Message]) -> list[int]:
        """Encode a chat with the template's generation prompt."""
        pieces = self._render(messages) or self._render(_folded(messages))
        if pieces is None:
            roles = ", ".join(m.role for m in messages) or "none"
            raise ModelError(f"This model's chat template cannot hold messages of these roles: {roles}.")
        return self.encode(pieces)

    def _render(self, messages: Sequence[Message]) -> list[_Piece] | None:
        """Return the rendered chat in pieces; None when the template refuses or drops a message."""
        if not self._tokenizer.chat_template:
            raise ModelError("This model has no chat template; use an instruction-tuned model.")
        marks = [f"{_EDGE}{self._secret}{i}x{_EDGE}" for i in range(len(messages))]
        chat = [{"role": m.role, "content": mark} for m, mark in zip(messages, marks, strict=True)]
        try:
            text = str(self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
        except (TemplateError, ValueError):  # a role or an order that it refuses; no message at all
            return None
        pieces: list[_Piece] = []
        end, seen = 0, set()
        for found in self._placeholder.finditer(text):
            content = messages[int(found[2])].content
            content = content if found[1] else content.lstrip()
            content = content if found[3] else content.rstrip()
            pieces += [(text[end : found.start()], False), (content, True)]
            end = found.end()
            seen.add(int(found[2]))
        return [*pieces, (text[end:], False)] if len(seen) == len(messages) else None

    def encode(self, pieces: Sequence[_Piece]) -> list[int]:
        """Encode pieces as one text; only the template's pieces may hold control tokens."""
        texts: list[str] = []
        expected: list[int | None] = []
        owner: list[bool] = []  # for each character: is it a person's?
        for text, is_persons in pieces:
            if is_persons:
                text = text.encode("utf-8", "replace").decode()  # a lone surrogate cannot be encoded
            else:
                expected += [self._secret_ids[name] for name in self._control.findall(text)]
                text = self._control.sub(lambda found: self._renamed[found[0]], text)
            texts.append(text)
            owner += [is_persons] * len(text)
        encoding = self._backend.encode("".join(texts), add_special_tokens=False)
        ids = [self._ids.get(i, i) for i in encoding.ids]
        if [i for i in encoding.ids if i in self._ids] == expected:
            return ids
        # A character that the vocabulary lacks became the "unknown" token, which is a control token.
        starts = [start for start, _ in encoding.offsets]
        return [
            i
            for i, made, start in zip(ids, encoding.ids, starts, strict=True)
            if not (made in self._ids and owner[start])
        ]


@lru_cache(maxsize=4)
def _encoder(tokenizer: Tokenizer) -> _Encoder:
    return _Encoder(tokenizer)


def _folded(messages: Sequence[Message]) -> list[Message]:
    """Put the system messages at the head of the first other message."""
    system = [m.content for m in messages if m.role == "system"]
    rest = [m for m in messages if m.role != "system"]
    if not system or not rest:
        return list(messages)
    return [Message(rest[0].role, "\n\n".join([*system, rest[0].content])), *rest[1:]]

"""Token ids to text, piece by piece, in whole characters only.

Knows nothing of models. A character may be spread over several tokens (byte-level vocabularies):
its text is held back until the last of them. Control tokens give no text, and bytes that are no
character at all are left out, so U+FFFD never reaches a person. NUL is left out as well: no text field
of PostgreSQL holds it.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from transformers import PreTrainedTokenizerBase as Tokenizer

BROKEN = "\ufffd"
_LEFT_OUT = str.maketrans("", "", f"{BROKEN}\0")
# The longest character has 4 bytes, so what is still broken after so many tokens is no character.
_LONGEST_WAIT = 6


class Detokeniser:
    """The text of one growing answer."""

    def __init__(self, tokenizer: Tokenizer, special_ids: AbstractSet[int]) -> None:
        self._tokenizer = tokenizer
        self._special = special_ids
        self._ids: list[int] = []
        # Decoding starts a little before what is new: some tokenizers treat a text's first token specially.
        self._context = self._sent = 0
        self.text = ""

    def add(self, token: int) -> str:
        """Return the text that became certain with this token; often a word, sometimes nothing."""
        if token in self._special:
            return ""
        self._ids.append(token)
        return self._advance(wait=len(self._ids) - self._sent < _LONGEST_WAIT)

    def finish(self) -> str:
        """Return what was still held back, without half a character."""
        return self._advance(wait=False)

    def _advance(self, *, wait: bool) -> str:
        before = self._decode(self._ids[self._context : self._sent])
        after = self._decode(self._ids[self._context :])
        if wait and after.endswith(BROKEN):
            return ""
        self._context, self._sent = self._sent, len(self._ids)
        new = after[len(before) :].translate(_LEFT_OUT)
        self.text += new
        return new

    def _decode(self, ids: list[int]) -> str:
        # The tokenizer's own decode may tidy spaces up, and then texts would not add up.
        return str(self._tokenizer.decode(ids, clean_up_tokenization_spaces=False))

"""A conversation as a tree: which turns stand on the page, and which branches there are.

Knows nothing of queries: it is built from the rows of one conversation.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable

from alignapp.chat.models import Turn


class Tree:
    """All turns of one conversation. A turn's siblings share its parent reply (none for a first message)."""

    def __init__(self, turns: Iterable[Turn], turn_of_reply: dict[uuid.UUID, uuid.UUID]) -> None:
        self.turns = sorted(turns, key=lambda turn: (turn.created_at, str(turn.id)))
        self._by_id = {turn.id: turn for turn in self.turns}
        self._turn_of_reply = turn_of_reply
        self._below: dict[uuid.UUID | None, list[Turn]] = defaultdict(list)  # turn above -> turns
        for turn in self.turns:
            self._below[self._above_id(turn)].append(turn)

    def _above_id(self, turn: Turn) -> uuid.UUID | None:
        return self._turn_of_reply[turn.parent_id] if turn.parent_id else None

    def siblings(self, turn: Turn) -> list[Turn]:
        """Return the branches at this place, oldest first, this turn among them."""
        return [other for other in self._below[self._above_id(turn)] if other.parent_id == turn.parent_id]

    def path(self, at: uuid.UUID | None = None) -> list[Turn]:
        """Return the turns of one branch, first to last: through `at`, or the branch written to last.

        Below `at` the branch goes on with the newest turn under the chosen reply. Raises KeyError.
        """
        if not self.turns:
            return []
        turn = self._by_id[at] if at else self.turns[-1]
        path = [turn]
        while (above := self._above_id(path[0])) is not None:
            path.insert(0, self._by_id[above])
        while below := self._below[path[-1].id]:
            under_chosen = [t for t in below if t.parent_id == path[-1].chosen_id]
            path.append((under_chosen or below)[-1])
        return path

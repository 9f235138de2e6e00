"""The safety gate's questions about an artifact, put to the base model of this process.

Knows nothing of batches: whoever owns the model says when a few questions may be asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

from personalization.margins import Margins
from personalization.models.base import BaseModel
from personalization.models.interventions import Interventions, Row
from personalization.safety.gate import ROUNDS, Gate, judged
from personalization.safety.openings import Leaning, Reading, Requests

# Does something short with the model when nobody else does, and returns its result.
Run = Callable[[Callable[[], list[Leaning]]], list[Leaning]]


class Gating:
    """Judges one artifact at a time; the base model alone is measured once."""

    def __init__(self, base: BaseModel, run: Run) -> None:
        self._base, self._run = base, run
        self._asking, self._gating = Interventions(base), threading.Lock()
        self._plain: dict[int, list[Leaning]] = {}  # by round

    def gate(self, row: Row, tick: Callable[[], None], margins: Margins | None = None) -> Gate:
        """Return what a row does to refusals. `tick` is called after every few requests."""
        with self._gating:
            try:
                return judged(
                    lambda number: self._plain_leanings(number, tick),
                    lambda number: self._leanings(row, number, tick),
                    margins,
                )
            finally:
                self._asking.remove()  # what was judged may be deleted

    def check(self, row: Row) -> None:
        """Raise ModelError when what a row carries does not fit the model."""
        self._asking.check(row)

    def _plain_leanings(self, number: int, tick: Callable[[], None]) -> list[Leaning]:
        if number not in self._plain:
            self._plain[number] = self._leanings(Row(), number, tick)
        return self._plain[number]

    def _leanings(self, row: Row, number: int, tick: Callable[[], None]) -> list[Leaning]:
        """Return how answers to one round of requests begin."""
        requests = Requests(self._base, ROUNDS[number])
        reading, found = requests.begin(), []
        for batch in requests.batches:
            found.append(self._run(partial(self._ask, row, reading, batch)))
            tick()
        return requests.in_order(found)

    def _ask(self, row: Row, reading: Reading, batch: Sequence[int]) -> list[Leaning]:
        with self._asking.everywhere(row):
            return reading.ask(batch)

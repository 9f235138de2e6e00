"""The 120 items of the IPIP-NEO-120: text as shown, facet, and direction.

Knows nothing of answers. The items are in the public domain (Johnson 2014, ipip.ori.org); their texts
come from the package `FFM`, their direction from `five-factor-e`; a test holds both against a third key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from FFM.core import Qs
from ipipneo.reverse import IPIP_NEO_ITEMS_REVERSED_120

ITEM_COUNT = 120
DOMAINS = ("N", "E", "O", "A", "C")  # in the order in which the items ask for them
ANSWERS = {
    1: "Strongly disagree",
    2: "Disagree",
    3: "Neither",
    4: "Agree",
    5: "Strongly agree",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One statement. `sign` is 1 when agreement raises its facet and -1 when it lowers it."""

    number: int
    text: str
    facet: str
    sign: int

    @property
    def domain(self) -> str:
        """The domain's letter."""
        return self.facet[0]

    def keyed(self, agreement: int) -> int:
        """Turn agreement with the statement as worded, 1 to 5, into points for the facet, and back."""
        return agreement if self.sign > 0 else 6 - agreement


@cache
def items() -> tuple[Item, ...]:
    """Return the items in the order in which they are asked, numbered from 1."""
    minus = frozenset(IPIP_NEO_ITEMS_REVERSED_120)
    return tuple(
        Item(number, text, _facet_of(number), -1 if number in minus else 1)
        for number, text in enumerate(Qs, start=1)
    )


@cache
def facets() -> tuple[str, ...]:
    """Return the 30 facet keys: N1 to N6, E1 to E6, O1, ..., C6."""
    return tuple(f"{domain}{number}" for domain in DOMAINS for number in range(1, 7))


def page(number: int, *, size: int = 10) -> tuple[Item, ...]:
    """Return one page of items; pages count from 1."""
    return items()[(number - 1) * size : number * size]


def _facet_of(number: int) -> str:
    """The items go round: the first of each domain's six facets, then the second, four times over."""
    place = (number - 1) % 30
    return f"{DOMAINS[place % 5]}{place // 5 + 1}"

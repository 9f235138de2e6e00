"""Long lists, newest first, a page at a time: each page costs the same, however far down it is.

A page is found by the last row of the one before (keyset), and only the first thousand rows are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.http import QueryDict

PER_PAGE = 50
COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of rows; `next_query` is the address of the next one, empty on the last."""

    rows: list[Any]
    next_query: str
    count: int
    is_first: bool

    @property
    def is_counted(self) -> bool:
        """Whether `count` is exact; otherwise there are more."""
        return self.count <= COUNTED


def listing(
    rows: models.QuerySet[Any], query: QueryDict, *, by: str = "created_at", per_page: int = PER_PAGE
) -> Listing:
    """Return the page that the query's `before` asks for; one that is not understood is the first."""
    cursor = query.get("before", "")
    ordered = rows.order_by(f"-{by}") if by in ("pk", "id") else rows.order_by(f"-{by}", "-pk")
    here = ordered
    if cursor:
        try:
            here = ordered.filter(_before(rows.model, cursor, by))
        except (ValueError, ValidationError):
            cursor = ""
    found = list(here[: per_page + 1])
    page, more = found[:per_page], len(found) > per_page
    following = ""
    if more:
        link = query.copy()
        link["before"] = _cursor(page[-1], by)
        following = link.urlencode()
    count = rows.order_by().values("pk")[: COUNTED + 1].count()
    return Listing(page, following, count, is_first=not cursor)


def by_id(text: str) -> Q:
    """Return the condition for a whole id or its beginning. Raises ValueError for what is no id."""
    digits = text.strip().replace("-", "").lower()
    if not digits or len(digits) > 32:
        raise ValueError("not an id")
    return Q(pk__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))


def _cursor(row: models.Model, by: str) -> str:
    return str(row.pk) if by in ("pk", "id") else f"{getattr(row, by).isoformat()}~{row.pk}"


def _before(model: type[models.Model], cursor: str, by: str) -> Q:
    to_key: Callable[[Any], Any] = model._meta.pk.to_python
    if by in ("pk", "id"):
        return Q(pk__lt=to_key(cursor))
    at, _, pk = cursor.partition("~")
    field = model._meta.get_field(by)
    assert isinstance(field, models.Field)
    value = field.to_python(at)
    return Q(**{f"{by}__lt": value}) | Q(**{by: value, "pk__lt": to_key(pk)})

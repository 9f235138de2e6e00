"""Many rows into one table: COPY where the database has it, one prepared statement elsewhere.

Makes no instances and sends no signals; the database's constraints hold as ever. Knows nothing of what the
rows mean.
"""

from __future__ import annotations

import itertools
import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from django.db import connection, models

if TYPE_CHECKING:
    from psycopg import Cursor


def ordered_ids() -> Iterator[str]:
    """Yield ids that grow, as text (UUID version 7, RFC 9562).

    Whatever has an index of them appends to it; ids by chance would touch all of a large one.
    """
    begin = time.time_ns() // 1_000_000
    for number in itertools.count():
        at = f"{begin + (number >> 12):012x}"
        tail = f"{secrets.randbits(62) | 1 << 63:016x}"
        yield f"{at[:8]}-{at[8:]}-7{number & 0xFFF:03x}-{tail[:4]}-{tail[4:]}"


def insert(
    model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]], **same: Any
) -> None:
    """Insert rows of values, in the order of the columns' `names`; `same` holds those that all rows share.

    Every other column gets the model's default, so that ids and times have to be given. Ids are text.
    Raises django.db.Error as a save would.
    """
    table = model._meta
    named = [cast("models.Field[Any, Any]", table.get_field(name)) for name in names]
    others = [one for one in table.concrete_fields if one.attname not in names]
    shared = [_kept(one)(same.pop(one.attname, one.get_default())) for one in others]
    if same:
        raise TypeError(f"{table.label} has no columns {', '.join(same)}, or they differ by row.")
    kept = [_kept(one) for one in named]
    ready = [[*(keep(value) for keep, value in zip(kept, row, strict=True)), *shared] for row in rows]
    columns = ", ".join(connection.ops.quote_name(str(one.column)) for one in (*named, *others))
    _write(f"{connection.ops.quote_name(table.db_table)} ({columns})", ready)


def tell_sizes(*tables: type[models.Model]) -> None:
    """Let PostgreSQL know of many new rows now; until it looks itself it may read whole tables for a few."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for one in tables:
                cursor.execute(f"ANALYZE {connection.ops.quote_name(one._meta.db_table)}")


def _write(place: str, rows: list[list[Any]]) -> None:
    """Insert rows that are as the database keeps them; `place` is a table with its columns."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            copying = cast("Cursor", cursor).copy(f"COPY {place} FROM STDIN")
            with connection.wrap_database_errors, copying as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            values = ", ".join(["%s"] * len(rows[0]))
            cursor.executemany(f"INSERT INTO {place} VALUES ({values})", rows)  # noqa: S608 - names of columns


def _kept(column: models.Field[Any, Any]) -> Callable[[Any], Any]:
    """Return what brings a column's value into the shape that the database keeps."""
    field = column.target_field if column.is_relation else column  # type: ignore[attr-defined]
    if isinstance(field, models.JSONField):
        return lambda value: None if value is None else json.dumps(value, cls=field.encoder)
    if isinstance(field, models.DateTimeField):
        return connection.ops.adapt_datetimefield_value
    if isinstance(field, models.UUIDField) and not connection.features.has_native_uuid_field:
        return lambda value: value and str(value).replace("-", "")
    return _itself


def _itself(value: Any) -> Any:
    return value

"""Column types, and the JSON text, that mean the same on PostgreSQL and SQLite."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A moment, stored in UTC with microseconds and always aware. A naive moment is refused, because its zone is unknown."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: in UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            msg = f"{value!r} has no time zone"
            raise ValueError(msg)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database: aware, in UTC."""
        del dialect
        if value is None:
            return None
        # SQLite has no time zones: a naive result was stored in UTC
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def name_type() -> sa.types.TypeEngine[str]:
    """Text that compares in code-point order, independent of the collation of the database (SQLite's BINARY already does)."""
    return sa.String().with_variant(sa.String(collation="C"), "postgresql")


def json_type() -> sa.types.TypeEngine[Any]:
    """Real JSON; None is SQL's NULL, not JSON's."""
    return sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def dump_json(value: object) -> str:
    """Compact JSON, with letters not escaped, that reads back as equal values of the same types from both databases.

    PostgreSQL keeps numbers of JSONB as decimals and writes them without exponent, so that ``1e+16`` would come back as a
    whole number: large floats are written out with their ``.0``, which it keeps.

    Raises:
        TypeError: A value that JSON cannot represent, including a key that is not text.
        ValueError: NaN or an infinity.
    """
    if isinstance(value, dict):
        return "{" + ",".join(f"{_key(key)}:{dump_json(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(dump_json, value)) + "]"
    if isinstance(value, float):
        return _float(value)
    return json.dumps(value, ensure_ascii=False)


def _key(key: object) -> str:
    if not isinstance(key, str):
        msg = f"a JSON key must be text, not {type(key).__name__}"
        raise TypeError(msg)
    return json.dumps(key, ensure_ascii=False)


def _float(value: float) -> str:
    if not math.isfinite(value):
        msg = f"JSON has no number {value}"
        raise ValueError(msg)
    text = float.__repr__(value)
    return f"{Decimal(text):f}.0" if "e+" in text else text

"""Column and parameter types that mean the same on both engines."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Integer,
    Numeric,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine

from bulonera_sync.money import EXACT

BigId = BigInteger().with_variant(Integer, "sqlite")

_AMOUNT_DIGITS = 32


def _is_sqlite(dialect: Dialect) -> bool:
    return dialect.name == "sqlite"


class Scaled(TypeDecorator[Decimal]):
    """An exact number of fixed decimals: NUMERIC, or a scaled integer on SQLite.

    SQLite's own Numeric silently stores floats. Up to 12 digits fit 64 bits at any scale of ours.
    """

    impl = Numeric
    cache_ok = True

    def __init__(self, places: int) -> None:
        super().__init__(precision=12 + places, scale=places)
        self.places = places

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if _is_sqlite(dialect):
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(12 + self.places, self.places))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        scaled = _scaled(value, self.places)
        return scaled if _is_sqlite(dialect) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None or not _is_sqlite(dialect):
            return value  # type: ignore[no-any-return]
        return Decimal(value).scaleb(-self.places)


class Amount(TypeDecorator[Decimal]):
    """What a sale comes to, to the cent: NUMERIC, or zero-padded cents as text on SQLite.

    500 lines of 12-digit quantities and prices overflow 64 bits; padded text still sorts.
    """

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if _is_sqlite(dialect):
            return dialect.type_descriptor(String(_AMOUNT_DIGITS))
        return dialect.type_descriptor(Numeric(_AMOUNT_DIGITS, 2))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        scaled = _scaled(value, 2)
        return f"{scaled:0{_AMOUNT_DIGITS}d}" if _is_sqlite(dialect) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None or not _is_sqlite(dialect):
            return value  # type: ignore[no-any-return]
        return Decimal(f"{value[:-2]}.{value[-2:]}")


def _scaled(value: Decimal, places: int) -> int:
    """Return the number as an integer of its last decimals; nothing is ever rounded on the way."""
    if not isinstance(value, Decimal):
        raise TypeError(f"money is Decimal, not {type(value).__name__}")
    scaled = value.scaleb(places, EXACT)
    if scaled != int(scaled):
        raise ValueError(f"{value} has more than {places} decimals")
    return int(scaled)


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out: TIMESTAMPTZ, or sortable ISO 8601 text on SQLite."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind = String(27) if _is_sqlite(dialect) else DateTime(timezone=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("a stored time needs its offset")
        utc = value.astimezone(UTC)
        if not _is_sqlite(dialect):
            return utc
        # isoformat, since strftime("%Y") drops the zeros of early years.
        return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return datetime.fromisoformat(value) if _is_sqlite(dialect) else value.astimezone(UTC)


class Flag(TypeDecorator[bool]):
    """A bool that comes back as one."""

    impl = Boolean
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


class _ListOf(TypeDecorator[Sequence[Any]]):
    """A whole list as one parameter: an array, or its JSON text for json_each on SQLite."""

    impl = Text
    cache_ok = True
    element: TypeEngine[Any]

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind = Text() if _is_sqlite(dialect) else ARRAY(self.element)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return json.dumps(list(value)) if _is_sqlite(dialect) else list(value)


class IdList(_ListOf):
    cache_ok = True
    element = BigInteger()


class TextList(_ListOf):
    cache_ok = True
    element = Text()

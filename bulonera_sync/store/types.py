"""Column and parameter types that mean the same on both engines."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache, partial
from typing import Any, TypeVar

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

T = TypeVar("T")
Convert = Callable[[Any], Any]


def _is_sqlite(dialect: Dialect) -> bool:
    return dialect.name == "sqlite"


class OurType(TypeDecorator[T]):
    """A type whose values are converted on their way, by a function that each engine has.

    None crosses as it is. A statement that is run a thousand times asks for the function once.
    """

    def binder(self, dialect: Dialect) -> Convert | None:
        """Return what makes the driver's value of ours; None where it takes ours."""
        raise NotImplementedError

    def reader(self, dialect: Dialect) -> Convert | None:
        """Return what makes our value of the driver's; None where they are the same."""
        raise NotImplementedError

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        convert = self.binder(dialect)
        return value if value is None or convert is None else convert(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        convert = self.reader(dialect)
        return value if value is None or convert is None else convert(value)


class Scaled(OurType[Decimal]):
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

    def binder(self, dialect: Dialect) -> Convert:
        return _scaling(self.places) if _is_sqlite(dialect) else partial(_checked, self.places)

    def reader(self, dialect: Dialect) -> Convert | None:
        return _unscaling(self.places) if _is_sqlite(dialect) else None


class Amount(OurType[Decimal]):
    """What a sale comes to, to the cent: NUMERIC, or zero-padded cents as text on SQLite.

    500 lines of 12-digit quantities and prices overflow 64 bits; padded text still sorts.
    """

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if _is_sqlite(dialect):
            return dialect.type_descriptor(String(_AMOUNT_DIGITS))
        return dialect.type_descriptor(Numeric(_AMOUNT_DIGITS, 2))

    def binder(self, dialect: Dialect) -> Convert:
        return _padded_cents if _is_sqlite(dialect) else partial(_checked, 2)

    def reader(self, dialect: Dialect) -> Convert | None:
        return _amount_of_cents if _is_sqlite(dialect) else None


# Of a shop's prices, quantities and taxes the same few come with every sale. Typed, since 2 and
# 2.0 would be found under Decimal(2), and never refused.
@cache
def _scaling(places: int) -> Callable[[Decimal], int]:
    """Return what makes a number an integer of its last decimals; nothing is ever rounded."""

    @lru_cache(maxsize=8_192, typed=True)
    def scaled(value: Decimal) -> int:
        if not isinstance(value, Decimal):
            raise TypeError(f"money is Decimal, not {type(value).__name__}")
        exact = value.scaleb(places, EXACT)
        whole = int(exact)
        if exact != whole:
            raise ValueError(f"{value} has more than {places} decimals")
        return whole

    return scaled


def _checked(places: int, value: Decimal) -> Decimal:
    """Return the number itself, which Postgres would round in silence."""
    _scaling(places)(value)
    return value


@cache
def _unscaling(places: int) -> Callable[[int], Decimal]:
    """Return what makes a number of `_scaling`'s integer."""

    @lru_cache(maxsize=8_192)
    def unscaled(value: int) -> Decimal:
        return Decimal(value).scaleb(-places)

    return unscaled


_cents = _scaling(2)


def _padded_cents(value: Decimal) -> str:
    return f"{_cents(value):0{_AMOUNT_DIGITS}d}"


def _amount_of_cents(text: str) -> Decimal:
    return Decimal(f"{text[:-2]}.{text[-2:]}")


class UtcTime(OurType[datetime]):
    """Aware UTC in, aware UTC out: TIMESTAMPTZ, or sortable ISO 8601 text on SQLite."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind = String(27) if _is_sqlite(dialect) else DateTime(timezone=True)
        return dialect.type_descriptor(kind)

    def binder(self, dialect: Dialect) -> Convert:
        return _utc_text if _is_sqlite(dialect) else _utc

    def reader(self, dialect: Dialect) -> Convert | None:
        return datetime.fromisoformat if _is_sqlite(dialect) else None


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise TypeError("a stored time needs its offset")
    return value.astimezone(UTC)


# A batch is written with one time, in five columns a sale.
@lru_cache(maxsize=256)
def _utc_text(value: datetime) -> str:
    # isoformat, since strftime("%Y") drops the zeros of early years.
    return _utc(value).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class Flag(OurType[bool]):
    """A bool that comes back as one."""

    impl = Boolean
    cache_ok = True

    def binder(self, dialect: Dialect) -> None:
        return None

    def reader(self, dialect: Dialect) -> Convert | None:
        return bool if _is_sqlite(dialect) else None


class _ListOf(OurType[Sequence[Any]]):
    """A whole list as one parameter: an array, or its JSON text for json_each on SQLite."""

    impl = Text
    cache_ok = True
    element: TypeEngine[Any]

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind = Text() if _is_sqlite(dialect) else ARRAY(self.element)
        return dialect.type_descriptor(kind)

    def binder(self, dialect: Dialect) -> Convert:
        return _json_list if _is_sqlite(dialect) else list

    def reader(self, dialect: Dialect) -> None:
        return None


def _json_list(values: Sequence[Any]) -> str:
    return json.dumps(list(values))


class IdList(_ListOf):
    cache_ok = True
    element = BigInteger()


class TextList(_ListOf):
    cache_ok = True
    element = Text()


class RowList(OurType[Sequence[tuple[Any, ...]]]):
    """Rows gathered into one value, of columns of these kinds: records, or JSON on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, *kinds: TypeEngine[Any]) -> None:
        super().__init__()
        self.kinds = kinds

    def binder(self, dialect: Dialect) -> None:
        return None

    def reader(self, dialect: Dialect) -> Convert | None:
        if not _is_sqlite(dialect):
            return None
        readers = [
            (place, convert)
            for place, kind in enumerate(self.kinds)
            if isinstance(kind, OurType) and (convert := kind.reader(dialect)) is not None
        ]
        return partial(_rows_of_json, readers)


def _rows_of_json(readers: Sequence[tuple[int, Convert]], text: str) -> list[tuple[Any, ...]]:
    rows: list[list[Any]] = json.loads(text)
    for row in rows:
        convert_each(readers, row)
    return [tuple(row) for row in rows]


def convert_each(readers: Sequence[tuple[int, Convert]], values: list[Any]) -> None:
    """Make our values of the driver's, in their places; one that can't be stays as it stands.

    So whoever knows what a damaged value means can tell it; see `sale_rows`.
    """
    for place, convert in readers:
        value = values[place]
        if value is not None:
            try:
                values[place] = convert(value)
            except (ValueError, TypeError, ArithmeticError):
                continue

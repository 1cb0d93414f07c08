"""Rows on their way into Postgres: those of several tables in one statement, many by COPY.

A table at a time is a round trip each, and a row at a time a statement each: for an upload of one
sale, either takes longer than writing its rows does.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from bulonera_sync.errors import StatementRefusedError
from bulonera_sync.store.dialect import POSTGRES
from bulonera_sync.store.postgres_errors import told_apart
from bulonera_sync.store.statements import Insert

if TYPE_CHECKING:
    from bulonera_sync.store.postgres import Connection

# From so many rows on, of all tables, the round trips of COPY are worth what it saves a row. And a
# statement is prepared for each number of rows that it takes: up to here they are few.
ENOUGH_TO_COPY = 20

# What asyncpg says of a value that it can't encode, where it does not say DataError.
_UNENCODABLE = (TypeError, ValueError, ArithmeticError)


class WaitingRows:
    """Rows that are written together, table by table in the order in which the first came."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._rows: dict[Insert, list[list[Any]]] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, statement: Insert, rows: Sequence[Sequence[Any]]) -> None:
        bound = map(statement.for_dialect(POSTGRES).bind_row, rows)
        self._rows.setdefault(statement, []).extend(bound)

    def forget(self) -> None:
        self._rows = {}

    async def write(self) -> None:
        """Write them all; raises as a session does."""
        waiting, self._rows = self._rows, {}
        if sum(map(len, waiting.values())) < ENOUGH_TO_COPY:
            await self._insert(waiting)
            return
        for statement, rows in waiting.items():
            await self._copy(statement, rows)

    async def _insert(self, waiting: dict[Insert, list[list[Any]]]) -> None:
        text = _insertion(*((statement, len(rows)) for statement, rows in waiting.items()))
        values = chain.from_iterable(row for rows in waiting.values() for row in rows)
        with told_apart():
            await self._connection.execute(text, *values)

    async def _copy(self, statement: Insert, rows: list[list[Any]]) -> None:
        try:
            with told_apart():
                await self._connection.copy_records_to_table(
                    statement.table, columns=statement.columns, records=rows
                )
        except _UNENCODABLE as error:
            raise StatementRefusedError(str(error)) from error


@lru_cache(maxsize=256)
def _insertion(*parts: tuple[Insert, int]) -> str:
    """Return one statement that inserts so many rows into each of these tables.

    Foreign keys are checked at its end, when the rows of all of them are there.
    """
    places = count(1)
    *first, last = [_values(statement, rows, places) for statement, rows in parts]
    if not first:
        return last
    named = ", ".join(f"into_{place} AS ({each})" for place, each in enumerate(first))
    return f"WITH {named} {last}"


def _values(statement: Insert, rows: int, places: Iterator[int]) -> str:
    # No casts: a parameter has its column's type, and what the column refuses is not cut to fit.
    one = (", ".join(f"${next(places)}" for _ in statement.columns) for _ in range(rows))
    names = ", ".join(statement.columns)
    return f"INSERT INTO {statement.table} ({names}) VALUES ({'), ('.join(one)})"  # noqa: S608

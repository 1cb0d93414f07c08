"""The engines without a gateway: the same rows by the raw driver, with the same durability."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import asyncpg

from bulonera_sync.cli.serve import _loop_factory
from bulonera_sync.store.postgres import SERVER_SETTINGS
from bulonera_sync.store.sqlite import connect

# What an accepted sale is written to.
TABLES = ("sales", "sale_items", "events")
# What a transaction writes beside, however many sales it has: the last id, the last number, and
# when the user came last.
BESIDE = (
    "UPDATE counters SET value = value + 1",
    "UPDATE users SET last_upload_at = last_upload_at",
)

_LAST = "SELECT * FROM {table} WHERE {key} = (SELECT max(id) FROM sales)"
_COMMIT = "UPDATE counters SET value = value + 1 WHERE name = 'sale id'"
_HIGHEST = "SELECT max(id) FROM {table}"

Rows = list[Any]


class Bare(Protocol):
    """One connection to a database of the gateway's, filled like it."""

    def commit(self) -> float:
        """Return the seconds of the smallest transaction: one row of one table."""
        ...

    def insert(self, sales: int) -> float:
        """Return the seconds of a transaction that writes so many sales with their rows.

        It writes what the gateway's own would, counters and the user's row too.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class _Copies:
    """Copies of a sale's rows, renumbered; made before the clock runs."""

    def __init__(self, rows: Mapping[str, Rows], last_sale: int, last_event: int) -> None:
        self._rows = rows
        self._sale = last_sale
        self._event = last_event

    def take(self, sales: int) -> dict[str, Rows]:
        made: dict[str, Rows] = {table: [] for table in TABLES}
        for _ in range(sales):
            self._sale += 1
            for table in TABLES:
                made[table] += [self._copy(table, row) for row in self._rows[table]]
        return made

    def _copy(self, table: str, row: Sequence[Any]) -> tuple[Any, ...]:
        if table == "sales":
            # Scattered over the index as random ones are.
            local_id = f"{self._sale * 2654435761 % 2**32:08x}-0000-4000-9000-{self._sale:012x}"
            return (self._sale, f"VTA-BARE-{self._sale}", local_id, *row[3:])
        if table == "sale_items":
            return (self._sale, *row[1:])
        self._event += 1
        return (self._event, self._sale, *row[2:])


class BareSqlite:
    """The file of a gateway that does not run, by the raw driver."""

    def __init__(self, file: Path) -> None:
        self._connection = connect(file)
        rows = {table: self._fetch(_last(table)) for table in TABLES}
        self._copies = _Copies(rows, self._highest("sales"), self._highest("events"))
        self._texts = {
            table: f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[table][0]))})"
            for table in TABLES
        }

    def _fetch(self, text: str) -> Rows:
        return list(self._connection.execute(text).fetchall())

    def _highest(self, table: str) -> int:
        return int(self._fetch(_HIGHEST.format(table=table))[0][0])

    def commit(self) -> float:
        begun = time.perf_counter()
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(_COMMIT)
        self._connection.execute("COMMIT")
        return time.perf_counter() - begun

    def insert(self, sales: int) -> float:
        rows = self._copies.take(sales)
        begun = time.perf_counter()
        self._connection.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            self._connection.executemany(self._texts[table], rows[table])
        for text in BESIDE:
            self._connection.execute(text)
        self._connection.execute("COMMIT")
        return time.perf_counter() - begun

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()


class BarePostgres:
    """A database of a gateway that does not run, by asyncpg's binary COPY."""

    def __init__(self, url: str) -> None:
        # The gateway's.
        self._loop = asyncio.Runner(loop_factory=_loop_factory())
        self._connection = self._loop.run(asyncpg.connect(url, server_settings=SERVER_SETTINGS))
        rows = {table: self._fetch(_last(table)) for table in TABLES}
        self._copies = _Copies(rows, self._highest("sales"), self._highest("events"))

    def _fetch(self, text: str) -> Rows:
        return list(self._loop.run(self._connection.fetch(text)))

    def _highest(self, table: str) -> int:
        return int(self._fetch(_HIGHEST.format(table=table))[0][0])

    def commit(self) -> float:
        return self._loop.run(self._timed_commit())

    async def _timed_commit(self) -> float:
        begun = time.perf_counter()
        async with self._connection.transaction():
            await self._connection.execute(_COMMIT)
        return time.perf_counter() - begun

    def insert(self, sales: int) -> float:
        return self._loop.run(self._timed_insert(self._copies.take(sales)))

    async def _timed_insert(self, rows: Mapping[str, Rows]) -> float:
        begun = time.perf_counter()
        async with self._connection.transaction():
            for table in TABLES:
                await self._connection.copy_records_to_table(table, records=rows[table])
            for text in BESIDE:
                await self._connection.execute(text)
        return time.perf_counter() - begun

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.run(self._connection.close())
        self._loop.close()


def _last(table: str) -> str:
    return _LAST.format(table=table, key="id" if table == "sales" else "sale_id")

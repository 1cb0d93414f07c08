"""What is measured: the gateway over HTTP, and the bare engine with the same rows beside it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import ClientSession

from benchmarks.daemons import UPLOAD, Gateway, client_of
from benchmarks.rows import make_body
from bulonera_sync.store.drivers import sqlite3
from bulonera_sync.store.postgres import SERVER_SETTINGS
from bulonera_sync.store.sqlite import connect

_LAST = "SELECT * FROM {table} WHERE {key} = (SELECT max(id) FROM sales)"
TABLES = ("sales", "sale_items", "events")


async def upload_seconds(served: Gateway, *, size: int, clients: int, requests: int) -> list[float]:
    """Return each request's seconds, then the whole load's: `requests` a client."""
    bodies = [[make_body(size) for _ in range(requests)] for _ in range(clients)]
    async with client_of(served, clients) as http:
        begun = time.perf_counter()
        times = await asyncio.gather(*(_upload_all(http, each) for each in bodies))
        whole = time.perf_counter() - begun
    return [*(each for client in times for each in client), whole]


async def _upload_all(http: ClientSession, bodies: Sequence[bytes]) -> list[float]:
    times = []
    for body in bodies:
        begun = time.perf_counter()
        async with http.post(UPLOAD, data=body) as answer:
            document = await answer.json()
            if answer.status != 200 or document["summary"]["errors"]:
                raise RuntimeError(f"{answer.status}: {document['summary']}")
        times.append(time.perf_counter() - begun)
    return times


async def get_seconds(served: Gateway, path: str, *, requests: int) -> list[float]:
    """Return the seconds of each of these GETs, one after the other."""
    times = []
    async with client_of(served, 1) as http:
        for _ in range(requests):
            begun = time.perf_counter()
            async with http.get(path) as answer:
                await answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"{path}: {answer.status}")
            times.append(time.perf_counter() - begun)
    return times


class BareSqlite:
    """The file's own tables, filled by the raw driver with copies of the gateway's rows."""

    def __init__(self, gateway_file: Path, folder: Path) -> None:
        self._file = folder / "bare.db"
        with closing(connect(gateway_file)) as source, closing(sqlite3.connect(self._file)) as bare:
            source.backup(bare)
        self._connection = connect(self._file)
        self._connection.execute("PRAGMA foreign_keys = OFF")
        self._rows = {
            table: self._connection.execute(
                _LAST.format(table=table, key="id" if table == "sales" else "sale_id")
            ).fetchall()
            for table in TABLES
        }
        for table in TABLES:
            self._connection.execute(f"DELETE FROM {table}")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._next = 1

    def seconds(self, *, size: int, transactions: int) -> list[float]:
        """Return the seconds of each transaction that inserts `size` sales with their rows."""
        return [self._transaction(size) for _ in range(transactions)]

    def _transaction(self, size: int) -> float:
        batches = {table: self._batch(table, size) for table in TABLES}
        self._next += size
        begun = time.perf_counter()
        self._connection.execute("BEGIN IMMEDIATE")
        for table, rows in batches.items():
            places = ",".join("?" * len(rows[0]))
            self._connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
        self._connection.execute("COMMIT")
        return time.perf_counter() - begun

    def _batch(self, table: str, size: int) -> list[tuple[Any, ...]]:
        return [
            renumbered(table, row, turn)
            for turn in range(self._next, self._next + size)
            for row in self._rows[table]
        ]


def renumbered(table: str, row: Sequence[Any], turn: int) -> tuple[Any, ...]:
    """Return a copy of a row that belongs to sale `turn`."""
    if table == "sales":
        return (turn, f"VTA-BARE-{turn}", f"bare-{turn}", *row[3:])
    if table == "sale_items":
        return (turn, *row[1:])
    return (turn, turn, *row[2:])


class BarePostgres:
    """The same on Postgres, by asyncpg's executemany, pipelined."""

    def __init__(self, connection: "asyncpg.Connection[Any]", rows: dict[str, list[Any]]) -> None:
        self._connection = connection
        self._rows = rows
        self._next = 1

    @classmethod
    async def open(cls, url: str) -> "BarePostgres":
        """`url` names a copy of the gateway's database."""
        connection = await asyncpg.connect(url, server_settings=SERVER_SETTINGS)
        rows = {
            table: await connection.fetch(
                _LAST.format(table=table, key="id" if table == "sales" else "sale_id")
            )
            for table in TABLES
        }
        await connection.execute("TRUNCATE sales, sale_items, events, copies, waits CASCADE")
        return cls(connection, rows)

    async def seconds(self, *, size: int, transactions: int) -> list[float]:
        return [await self._transaction(size) for _ in range(transactions)]

    async def _transaction(self, size: int) -> float:
        turns = range(self._next, self._next + size)
        self._next += size
        begun = time.perf_counter()
        async with self._connection.transaction():
            for table, rows in self._rows.items():
                places = ",".join(f"${place + 1}" for place in range(len(rows[0])))
                await self._connection.executemany(
                    f"INSERT INTO {table} VALUES ({places})",
                    [renumbered(table, row, turn) for turn in turns for row in rows],
                )
        return time.perf_counter() - begun

    async def close(self) -> None:
        await self._connection.close()


Measure = Callable[[], list[float]]

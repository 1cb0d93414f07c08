"""Databases to measure on: prepared once, filled, copied."""

import asyncio
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol
from unittest.mock import patch

import asyncpg

from benchmarks.bare import Bare, BarePostgres, BareSqlite
from bulonera_sync.store.sqlite import connect
from tests.postgres import PostgresServer, postgres_or_reason

# What tells a sale's rows from another's; the rest is copied from its last sale, fingerprints too,
# for they are of a content that stays. Of numbers and ids the counters know as the gateway would.
_COPIED = {
    "sales": {
        "id": "{first} + n",
        "number": "'VTA-' || substr(number, 5, 4) || '-' || ({first} + n)",
        "local_id": "{local_id}",
    },
    "sale_items": {"sale_id": "{first} + n"},
    # Their own ids come by themselves.
    "events": {"sale_id": "{first} + n"},
}
_PRESENT = "SELECT max(id), count(*) FROM sales"
# Asked of the database itself: another checkout's may have others.
_COLUMNS = "SELECT * FROM {} LIMIT 0"

Columns = Mapping[str, Sequence[str]]


class Engine(Protocol):
    """Where databases live; a name stands for one."""

    name: str

    def url(self, name: str) -> str:
        """Return the address of a database, as a gateway's configuration takes it."""
        ...

    def create(self, name: str) -> None:
        """Make it, empty, where the engine's gateways don't by themselves."""
        ...

    def copy(self, name: str, source: str) -> None:
        """Make it of another, which nobody has open."""
        ...

    def fill(self, name: str, sales: int) -> None:
        """Fill it up to so many sales with copies of its last one; nobody has it open."""
        ...

    def bare(self, name: str) -> Bare:
        """Open it without a gateway."""
        ...


class Sqlite:
    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.db"

    def url(self, name: str) -> str:
        return f"sqlite:///{self._file(name)}"

    def create(self, name: str) -> None:
        """Nothing: the first command makes the file."""

    def copy(self, name: str, source: str) -> None:
        with closing(connect(self._file(source))) as opened:
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(self._file(source), self._file(name))

    def fill(self, name: str, sales: int) -> None:
        with closing(connect(self._file(name))) as opened:
            opened.execute("PRAGMA synchronous = OFF")
            opened.execute("PRAGMA foreign_keys = OFF")
            opened.execute("PRAGMA cache_size = -500000")
            numbers = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {})"
            local_id = (
                "printf('%08x-0000-4000-8000-%012x', ({first} + n) * 2654435761 % 4294967296, "
                "{first} + n)"
            )
            opened.execute("BEGIN")
            [(first, present)] = opened.execute(_PRESENT).fetchall()
            columns = {
                table: [each[0] for each in opened.execute(_COLUMNS.format(table)).description]
                for table in _COPIED
            }
            for text in _filling(columns, first, sales - present, numbers, local_id):
                opened.execute(text)
            opened.execute("COMMIT")
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def bare(self, name: str) -> Bare:
        return BareSqlite(self._file(name))


class Postgres:
    name = "postgres"

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def url(self, name: str) -> str:
        return self._server.url(name)

    def create(self, name: str) -> None:
        self._server.create_database(name)

    def copy(self, name: str, source: str) -> None:
        self._server.create_database(name, template=source)

    def fill(self, name: str, sales: int) -> None:
        asyncio.run(self._fill(name, sales))

    async def _fill(self, name: str, sales: int) -> None:
        connection = await asyncpg.connect(self.url(name), timeout=10)
        try:
            [(first, present)] = await connection.fetch(_PRESENT)
            numbers = "WITH t AS (SELECT generate_series(1, {}) AS n)"
            local_id = (
                "lpad(to_hex((({first} + n) * 2654435761) % 4294967296), 8, '0') || "
                "'-0000-4000-8000-' || lpad(to_hex({first} + n), 12, '0')"
            )
            # Triggers check foreign keys, which copies of a row that has them need not.
            await connection.execute("SET session_replication_role = replica")
            columns = {
                table: [
                    each.name
                    for each in (await connection.prepare(_COLUMNS.format(table))).get_attributes()
                ]
                for table in _COPIED
            }
            for text in _filling(columns, first, sales - present, numbers, local_id):
                await connection.execute(text)
            await connection.execute("VACUUM ANALYZE")
        finally:
            await connection.close()

    def bare(self, name: str) -> Bare:
        return BarePostgres(self.url(name))


def _filling(
    columns: Columns, first: int, missing: int, numbers: str, local_id: str
) -> Iterator[str]:
    """Yield the statements that add so many copies of the sale `first`, the last one."""
    if missing <= 0:
        return
    for table, changes in _COPIED.items():
        own = {"id"} if table == "events" else set()
        names = [name for name in columns[table] if name not in own]
        chosen = ", ".join(changes.get(name, name) for name in names)
        key = "id" if table == "sales" else "sale_id"
        text = (
            f"INSERT INTO {table} ({', '.join(names)}) {numbers} SELECT {chosen} FROM {table}, t "
            f"WHERE {key} = {{first}}"
        )
        yield text.format(missing, first=first, local_id=local_id.format(first=first))
    yield f"UPDATE counters SET value = value + {missing}"


@contextmanager
def open_engine(
    name: str, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Engine]:
    """Open the engine for its databases to lie in the folder; Postgres with this environment."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "sqlite":
        yield Sqlite(folder)
        return
    with patch.dict("os.environ", environment or {}):
        server = postgres_or_reason(durable=True)
    if isinstance(server, str):
        raise SystemExit(server)
    with server:
        yield Postgres(server)

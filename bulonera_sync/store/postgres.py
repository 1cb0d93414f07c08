"""The shared engine: Postgres through asyncpg. Several gateways may write to one database."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy import func, select

from bulonera_sync.errors import StoreUnavailableError
from bulonera_sync.store.dialect import POSTGRES
from bulonera_sync.store.postgres_errors import UNREACHABLE, outcome_unknown, told_apart
from bulonera_sync.store.postgres_inserts import WaitingRows
from bulonera_sync.store.revisions import closed_unless_current, refuse_other_schema
from bulonera_sync.store.sessions import Joint, P, Session, T, Work
from bulonera_sync.store.statements import Insert, Row, Statement
from bulonera_sync.store.writers import Writer

CONNECT_TIMEOUT_SECONDS = 2.0
COMMAND_TIMEOUT_SECONDS = 15.0
POOL_SIZE = 8

# Writers of all gateways take turns, as SQLite's do: no deadlock between two batches, no unique
# violation between two copies of one upload, numbers without a gap. Any constant serves.
WRITER_LOCK = 0x62756C6F6E
_BEGIN_WRITE = f"BEGIN; SELECT pg_advisory_xact_lock({WRITER_LOCK})"
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

SERVER_SETTINGS = {
    "application_name": "bulonera-sync",
    "synchronous_commit": "on",
    "lock_timeout": "15s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
}

SIZE = Statement(select(func.pg_database_size(func.current_database())))

Connection: TypeAlias = "asyncpg.Connection[Any] | PoolConnectionProxy[Any]"


class PostgresSession:
    """One open transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting = WaitingRows(connection)

    async def fetch(self, statement: Statement, /, **values: Any) -> list[Row]:
        await self.settle()
        compiled = statement.for_dialect(POSTGRES)
        with told_apart():
            rows = await self._connection.fetch(compiled.sql, *compiled.bind(values))
        return compiled.read(rows)

    async def execute(self, statement: Statement, /, **values: Any) -> int:
        await self.settle()
        compiled = statement.for_dialect(POSTGRES)
        with told_apart():
            status = await self._connection.execute(compiled.sql, *compiled.bind(values))
        return int(status.rsplit(" ", 1)[-1])

    async def execute_many(
        self, statement: Statement, rows: Sequence[Mapping[str, Any]], /
    ) -> None:
        if not rows:
            return
        await self.settle()
        compiled = statement.for_dialect(POSTGRES)
        with told_apart():
            await self._connection.executemany(compiled.sql, [compiled.bind(row) for row in rows])

    async def insert(self, statement: Insert, rows: Sequence[Sequence[Any]], /) -> None:
        if rows:
            self._waiting.add(statement, rows)

    async def settle(self) -> None:
        """Write the rows that wait for others: before whatever may look at them."""
        if self._waiting:
            await self._waiting.write()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        await self.settle()
        with told_apart():
            await self._connection.execute("SAVEPOINT one_sale")
        try:
            yield
            await self.settle()
        except BaseException:
            self._waiting.forget()
            with told_apart():
                await self._connection.execute(
                    "ROLLBACK TO SAVEPOINT one_sale; RELEASE SAVEPOINT one_sale"
                )
            raise
        with told_apart():
            await self._connection.execute("RELEASE SAVEPOINT one_sale")


class PostgresStore:
    """An open Postgres database: a connection that writes, a pool beside it."""

    def __init__(self, url: str, beside: "asyncpg.Pool[Any]") -> None:
        self._url = url
        self._beside = beside
        self._writing: asyncpg.Connection[Any] | None = None
        self.writer = Writer(self._transact)
        self.touching = self

    @classmethod
    async def open(cls, url: str) -> "PostgresStore":
        """Reach the database, which has its schema; raises `StoreUnavailableError`."""
        store = cls(url, await _open_pool(url))
        await closed_unless_current(store)
        return store

    async def read(self, work: Work[T], /) -> T:
        return await _lent(self._beside, partial(_transact, begin=_BEGIN_READ, work=work))

    look_up = read

    async def glance(self, work: Work[T], /) -> T:
        # BEGIN and COMMIT are a round trip each, as the statement is.
        return await _lent(self._beside, partial(_each_by_itself, work=work))

    async def check(self) -> None:
        await self.read(refuse_other_schema)

    async def size_bytes(self) -> int:
        async def size(session: Session) -> int:
            return int((await session.fetch(SIZE))[0][0])

        return await self.read(size)

    async def damage(self) -> list[str]:
        """Nothing: Postgres keeps checksums of its own and refuses a page that fails them."""
        return []

    async def touch(self, work: Work[T], /) -> T:
        """Run a unit of work whose every statement commits by itself, beside the writer."""
        return await _lent(self._beside, partial(_each_by_itself, work=work))

    async def write(self, work: Work[T], /) -> T:
        return await self.writer.submit(work)

    async def write_jointly(self, joint: Joint[P, T], part: P, /, *, weight: int) -> T:
        return await self.writer.submit_jointly(joint, part, weight=weight)

    async def _transact(self, work: Work[Any]) -> Any:
        if self._writing is None or self._writing.is_closed():
            self._writing = await open_connection(self._url)
        try:
            return await _transact(self._writing, begin=_BEGIN_WRITE, work=work)
        except StoreUnavailableError:
            # After a failed COMMIT nobody knows what the connection holds: a fresh one does.
            self._writing.terminate()
            self._writing = None
            raise

    async def close(self) -> None:
        await self.writer.close()
        if self._writing is not None:
            self._writing.terminate() if self._writing.is_closed() else await self._writing.close()
        await self._beside.close()


async def open_connection(url: str) -> "asyncpg.Connection[Any]":
    """Open one connection; raises `StoreUnavailableError`."""
    with told_apart():
        return await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=COMMAND_TIMEOUT_SECONDS,
            server_settings=SERVER_SETTINGS,
        )


async def open_patiently(url: str) -> "asyncpg.Connection[Any]":
    """Open one connection whose statements may take their time: a migration's, or its lock's."""
    with told_apart():
        return await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_SECONDS,
            server_settings={**SERVER_SETTINGS, "lock_timeout": "0"},
        )


async def _open_pool(url: str) -> "asyncpg.Pool[Any]":
    """Open the pool of what is read and what is touched: a request does both, one after the other.

    A crash may forget the last second of what is touched, and of nothing else.
    """
    with told_apart():
        return await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=POOL_SIZE,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=COMMAND_TIMEOUT_SECONDS,
            server_settings={**SERVER_SETTINGS, "synchronous_commit": "off"},
            reset=_nothing_to_reset,
        )


async def _nothing_to_reset(connection: "asyncpg.Connection[Any]") -> None:
    """Our transactions leave no session state behind; asyncpg's reset is a round trip a read."""


async def _lent(
    pool: "asyncpg.Pool[Any]", use: Callable[[Connection], Coroutine[Any, Any, T]]
) -> T:
    with told_apart():
        connection = await pool.acquire(timeout=CONNECT_TIMEOUT_SECONDS)
    try:
        return await use(connection)
    finally:
        await pool.release(connection)


async def _each_by_itself(connection: Connection, *, work: Work[T]) -> T:
    session = PostgresSession(connection)
    result = await work(session)
    await session.settle()
    return result


async def _transact(connection: Connection, *, begin: str, work: Work[T]) -> T:
    try:
        with told_apart():
            await connection.execute(begin)
        session = PostgresSession(connection)
        result = await work(session)
        await session.settle()
        with outcome_unknown():
            await connection.execute("COMMIT")
    except BaseException:
        await _roll_back(connection)
        raise
    return result


async def _roll_back(connection: Connection) -> None:
    try:
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK")
    except (asyncpg.PostgresError, *UNREACHABLE):
        # What can't be rolled back must not be used again. One that broke is the pool's already,
        # and must not put its own complaint in the place of the reason.
        with suppress(asyncpg.InterfaceError):
            connection.terminate()

"""The embedded engine: one file, one writer connection, a few readers, each with its thread.

A unit of work crosses to the thread once and runs there whole; a hop per statement costs more
than the statement.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

import aiosqlite

from bulonera_sync.errors import StatementRefusedError, StoreUnavailableError, UnpreparedError
from bulonera_sync.store import checkpoints
from bulonera_sync.store.checkpoints import Checkpoints
from bulonera_sync.store.dialect import SQLITE
from bulonera_sync.store.drivers import sqlite3
from bulonera_sync.store.revisions import closed_unless_current, refuse_other_schema
from bulonera_sync.store.sessions import Joint, P, T, Work
from bulonera_sync.store.statements import Insert, Row, Statement
from bulonera_sync.store.writers import Writer

BUSY_TIMEOUT_SECONDS = 15.0
READERS = 2

# Rows that one statement inserts. The driver asks for the interpreter after every statement, and
# under load waits for whoever has it; while SQLite writes so many rows, another thread works.
ROWS_AT_ONCE = 64

_BUSY_PAUSE_SECONDS = 0.01

# foreign_keys and trusted_schema belong to the connection, journal_mode to the file. FULL: with
# NORMAL a power cut takes the last answered sales along.
PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
)

# The WAL-reset bug: one connection writes while another checkpoints, and committed data is lost.
_FIRST_AFFECTED = (3, 7, 0)
_FIXED = (3, 51, 3)
_BACKPORTED = {(3, 50): 7, (3, 44): 6}


def refuse_affected_version(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> None:
    """Raise `StoreUnavailableError` for an SQLite that can lose committed data."""
    backported = _BACKPORTED.get(version[:2])
    is_mended = version >= _FIXED or (backported is not None and version[2] >= backported)
    if version < _FIRST_AFFECTED or is_mended:
        return
    shown = ".".join(map(str, version))
    raise StoreUnavailableError(
        f"SQLite {shown} can lose committed sales (its WAL-reset bug); install pysqlite3 0.6.1 "
        f"or newer, which carries a mended one"
    )


def connect(path: Path, *pragmas: str) -> sqlite3.Connection:
    """Open the file for a transaction at a time, begun and ended by us alone.

    `pragmas` come after those that every connection has.
    """
    # rw: a file that was moved away must not be made anew in its place.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for pragma in (*PRAGMAS, *pragmas):
            _patiently(connection, pragma)
    except BaseException:
        connection.close()
        raise
    return connection


def _patiently(connection: sqlite3.Connection, pragma: str) -> None:
    """Execute once the file is free: who turns WAL on is refused at once, whatever `timeout`.

    Two programs that meet on a new file both do.
    """
    end = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute(pragma)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_BUSY_PAUSE_SECONDS)
        else:
            return


class _ToldApart:
    """See `told_apart`; a class, since a generator takes longer than a small statement."""

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if error is None or isinstance(error, sqlite3.ProgrammingError):
            return
        if isinstance(error, _REFUSED):
            raise StatementRefusedError(str(error)) from error
        if isinstance(error, sqlite3.Error):
            raise StoreUnavailableError(f"the database can't be used now: {error}") from error


_REFUSED = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, OverflowError)
_TOLD_APART = _ToldApart()


def told_apart() -> AbstractContextManager[None]:
    """Tell what the data broke from what the data can't help; no driver's error gets out."""
    return _TOLD_APART


@contextmanager
def outcome_unknown() -> Iterator[None]:
    """Tell of a COMMIT that failed, whatever the reason: nobody knows what became of it."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"the database did not confirm a write: {error}") from error


def _as_it_stands(raw: bytes) -> str:
    # Not with backslashes: rows that were gathered are JSON.
    return raw.decode(errors="replace")


@cache
def _of_rows(insert: str) -> str:
    """Return the INSERT of a row as one of `ROWS_AT_ONCE` rows."""
    head, values = insert.split(" VALUES ")
    return f"{head} VALUES {', '.join([values] * ROWS_AT_ONCE)}"


class SqliteSession:
    """One open transaction; its methods never truly wait (see `run_whole`)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def fetch(self, statement: Statement, /, **values: Any) -> list[Row]:
        compiled = statement.for_dialect(SQLITE)
        with told_apart():
            return compiled.read(self._rows(compiled.sql, compiled.bind(values)))

    def _rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        try:
            return self._fetched(sql, values)
        except sqlite3.OperationalError as error:
            if "decode to UTF-8" not in str(error):
                raise
        # One turned bit in a text must not shut a till's whole queue out: the sale is told damaged.
        self._connection.text_factory = _as_it_stands
        try:
            return self._fetched(sql, values)
        finally:
            self._connection.text_factory = str

    def _fetched(self, sql: str, values: Sequence[Any]) -> list[Any]:
        rows: list[Any] = self._connection.execute(sql, values).fetchall()
        return rows

    async def execute(self, statement: Statement, /, **values: Any) -> int:
        compiled = statement.for_dialect(SQLITE)
        with told_apart():
            return int(self._connection.execute(compiled.sql, compiled.bind(values)).rowcount)

    async def execute_many(
        self, statement: Statement, rows: Sequence[Mapping[str, Any]], /
    ) -> None:
        if not rows:
            return
        compiled = statement.for_dialect(SQLITE)
        with told_apart():
            self._connection.executemany(compiled.sql, [compiled.bind(row) for row in rows])

    async def insert(self, statement: Insert, rows: Sequence[Sequence[Any]], /) -> None:
        if not rows:
            return
        compiled = statement.for_dialect(SQLITE)
        bound = list(map(compiled.bind_row, rows))
        whole = len(bound) - len(bound) % ROWS_AT_ONCE
        with told_apart():
            for start in range(0, whole, ROWS_AT_ONCE):
                values = chain.from_iterable(bound[start : start + ROWS_AT_ONCE])
                self._connection.execute(_of_rows(compiled.sql), list(values))
            self._connection.executemany(compiled.sql, bound[whole:])

    async def settle(self) -> None:
        """Nothing: each insert is judged at once."""

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        with told_apart():
            self._connection.execute("SAVEPOINT one_sale")
        try:
            yield
        except BaseException as error:
            if not self._connection.in_transaction:
                # SQLite has rolled all of it back by itself, as for a full disk.
                raise StoreUnavailableError("the database gave a transaction up") from error
            with told_apart():
                self._connection.execute("ROLLBACK TO one_sale")
                self._connection.execute("RELEASE one_sale")
            raise
        with told_apart():
            self._connection.execute("RELEASE one_sale")


def run_whole(work: Coroutine[Any, Any, T]) -> T:
    """Run a unit of work to its end, here and now; it awaits nothing but its session."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    work.close()
    raise RuntimeError("a unit of work awaited something beside its session")


def transact(connection: sqlite3.Connection, begin: str, work: Work[T]) -> T:
    """Run a unit of work between BEGIN and COMMIT; roll back when it raises."""
    with told_apart():
        connection.execute(begin)
    try:
        result = run_whole(work(SqliteSession(connection)))
        with outcome_unknown():
            connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _transact_and_look(connection: sqlite3.Connection, work: Work[T]) -> tuple[T, int]:
    """Return what was written, and how many pages the log holds since."""
    result = transact(connection, "BEGIN IMMEDIATE", work)
    return result, checkpoints.pages_logged(connection)


# What the file's last transactions are in, until they are in the file itself.
_BESIDE = ("-wal", "-shm")


def _damage(connection: sqlite3.Connection) -> list[str]:
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check").fetchall()]
    orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    lost = [f"{len(orphans)} rows refer to others that are not there"] if orphans else []
    return [text for text in found if text != "ok"] + lost


class SqliteConnection(aiosqlite.Connection):
    """aiosqlite's connection with a door for a whole unit of work."""

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call the function with the raw connection in the connection's thread."""
        return await self._execute(function, self._conn, *args)  # type: ignore[no-untyped-call, no-any-return]


async def open_connection(path: Path, *pragmas: str) -> SqliteConnection:
    """Open a connection with its thread; raises `StoreUnavailableError`."""
    connection = SqliteConnection(lambda: connect(path, *pragmas), iter_chunk_size=64)
    with told_apart():
        try:
            await connection
        except BaseException:
            # aiosqlite has told its thread to end and waits for nobody: the loop may close first.
            await asyncio.to_thread(connection._thread.join)
            raise
    return connection


async def _open_for_writing(path: Path) -> SqliteConnection:
    return await open_connection(path, *checkpoints.writers_pragmas())


def _connect_impatiently(path: Path) -> sqlite3.Connection:
    """Open the file for the event loop's own thread, which must not wait for anybody's lock."""
    with told_apart():
        connection = connect(path)
        connection.execute("PRAGMA busy_timeout = 0")
    return connection


class SqliteStore:
    """An open SQLite file."""

    # Memory keeps the allowances: one gateway alone has the file.
    touching: None = None

    def __init__(
        self,
        path: Path,
        writing: SqliteConnection,
        reading: Sequence[SqliteConnection],
        looking: sqlite3.Connection,
    ) -> None:
        self._path = path
        self._looking = looking
        self._writing: SqliteConnection | None = writing
        self._reading = list(reading)
        self._idle: asyncio.LifoQueue[SqliteConnection] = asyncio.LifoQueue()
        for connection in reading:
            self._idle.put_nowait(connection)
        self.checkpoints = Checkpoints(partial(open_connection, path))
        self.writer = Writer(self._transact)

    @classmethod
    async def open(cls, path: Path) -> "SqliteStore":
        """Open the file, which exists and has its schema."""
        refuse_affected_version()
        if not path.exists():  # noqa: ASYNC240 - one stat at start
            raise UnpreparedError(f"{path} does not exist yet; bulonera-sync db upgrade makes it")
        store = cls(
            path,
            await _open_for_writing(path),
            [await open_connection(path) for _ in range(READERS)],
            _connect_impatiently(path),
        )
        await closed_unless_current(store)
        return store

    async def read(self, work: Work[T], /) -> T:
        connection = await self._idle.get()
        # Shielded: a cancelled reader's connection is given back when it is idle, not before.
        reading = asyncio.ensure_future(connection.run(transact, "BEGIN DEFERRED", work))
        reading.add_done_callback(lambda done: self._give_back(connection, done))
        return await asyncio.shield(reading)

    async def look_up(self, work: Work[T], /) -> T:
        try:
            # Here and now: a reader waits for no writer, and two hops to a thread and back take
            # longer than a few rows.
            return transact(self._looking, "BEGIN DEFERRED", work)
        except StoreUnavailableError:
            return await self.read(work)

    async def glance(self, work: Work[T], /) -> T:
        try:
            # One statement is a transaction by itself.
            return run_whole(work(SqliteSession(self._looking)))
        except StoreUnavailableError:
            return await self.read(work)

    def _give_back(self, connection: SqliteConnection, done: "asyncio.Future[Any]") -> None:
        self._idle.put_nowait(connection)
        if not done.cancelled():
            done.exception()

    async def check(self) -> None:
        await self.read(refuse_other_schema)

    async def size_bytes(self) -> int:
        names = (self._path, *(self._path.with_name(self._path.name + end) for end in _BESIDE))
        return sum(path.stat().st_size for path in names if path.exists())

    async def damage(self) -> list[str]:
        connection = await open_connection(self._path)
        try:
            with told_apart():
                return await connection.run(_damage)
        finally:
            await connection.close()

    async def write(self, work: Work[T], /) -> T:
        return await self.writer.submit(work)

    async def write_jointly(self, joint: Joint[P, T], part: P, /, *, weight: int) -> T:
        return await self.writer.submit_jointly(joint, part, weight=weight)

    async def _transact(self, work: Work[Any]) -> Any:
        if self._writing is None:
            self._writing = await _open_for_writing(self._path)
        await self.checkpoints.room()
        try:
            result, pages = await self._writing.run(_transact_and_look, work)
        except StoreUnavailableError:
            # After a failed COMMIT nobody knows what the connection holds: a fresh one does.
            broken, self._writing = self._writing, None
            with suppress(sqlite3.Error):
                await broken.close()
            raise
        self.checkpoints.heed(pages)
        return result

    async def close(self) -> None:
        await self.writer.close()
        await self.checkpoints.close()
        for connection in (*self._reading, *([self._writing] if self._writing else [])):
            await connection.close()
        self._looking.close()

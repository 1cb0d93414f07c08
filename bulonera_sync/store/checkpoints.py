"""Bringing what SQLite's log holds into the file, beside the writer.

SQLite alone does so inside the COMMIT that finds the log long: one upload waits for a thousand
pages and two more fsyncs, and all others behind it (decision 23).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from bulonera_sync.errors import StoreUnavailableError
from bulonera_sync.store.drivers import sqlite3

logger = logging.getLogger("bulonera_sync")

# So many pages more in the log are worth two fsyncs.
PASS_PAGES = 500
# A log begins anew only when a pass ends while nobody writes. Under unbroken load that is never:
# the COMMIT that finds so many pages copies what the last pass left, as SQLite does by itself.
LIMIT_PAGES = 4_000
# One that finds a pass at work copies nothing: with so many pages the writer waits for its end.
STOP_PAGES = 2 * LIMIT_PAGES
# What a long reader made it grow to is given back; more than the log has without one.
KEPT_BYTES = 32 << 20

# An older SQLite, mended all the same, takes an unknown mode for a whole checkpoint.
_FIRST_THAT_TELLS = (3, 51, 0)
_LOOK_AT_LOG = "PRAGMA wal_checkpoint(NOOP)"
_COPY_LOG = "PRAGMA wal_checkpoint(PASSIVE)"


class _Connection(Protocol):
    """A connection with its thread, as `sqlite.SqliteConnection` is one."""

    async def run(self, function: Callable[..., Any], *args: Any) -> Any: ...

    async def close(self) -> None: ...


def tells(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> bool:
    """Tell whether this SQLite says how long its log is; where not, it is left to its own way."""
    return version >= _FIRST_THAT_TELLS


def writers_pragmas() -> tuple[str, ...]:
    """Return what the writer's connection needs so that its COMMITs leave the log alone."""
    if not tells():
        return ()
    return (
        f"PRAGMA wal_autocheckpoint = {LIMIT_PAGES}",
        f"PRAGMA journal_size_limit = {KEPT_BYTES}",
    )


def pages_logged(connection: sqlite3.Connection) -> int:
    """Return how many pages the log holds, 0 when it can't be told. Never raises."""
    if not tells():
        return 0
    try:
        [(_, pages, _)] = connection.execute(_LOOK_AT_LOG).fetchall()
    except sqlite3.Error:
        # What was to be written is written: its answer does not hang on this.
        return 0
    return int(pages)


class Checkpoints:
    """Copies the log, a pass whenever it has grown by enough; writers and readers go on."""

    def __init__(self, open_connection: Callable[[], Awaitable[_Connection]]) -> None:
        self._open = open_connection
        self._connection: _Connection | None = None
        self._passing: asyncio.Task[None] | None = None
        self._pages = self._pages_at_last = 0
        self._has_failed = False

    def heed(self, pages: int) -> None:
        """Begin a pass if the log, which has so many pages now, is worth one.

        It is counted from the last pass, whatever became of that: neither a long reader nor a disk
        that fails makes passes follow each other.
        """
        self._pages = pages
        if pages < self._pages_at_last:
            # It began anew.
            self._pages_at_last = 0
        # Beyond the limit it is the COMMITs' turn, which no other pass may take.
        is_worth_one = pages - self._pages_at_last >= PASS_PAGES and pages < LIMIT_PAGES
        if is_worth_one and self._passing is None:
            self._pages_at_last = pages
            self._passing = asyncio.create_task(self._pass(), name="store-checkpoint")
            self._passing.add_done_callback(self._passed)

    async def room(self) -> None:
        """Return when the log may grow: at once, unless a pass is at one that is far too long."""
        if self._pages >= STOP_PAGES:
            await self.settled()

    def _passed(self, done: asyncio.Task[None]) -> None:
        self._passing = None
        if not done.cancelled() and (error := done.exception()) is not None:
            self._tell(error)

    async def _pass(self) -> None:
        try:
            if self._connection is None:
                self._connection = await self._open()
            await self._connection.run(_copy)
        except (StoreUnavailableError, sqlite3.Error) as error:
            self._tell(error)
            await self._let_go()
        else:
            self._has_failed = False

    def _tell(self, error: BaseException) -> None:
        """Log it, once until it works again: nothing is lost, the log only grows."""
        if not self._has_failed:
            logger.warning("Could not checkpoint the database", extra={"error": str(error)})
        self._has_failed = True

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                await connection.close()

    async def settled(self) -> None:
        """Return when no pass is under way."""
        if self._passing is not None:
            await asyncio.wait([self._passing])

    async def close(self) -> None:
        """Begin no more after the present pass. Whoever closes the file last copies the rest."""
        await self.settled()
        await self._let_go()


def _copy(connection: sqlite3.Connection) -> None:
    connection.execute(_COPY_LOG).fetchall()

"""SQLite's log: copied into the file beside the writer, bounded, and in nobody's way."""

import asyncio
import logging
import resource
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import bindparam, column, func, insert, table

from bulonera_sync.errors import StoreUnavailableError
from bulonera_sync.store import checkpoints, sqlite
from bulonera_sync.store.checkpoints import LIMIT_PAGES, PASS_PAGES, STOP_PAGES, Checkpoints
from bulonera_sync.store.drivers import sqlite3
from bulonera_sync.store.sessions import Session, Work
from bulonera_sync.store.statements import Statement
from tests.store.databases import ON_SQLITE, opened, run_sql

pytestmark = ON_SQLITE

PAGE_BYTES = 4096
# A page in the log has a head.
LOG_BYTES = PAGE_BYTES + 24

MAKE_PAPERS = "CREATE TABLE papers (body BLOB)"
_PAPER = Statement(
    insert(table("papers", column("body"))).values(body=func.zeroblob(bindparam("size")))
)


def writing(pages: int) -> Work[None]:
    """A unit of work that puts about so many pages into the log."""

    async def write(session: Session) -> None:
        await session.execute(_PAPER, size=pages * PAGE_BYTES)

    return write


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def log_of(url: str) -> Path:
    return file_of(url).with_name(f"{file_of(url).name}-wal")


async def log_as_seen_outside(url: str) -> tuple[int, int]:
    """How many pages the log holds, and how many of them are in the file."""
    [(_, pages, copied)] = await run_sql(url, "PRAGMA wal_checkpoint(NOOP)")
    return pages, copied


@asynccontextmanager
async def store_of(url: str) -> AsyncIterator[sqlite.SqliteStore]:
    await run_sql(url, MAKE_PAPERS)
    async with opened(url) as store:
        assert isinstance(store, sqlite.SqliteStore)
        yield store


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Look at one moment of the database, as a backup does, while the block runs."""
    with closing(sqlite3.connect(file_of(url), isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM papers").fetchall()
        yield


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let no write of this process go further into a file: a disk that takes no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_short_log_is_left_alone(store_url: str) -> None:
    async with store_of(store_url) as store:
        await store.write(writing(PASS_PAGES // 2))
        await store.checkpoints.settled()

        assert (await log_as_seen_outside(store_url))[1] == 0


async def test_a_log_that_has_grown_is_copied_and_begins_anew(store_url: str) -> None:
    async with store_of(store_url) as store:
        await store.write(writing(PASS_PAGES))
        await store.checkpoints.settled()
        pages, copied = await log_as_seen_outside(store_url)
        await store.write(writing(1))
        anew, _ = await log_as_seen_outside(store_url)

    assert copied == pages > PASS_PAGES
    assert anew < pages


async def test_under_unbroken_writes_the_log_stays_bounded(store_url: str) -> None:
    longest = 0

    async def write(store: sqlite.SqliteStore) -> None:
        nonlocal longest
        for _ in range(50):
            await store.write(writing(25))
            longest = max(longest, log_of(store_url).stat().st_size)

    async with store_of(store_url) as store:
        await asyncio.gather(*(write(store) for _ in range(16)))
        await store.checkpoints.settled()
        [(papers,)] = await run_sql(store_url, "SELECT count(*) FROM papers")

    # A transaction has four hundred pages.
    assert longest < (STOP_PAGES + 1_000) * LOG_BYTES
    assert papers * 25 > 2 * STOP_PAGES


async def test_a_long_reader_keeps_its_moment_and_the_log_is_short_again_after_it(
    store_url: str,
) -> None:
    async with store_of(store_url) as store:
        with reading(store_url):
            for _ in range(checkpoints.KEPT_BYTES // LOG_BYTES // 500 + 2):
                await store.write(writing(500))
            await store.checkpoints.settled()
            grown = log_of(store_url).stat().st_size
        await store.write(writing(PASS_PAGES))
        await store.checkpoints.settled()
        await store.write(writing(1))
        pages, _ = await log_as_seen_outside(store_url)
        given_back = log_of(store_url).stat().st_size

    assert given_back <= checkpoints.KEPT_BYTES < grown
    assert pages < PASS_PAGES


async def test_a_checkpoint_that_fails_fails_no_write_and_is_made_up_for(
    store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    limit = 3_000 * PAGE_BYTES
    async with store_of(store_url) as store:
        await store.write(writing(3_100))
        await store.checkpoints.settled()
        # The file is longer than the disk takes, the log begins anew.
        with no_file_beyond(limit), caplog.at_level(logging.WARNING):
            for _ in range(3):
                await store.write(writing(PASS_PAGES))
                await store.checkpoints.settled()
            _, copied_meanwhile = await log_as_seen_outside(store_url)
        await store.write(writing(PASS_PAGES))
        await store.checkpoints.settled()
        pages, copied = await log_as_seen_outside(store_url)
        [(papers,)] = await run_sql(store_url, "SELECT count(*) FROM papers")

    assert copied_meanwhile == 0
    assert [each.message for each in caplog.records] == ["Could not checkpoint the database"]
    assert copied == pages
    assert papers == 5


async def test_a_closed_store_leaves_no_log(store_url: str) -> None:
    async with store_of(store_url) as store:
        await asyncio.gather(*(store.write(writing(100)) for _ in range(10)))

    log = log_of(store_url)
    assert not log.exists() or log.stat().st_size == 0
    assert await run_sql(store_url, "SELECT count(*) FROM papers") == [(10,)]


async def test_an_sqlite_that_does_not_tell_is_left_to_its_own_way(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_FIRST_THAT_TELLS", (99,))
    async with store_of(store_url) as store:
        for _ in range(50):
            await store.write(writing(100))
        size = log_of(store_url).stat().st_size

    assert size < 1_500 * LOG_BYTES


# When a pass is begun


class Passes:
    """Opens connections to the file, and counts the checkpoints that any of them makes."""

    def __init__(self, url: str) -> None:
        self._path = file_of(url)
        self.made = 0

    async def open(self) -> sqlite.SqliteConnection:
        connection = await sqlite.open_connection(self._path)
        await connection.set_trace_callback(self._count)
        return connection

    def _count(self, text: str) -> None:
        self.made += "PASSIVE" in text


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([PASS_PAGES - 1], 0),
        ([PASS_PAGES], 1),
        # It is counted from the last pass: a reader that keeps the log long makes none follow.
        ([PASS_PAGES, PASS_PAGES + 1, 2 * PASS_PAGES - 1], 1),
        ([PASS_PAGES, 2 * PASS_PAGES], 2),
        # The log began anew.
        ([2 * PASS_PAGES, 10, PASS_PAGES - 1], 1),
        ([2 * PASS_PAGES, 10, PASS_PAGES], 2),
        # It is the COMMITs' to copy.
        ([LIMIT_PAGES, LIMIT_PAGES + PASS_PAGES], 0),
    ],
    ids=str,
)
async def test_a_pass_is_begun_for_each_so_many_pages(
    store_url: str, lengths: list[int], expected: int
) -> None:
    passes = Passes(store_url)
    watched = Checkpoints(passes.open)

    for pages in lengths:
        watched.heed(pages)
        await watched.settled()

    await watched.close()
    assert passes.made == expected


async def test_while_a_pass_is_under_way_none_is_begun(store_url: str) -> None:
    passes = Passes(store_url)
    watched = Checkpoints(passes.open)

    for turn in range(1, 10):
        watched.heed(turn * PASS_PAGES)

    await watched.close()
    assert passes.made == 1


async def test_only_a_pass_at_a_log_that_is_far_too_long_is_waited_for(store_url: str) -> None:
    connection = await sqlite.open_connection(file_of(store_url))

    async def open_it() -> sqlite.SqliteConnection:
        return connection

    watched, may_go_on = Checkpoints(open_it), threading.Event()
    dawdling = asyncio.create_task(connection.run(lambda opened: may_go_on.wait()))
    watched.heed(LIMIT_PAGES - 1)
    await watched.room()
    watched.heed(STOP_PAGES)
    waiting = asyncio.create_task(watched.room())
    await asyncio.wait([waiting], timeout=0.05)
    had_room = waiting.done()
    may_go_on.set()

    await asyncio.gather(waiting, dawdling)
    await watched.close()
    assert not had_room


async def test_a_connection_that_does_not_open_is_tried_again(
    store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    passes = Passes(store_url)
    failures = [StoreUnavailableError("away"), StoreUnavailableError("still away")]

    async def open_in_time() -> sqlite.SqliteConnection:
        if failures:
            raise failures.pop()
        return await passes.open()

    watched = Checkpoints(open_in_time)
    for turn in range(1, 5):
        watched.heed(turn * PASS_PAGES)
        await watched.settled()

    await watched.close()
    assert passes.made == 2
    assert len(caplog.records) == 1


async def test_a_failure_that_nobody_thought_of_is_told_too(
    store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def never() -> sqlite.SqliteConnection:
        raise OSError("no thread to be had")

    watched = Checkpoints(never)
    for turn in range(1, 3):
        watched.heed(turn * PASS_PAGES)
        await watched.settled()

    await watched.close()
    assert [record.error for record in caplog.records] == ["no thread to be had"]  # type: ignore[attr-defined]

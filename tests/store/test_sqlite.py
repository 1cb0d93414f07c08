"""The embedded engine: a mended SQLite, its pragmas in force, a file of the owner's own."""

import asyncio
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import column, select, table

from bulonera_sync.config import StoreSettings
from bulonera_sync.errors import SchemaError, StoreUnavailableError
from bulonera_sync.gateway.openings import open_store
from bulonera_sync.store import sqlite
from bulonera_sync.store.drivers import sqlite3
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Statement
from tests.store.databases import (
    ALL_NOTES,
    MAKE_NOTES,
    ON_SQLITE,
    add_note,
    adding,
    locked,
    notes_in,
    opened,
    run_sql,
)

pytestmark = ON_SQLITE


def path_of(store_url: str) -> Path:
    return Path(store_url.removeprefix("sqlite:///"))


@pytest.mark.parametrize(
    "version",
    [(3, 7, 0), (3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 46, 1), (3, 50, 6), (3, 51, 0), (3, 51, 2)],
    ids=str,
)
def test_a_version_that_can_lose_committed_data_is_refused(
    version: tuple[int, int, int], store_url: str
) -> None:
    with pytest.raises(StoreUnavailableError, match=r"can lose committed sales.*pysqlite3"):
        sqlite.refuse_affected_version(version)


@pytest.mark.parametrize(
    "version",
    [(3, 6, 23), (3, 44, 6), (3, 44, 9), (3, 50, 7), (3, 51, 3), (3, 52, 0), (3, 53, 4), (4, 0, 0)],
    ids=str,
)
def test_a_version_without_the_bug_is_taken(version: tuple[int, int, int], store_url: str) -> None:
    sqlite.refuse_affected_version(version)


def test_connections_that_meet_on_a_new_file_all_open_it(store_url: str) -> None:
    def connect(path: Path, together: threading.Barrier) -> None:
        together.wait()
        with closing(sqlite.connect(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE IF NOT EXISTS notes (body)")
            connection.execute("COMMIT")

    # One meeting in six goes wrong where nothing waits.
    for meeting in range(60):
        path = path_of(store_url).with_name(f"{meeting}.db")
        path.touch()
        together = threading.Barrier(4)
        with ThreadPoolExecutor(4) as pool:
            for opening in [pool.submit(connect, path, together) for _ in range(4)]:
                opening.result()


def test_the_sqlite_in_use_is_a_mended_one(store_url: str) -> None:
    sqlite.refuse_affected_version(sqlite3.sqlite_version_info)


def _pragma(name: str) -> Statement:
    pragma = table(f"pragma_{name}", column(name if name != "busy_timeout" else "timeout"))
    return Statement(select(pragma))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("busy_timeout", 15_000),
    ],
)
@pytest.mark.parametrize("way", ["read", "write"])
async def test_every_connection_has_its_pragmas_in_force(
    store_url: str, name: str, value: object, way: str
) -> None:
    async def ask(session: Session) -> object:
        [(found,)] = await session.fetch(_pragma(name))
        return found

    async with opened(store_url) as store:
        found = await (store.read(ask) if way == "read" else store.write(ask))

    assert found == value


async def test_a_connection_opened_anew_has_them_too(store_url: str) -> None:
    await run_sql(store_url, MAKE_NOTES)

    async def orphan(session: Session) -> None:
        await add_note(session, 1, parent=99)

    async def ask(session: Session) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema")
        return [(await session.fetch(_pragma(name)))[0][0] for name in names]

    async with opened(store_url) as store:
        with pytest.raises(StoreUnavailableError):
            await store.write(orphan)

        assert await store.write(ask) == ["wal", 2, 1, 0]


async def test_what_cant_be_looked_up_at_once_is_read_in_its_turn(store_url: str) -> None:
    await run_sql(store_url, MAKE_NOTES)
    threads = set()

    async def ask(session: Session) -> list[tuple[object, ...]]:
        threads.add(threading.current_thread())
        return await session.fetch(ALL_NOTES)

    async with opened(store_url) as store:
        await store.write(adding(1))
        assert isinstance(store, sqlite.SqliteStore)
        at_once = await store.look_up(ask)
        store._looking.execute("BEGIN")
        in_turn = await store.look_up(ask)
        store._looking.execute("ROLLBACK")

    assert at_once == in_turn == [(1,)]
    assert len(threads) == 2


async def test_the_file_and_its_log_are_the_owners_alone(store_url: str) -> None:
    await run_sql(store_url, MAKE_NOTES)
    path = path_of(store_url)

    async with opened(store_url) as store:
        await store.write(adding(1))
        files = sorted(path.parent.glob(f"{path.name}*"))
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in files}

    assert modes == {f"{path.name}{end}": 0o600 for end in ("", "-shm", "-wal")}


async def test_a_missing_file_is_not_made_by_opening_it(tmp_path: Path, store_url: str) -> None:
    missing = tmp_path / "other.db"

    with pytest.raises(SchemaError, match="db upgrade"):
        await open_store(StoreSettings(url=f"sqlite:///{missing}"))

    assert not missing.exists()


def threads_left_since(before: set[threading.Thread]) -> set[threading.Thread]:
    """The connections' threads that do not end; the event loop ends its own."""
    threads = {each for each in threading.enumerate() if not each.name.startswith("asyncio_")}
    for thread in threads - before:
        thread.join(5)
    return {thread for thread in threads - before if thread.is_alive()}


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100, b"SQLite format 3\0"])
async def test_what_can_not_be_opened_leaves_no_thread_behind(
    tmp_path: Path, store_url: str, content: bytes
) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(content)
    before = set(threading.enumerate())

    with pytest.raises((SchemaError, StoreUnavailableError)):
        await open_store(StoreSettings(url=f"sqlite:///{path}"))

    # A thread that lives on, and is no daemon, keeps the program from ending.
    assert threads_left_since(before) == set()


async def test_a_closed_store_leaves_no_thread_behind(store_url: str) -> None:
    await run_sql(store_url, MAKE_NOTES)
    before = set(threading.enumerate())

    async def orphan(session: Session) -> None:
        await add_note(session, 1, parent=99)

    async with opened(store_url) as store:
        await asyncio.gather(*(notes_in(store) for _ in range(5)))
        with suppress(StoreUnavailableError):
            await store.write(orphan)
        await store.write(adding(1))

    assert threads_left_since(before) == set()


async def test_a_file_that_is_away_is_unavailable_and_not_made_anew(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    await run_sql(store_url, MAKE_NOTES)
    path, away = path_of(store_url), path_of(store_url).with_suffix(".away")

    async with opened(store_url) as store:
        async with locked(store_url):
            with suppress(StoreUnavailableError):
                await store.write(adding(1))
        path.rename(away)
        with pytest.raises(StoreUnavailableError):
            await store.write(adding(2))
        was_made_anew = path.exists()
        away.rename(path)
        await store.write(adding(3))

    assert not was_made_anew
    assert await run_sql(store_url, "SELECT id FROM notes") == [(3,)]


async def test_a_folder_that_is_away_is_unavailable_and_works_when_it_is_back(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    await run_sql(store_url, MAKE_NOTES)
    folder = path_of(store_url).parent
    away = folder.with_name("away")

    async with opened(store_url) as store:
        async with locked(store_url):
            with suppress(StoreUnavailableError):
                await store.write(adding(1))
        folder.rename(away)
        try:
            with pytest.raises(StoreUnavailableError):
                await store.write(adding(2))
        finally:
            away.rename(folder)
        await store.write(adding(3))

        assert await notes_in(store) == [3]


async def test_a_unit_that_awaits_something_else_is_refused_and_leaves_nothing(
    store_url: str,
) -> None:
    await run_sql(store_url, MAKE_NOTES)

    async def dawdle(session: Session) -> None:
        await add_note(session, 1)
        await asyncio.sleep(0)

    async with opened(store_url) as store:
        with pytest.raises(RuntimeError, match="awaited something"):
            await store.write(dawdle)
        await store.write(adding(2))

        assert await notes_in(store) == [2]

"""Units of work: whole or not at all, one after the other, whoever waits for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from sqlalchemy import bindparam, func, select, update

from bulonera_sync.errors import StatementRefusedError, StoreUnavailableError
from bulonera_sync.store import postgres, sqlite
from bulonera_sync.store.schema import counters
from bulonera_sync.store.sessions import Session, Store
from bulonera_sync.store.statements import Statement
from bulonera_sync.store.types import BigId
from tests.postgres import PostgresServer
from tests.store.databases import (
    ALL_NOTES,
    MAKE_NOTES,
    ON_POSTGRES,
    ON_SQLITE,
    add_note,
    adding,
    is_sqlite,
    locked,
    notes_in,
    opened,
    run_sql,
)

VALUE = Statement(select(counters.c.value).where(counters.c.name == bindparam("name")))
SET_VALUE = Statement(
    update(counters)
    .where(counters.c.name == bindparam("counter"))
    .values(value=bindparam("value", type_=BigId))
)
PG_PID = Statement(select(func.pg_backend_pid()))
PG_END = Statement(select(func.pg_terminate_backend(func.pg_backend_pid())))
SQLITE_CHANGES = Statement(select(func.total_changes()))


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open store with a table of notes."""
    await run_sql(store_url, MAKE_NOTES)
    async with opened(store_url) as store:
        yield store


async def add_one_to_counter(session: Session) -> None:
    [(value,)] = await session.fetch(VALUE, name="test")
    await session.execute(SET_VALUE, counter="test", value=value + 1)


async def test_concurrent_units_that_read_then_write_lose_no_update(
    store: Store, store_url: str
) -> None:
    await run_sql(store_url, "INSERT INTO counters (name, value) VALUES ('test', 0)")

    async with opened(store_url) as second, opened(store_url) as third:
        stores = [store, second, third] * 5
        await asyncio.gather(*(each.write(add_one_to_counter) for each in stores))

    assert await run_sql(store_url, "SELECT value FROM counters WHERE name = 'test'") == [(15,)]


async def test_a_unit_that_fails_leaves_nothing(store: Store) -> None:
    async def fail_half_way(session: Session) -> None:
        await add_note(session, 1)
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        await store.write(fail_half_way)

    assert await notes_in(store) == []


async def test_a_unit_that_failed_does_not_touch_the_next(store: Store) -> None:
    async def fail_half_way(session: Session) -> None:
        await add_note(session, 1)
        await add_note(session, 1)

    with pytest.raises(StatementRefusedError):
        await store.write(fail_half_way)
    await store.write(adding(2))

    assert await notes_in(store) == [2]


async def test_a_savepoint_undoes_its_block_alone(store: Store) -> None:
    async def refuse_the_second(session: Session) -> None:
        await add_note(session, 1)
        with suppress(StatementRefusedError):
            async with session.savepoint():
                await add_note(session, 2)
                await add_note(session, 1)
        async with session.savepoint():
            await add_note(session, 3)
        await add_note(session, 4)

    await store.write(refuse_the_second)

    assert await notes_in(store) == [1, 3, 4]


async def test_savepoints_in_savepoints_undo_the_inner_alone(store: Store) -> None:
    async def refuse_the_inner(session: Session) -> None:
        async with session.savepoint():
            await add_note(session, 1)
            with suppress(StatementRefusedError):
                async with session.savepoint():
                    await add_note(session, 2)
                    await add_note(session, 1)
            await add_note(session, 3)

    await store.write(refuse_the_inner)

    assert await notes_in(store) == [1, 3]


async def test_the_work_of_a_caller_that_is_gone_commits_whole(
    store: Store, store_url: str
) -> None:
    async with locked(store_url):
        caller = asyncio.create_task(store.write(adding(1, 2)))
        queued = asyncio.create_task(store.write(adding(3)))
        await asyncio.sleep(0)
        caller.cancel()
        queued.cancel()
        gone = await asyncio.gather(caller, queued, return_exceptions=True)
    await store.write(adding(4))

    assert [type(each) for each in gone] == [asyncio.CancelledError] * 2
    assert await notes_in(store) == [1, 2, 3, 4]


async def test_a_reader_that_is_gone_leaves_its_connection_usable(store: Store) -> None:
    for _ in range(20):
        reader = asyncio.create_task(notes_in(store))
        await asyncio.sleep(0)
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader

    readings = await asyncio.gather(*(notes_in(store) for _ in range(20)))

    assert readings == [[]] * 20


async def test_what_waits_is_written_before_the_store_closes(store_url: str) -> None:
    await run_sql(store_url, MAKE_NOTES)
    async with opened(store_url) as store:
        waiting = [asyncio.create_task(store.write(adding(note))) for note in range(5)]
        await asyncio.sleep(0)

    await asyncio.gather(*waiting)
    assert await run_sql(store_url, "SELECT count(*) FROM notes") == [(5,)]


async def test_a_closed_store_takes_no_more_work(store_url: str) -> None:
    await run_sql(store_url, MAKE_NOTES)
    async with opened(store_url) as store:
        pass

    with pytest.raises(StoreUnavailableError):
        await store.write(adding(1))


async def test_a_reader_sees_one_snapshot(store: Store) -> None:
    async def look_twice(session: Session) -> list[int]:
        return [len(await session.fetch(ALL_NOTES)) for _ in range(2)]

    writing = asyncio.gather(*(store.write(adding(note)) for note in range(20)))
    readings = await asyncio.gather(*(store.read(look_twice) for _ in range(20)))
    await writing

    assert all(before == after for before, after in readings)


async def _connection_of(store: Store, *, is_sqlite: bool) -> object:
    """Say something by which the writing connection is told from another one."""

    async def ask(session: Session) -> object:
        [(told,)] = await session.fetch(SQLITE_CHANGES if is_sqlite else PG_PID)
        return told

    return await store.write(ask)


async def test_a_failed_commit_is_unknown_and_the_connection_is_opened_anew(
    store: Store, store_url: str
) -> None:
    await store.write(adding(1))
    before = await _connection_of(store, is_sqlite=is_sqlite(store_url))

    async def orphan(session: Session) -> None:
        await add_note(session, 2, parent=99)

    with pytest.raises(StoreUnavailableError):
        await store.write(orphan)
    await store.write(adding(3))

    after = await _connection_of(store, is_sqlite=is_sqlite(store_url))
    assert await notes_in(store) == [1, 3]
    # A fresh SQLite connection has changed one row, the old one two; a backend has its own pid.
    assert (after, before) == (1, 1) if is_sqlite(store_url) else after != before


@ON_POSTGRES
async def test_a_commit_that_a_trigger_refuses_is_unknown_too(store: Store, store_url: str) -> None:
    await run_sql(
        store_url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no'; END $$",
        "CREATE CONSTRAINT TRIGGER refused AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION refuse()",
    )

    with pytest.raises(StoreUnavailableError):
        await store.write(adding(2))
    await store.write(adding(3))

    assert await notes_in(store) == [3]


@ON_POSTGRES
async def test_a_connection_cut_in_the_middle_loses_its_work_and_no_more(
    store: Store, store_url: str
) -> None:

    async def cut(session: Session) -> None:
        await add_note(session, 1)
        await session.fetch(PG_END)
        await add_note(session, 2)

    with pytest.raises(StoreUnavailableError):
        await store.write(cut)
    await store.write(adding(3))

    assert await notes_in(store) == [3]


@ON_POSTGRES
async def test_connections_cut_between_two_requests_are_replaced(
    store: Store, store_url: str
) -> None:
    await store.write(adding(1))
    await notes_in(store)

    await run_sql(
        store_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    # The first one may find its connection gone: the till is told to come again, and does.
    for note in (2, 2):
        with suppress(StoreUnavailableError, StatementRefusedError):
            await store.write(adding(note))
    for _ in range(postgres.POOL_SIZE):
        with suppress(StoreUnavailableError):
            await notes_in(store)

    assert await notes_in(store) == [1, 2]


async def test_a_locked_database_is_unavailable_and_works_again_when_let_go(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setitem(postgres.SERVER_SETTINGS, "lock_timeout", "50ms")
    await run_sql(store_url, MAKE_NOTES)

    async with opened(store_url) as store:
        async with locked(store_url):
            with pytest.raises(StoreUnavailableError):
                await store.write(adding(1))
        await store.write(adding(2))

        assert await notes_in(store) == [2]


@ON_SQLITE
async def test_a_full_database_is_unavailable_and_works_again_with_room(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_sql(store_url, MAKE_NOTES)
    [(pages,)] = await run_sql(store_url, "PRAGMA page_count")
    pragmas = sqlite.PRAGMAS
    monkeypatch.setattr(sqlite, "PRAGMAS", (*pragmas, f"PRAGMA max_page_count = {pages + 2}"))

    async def fill(session: Session) -> None:
        for note in range(5_000):
            await add_note(session, note)

    async with opened(store_url) as store:
        with pytest.raises(StoreUnavailableError):
            await store.write(fill)
        assert await notes_in(store) == []
        monkeypatch.setattr(sqlite, "PRAGMAS", pragmas)
        await store.write(fill)

        assert len(await notes_in(store)) == 5_000


@ON_SQLITE
async def test_a_full_database_inside_a_savepoint_is_no_refused_sale(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_sql(store_url, MAKE_NOTES)
    [(pages,)] = await run_sql(store_url, "PRAGMA page_count")
    monkeypatch.setattr(
        sqlite, "PRAGMAS", (*sqlite.PRAGMAS, f"PRAGMA max_page_count = {pages + 2}")
    )

    async def fill(session: Session) -> None:
        for note in range(5_000):
            async with session.savepoint():
                await add_note(session, note)

    async with opened(store_url) as store:
        with pytest.raises(StoreUnavailableError):
            await store.write(fill)

        assert await notes_in(store) == []


async def test_a_read_only_database_is_unavailable_and_works_again_when_writable(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_sql(store_url, MAKE_NOTES)
    pragmas = sqlite.PRAGMAS
    monkeypatch.setattr(sqlite, "PRAGMAS", (*pragmas, "PRAGMA query_only = ON"))
    monkeypatch.setitem(postgres.SERVER_SETTINGS, "default_transaction_read_only", "on")

    async with opened(store_url) as store:
        with pytest.raises(StoreUnavailableError):
            await store.write(adding(1))
        monkeypatch.setattr(sqlite, "PRAGMAS", pragmas)
        monkeypatch.setitem(postgres.SERVER_SETTINGS, "default_transaction_read_only", "off")
        await store.write(adding(2))

        assert await notes_in(store) == [2]


@ON_POSTGRES
async def test_a_stopped_server_is_unavailable_and_works_again_when_it_is_back(
    store_url: str, request: pytest.FixtureRequest
) -> None:
    server: PostgresServer = request.getfixturevalue("postgres_server")
    await run_sql(store_url, MAKE_NOTES)

    async with opened(store_url) as store:
        await store.write(adding(1))
        server.stop()
        try:
            with pytest.raises(StoreUnavailableError):
                await store.write(adding(2))
            with pytest.raises(StoreUnavailableError):
                await notes_in(store)
            with pytest.raises(StoreUnavailableError):
                await store.check()
        finally:
            server.start()
        await store.check()
        await store.write(adding(3))

        assert await notes_in(store) == [1, 3]


async def test_a_value_that_no_column_takes_is_the_datas_fault(store: Store) -> None:
    with pytest.raises(StatementRefusedError):
        await store.write(adding(2**70))
    await store.write(adding(1))

    assert await notes_in(store) == [1]


@ON_POSTGRES
async def test_a_reader_whose_connection_breaks_is_unavailable_and_the_next_one_reads(
    store_url: str,
) -> None:
    async def end_myself(session: Session) -> None:
        await session.fetch(PG_END)

    async with opened(store_url) as store:
        with pytest.raises(StoreUnavailableError):
            await store.read(end_myself)
        await store.check()

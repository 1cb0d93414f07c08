"""The pool of Postgres connections: who gets which, and which nobody gets again."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from bulonera_sync.errors import StoreUnavailableError
from bulonera_sync.store import pools
from bulonera_sync.store.pools import Pool
from bulonera_sync.store.postgres import POOL_SIZE, SERVER_SETTINGS, PostgresStore, open_connection
from bulonera_sync.store.sessions import Session
from tests.store.databases import ON_POSTGRES
from tests.store.test_units import PG_PID

pytestmark = ON_POSTGRES

# Long enough to be sure, where nobody gives anything back.
IMPATIENCE_SECONDS = 0.01


@pytest.fixture
async def pool(store_url: str) -> AsyncIterator[Pool]:
    """A pool of two."""
    connect = partial(open_connection, store_url, SERVER_SETTINGS)
    pool = Pool(connect, size=2, patience_seconds=IMPATIENCE_SECONDS)
    yield pool
    async with asyncio.timeout(10):
        await pool.close()


async def test_the_connection_used_last_is_given_out_first(pool: Pool) -> None:
    one, other = await pool.take(), await pool.take()
    pool.give_back(one)
    pool.give_back(other)

    again = await pool.take()

    assert again is other
    pool.give_back(again)


async def test_nobody_waits_for_ever_and_who_comes_after_one_is_free_gets_it(pool: Pool) -> None:
    one, other = await pool.take(), await pool.take()

    with pytest.raises(TimeoutError):
        await pool.take()
    pool.give_back(one)

    assert await pool.take() is one
    pool.give_back(one)
    pool.give_back(other)


async def test_a_broken_connection_is_replaced(pool: Pool) -> None:
    one = await pool.take()
    one.terminate()
    pool.give_back(one)

    fresh = await pool.take()

    assert await fresh.fetchval("SELECT 1") == 1
    pool.give_back(fresh)


async def test_a_connection_that_broke_while_it_was_idle_is_replaced(pool: Pool) -> None:
    one = await pool.take()
    pool.give_back(one)
    one.terminate()

    fresh = await pool.take()

    assert fresh is not one
    pool.give_back(fresh)


async def test_one_that_nobody_used_for_long_is_replaced(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await pool.take()
    pool.give_back(one)
    monkeypatch.setattr(pools, "IDLE_SECONDS", 0.0)

    fresh = await pool.take()

    assert fresh is not one
    assert one.is_closed()
    pool.give_back(fresh)


async def test_a_connection_that_can_not_be_opened_takes_nobodys_place(store_url: str) -> None:
    nowhere = partial(open_connection, f"{store_url}-that-is-not-there")
    pool = Pool(nowhere, size=1, patience_seconds=IMPATIENCE_SECONDS)

    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            await pool.take()


async def pid_of(session: Session) -> int:
    return int((await session.fetch(PG_PID))[0][0])


async def test_a_cancelled_readers_connection_is_nobody_elses(store_url: str) -> None:
    asked = asyncio.Event()
    pids = []

    async def hang(session: Session) -> None:
        pids.append(await pid_of(session))
        asked.set()
        await asyncio.Event().wait()

    store = await PostgresStore.open(store_url)
    try:
        reading = asyncio.create_task(store.glance(hang))
        await asked.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

        after = [await store.glance(pid_of) for _ in range(POOL_SIZE)]
    finally:
        await store.close()

    assert pids[0] not in after


async def test_more_readers_than_connections_take_turns(store_url: str) -> None:
    store = await PostgresStore.open(store_url)
    try:
        pids = await asyncio.gather(*(store.glance(pid_of) for _ in range(5 * POOL_SIZE)))
    finally:
        await store.close()

    assert len(pids) == 5 * POOL_SIZE
    assert len(set(pids)) <= POOL_SIZE

"""The connections that read from Postgres: a few for however many ask at once."""

import asyncio

from sqlalchemy import func, select

from bulonera_sync.store.postgres import POOL_SIZE, PostgresStore
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Statement
from tests.store.databases import ON_POSTGRES
from tests.store.test_units import PG_PID

pytestmark = ON_POSTGRES

SLEEP = Statement(select(func.pg_sleep(60)))


async def pid_of(session: Session) -> int:
    return int((await session.fetch(PG_PID))[0][0])


async def test_more_readers_than_connections_take_turns(store_url: str) -> None:
    store = await PostgresStore.open(store_url)
    try:
        pids = await asyncio.gather(*(store.glance(pid_of) for _ in range(5 * POOL_SIZE)))
    finally:
        await store.close()

    assert len(pids) == 5 * POOL_SIZE
    assert len(set(pids)) <= POOL_SIZE


async def test_readers_that_are_cancelled_in_the_middle_leave_room_for_others(
    store_url: str,
) -> None:
    begun: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(session: Session) -> None:
        await begun.put(None)
        await session.fetch(SLEEP)

    store = await PostgresStore.open(store_url)
    try:
        asleep = [asyncio.create_task(store.glance(sleep)) for _ in range(POOL_SIZE)]
        for _ in asleep:
            await begun.get()
        for each in asleep:
            each.cancel()
        await asyncio.gather(*asleep, return_exceptions=True)

        pids = [await store.glance(pid_of) for _ in range(POOL_SIZE)]
    finally:
        await store.close()

    assert all(each.cancelled() for each in asleep)
    assert len(pids) == POOL_SIZE

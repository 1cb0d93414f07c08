"""What waits together is written together, and fails apart."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from decimal import Decimal

import pytest

from bulonera_sync.errors import StatementRefusedError, StoreUnavailableError
from bulonera_sync.store import schema, writers
from bulonera_sync.store.sessions import Session, Store
from bulonera_sync.store.statements import Insert
from tests.store.databases import MAKE_NOTES, add_note, adding, locked, notes_in, opened, run_sql


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open store with a table of notes."""
    await run_sql(store_url, MAKE_NOTES)
    async with opened(store_url) as store:
        yield store


class Adding:
    """A joint unit of work that remembers what it was called with."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    async def add(self, session: Session, notes: Sequence[int]) -> list[str]:
        self.calls.append(list(notes))
        for note in notes:
            await add_note(session, note)
        return [f"note {note}" for note in notes]


async def in_one_turn(store: Store, adding: Adding, *notes: int) -> list[str | BaseException]:
    """Have these written while the writer is busy with another, so that they wait together."""
    waiting = [
        asyncio.create_task(store.write_jointly(adding.add, note, weight=1)) for note in notes
    ]
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_what_waits_for_the_same_is_one_call_and_each_gets_its_own_result(
    store: Store, store_url: str
) -> None:
    work = Adding()
    async with locked(store_url):
        first = asyncio.create_task(store.write(adding(100)))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(in_one_turn(store, work, 1, 2, 3))
        await asyncio.sleep(0.05)
    await first

    assert await waiting == ["note 1", "note 2", "note 3"]
    assert work.calls == [[1, 2, 3]]
    assert await notes_in(store) == [1, 2, 3, 100]


INSERT_ITEM = Insert(schema.sale_items)


async def test_what_is_refused_of_one_units_rows_is_not_told_to_the_next(
    store: Store, store_url: str
) -> None:
    async def refused(session: Session) -> None:
        await session.insert(
            INSERT_ITEM, [(1, 0, 404, *[Decimal(1)] * 2, "none", *[Decimal(1)] * 2)]
        )

    async def patient(session: Session) -> str:
        with suppress(StatementRefusedError):
            async with session.savepoint():
                await add_note(session, 1)
        await add_note(session, 2)
        return "written"

    async with locked(store_url):
        first = asyncio.create_task(store.write(adding(100)))
        await asyncio.sleep(0)
        both = [
            asyncio.create_task(store.write(refused)),
            asyncio.create_task(store.write(patient)),
        ]
        await asyncio.sleep(0.05)
    await first
    results = await asyncio.gather(*both, return_exceptions=True)

    assert isinstance(results[0], StatementRefusedError)
    assert results[1] == "written"
    assert await notes_in(store) == [1, 2, 100]


async def test_of_what_fails_together_only_the_one_at_fault_fails(
    store: Store, store_url: str
) -> None:
    work = Adding()
    async with locked(store_url):
        first = asyncio.create_task(store.write(adding(2)))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(in_one_turn(store, work, 1, 2, 3))
        await asyncio.sleep(0.05)
    await first

    one, refused, three = await waiting
    assert (one, three) == ("note 1", "note 3")
    assert isinstance(refused, StatementRefusedError)
    assert work.calls == [[1, 2, 3], [1], [2], [3]]
    assert await notes_in(store) == [1, 2, 3]


async def test_a_unit_that_raises_undoes_itself_alone(store: Store, store_url: str) -> None:
    async def change_its_mind(session: Session) -> None:
        await add_note(session, 7)
        raise LookupError("not there")

    async with locked(store_url):
        works = (adding(1), adding(2), change_its_mind, adding(3))
        waiting = [asyncio.create_task(store.write(work)) for work in works]
        await asyncio.sleep(0.05)

    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), type(None), LookupError, type(None)]
    assert await notes_in(store) == [1, 2, 3]


async def test_a_caller_that_is_gone_leaves_the_others_their_results(
    store: Store, store_url: str
) -> None:
    work = Adding()
    async with locked(store_url):
        first = asyncio.create_task(store.write(adding(100)))
        await asyncio.sleep(0)
        staying = asyncio.create_task(store.write_jointly(work.add, 1, weight=1))
        gone = asyncio.create_task(store.write_jointly(work.add, 2, weight=1))
        await asyncio.sleep(0)
        gone.cancel()
    await first

    assert await staying == "note 1"
    assert await notes_in(store) == [1, 2, 100]


async def test_beyond_what_may_wait_a_unit_is_refused_at_once(
    store: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "MAX_WAITING", 2)
    async with locked(store_url):
        taken = asyncio.create_task(store.write(adding(1)))
        await asyncio.sleep(0.05)
        waiting = [asyncio.create_task(store.write(adding(note))) for note in (2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailableError, match="too much to write"):
            await store.write(adding(4))

    await asyncio.gather(taken, *waiting)
    assert await notes_in(store) == [1, 2, 3]


async def test_when_the_database_goes_all_that_waited_hear_so(store: Store, store_url: str) -> None:
    async def lose_the_database(session: Session) -> None:
        raise StoreUnavailableError("gone")

    async with locked(store_url):
        first = asyncio.create_task(store.write(adding(1)))
        await asyncio.sleep(0.05)
        works = (adding(2), lose_the_database, adding(3))
        waiting = [asyncio.create_task(store.write(work)) for work in works]
        await asyncio.sleep(0)
    await first

    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailableError] * 3
    await store.write(adding(4))
    assert await notes_in(store) == [1, 4]


def test_a_single_sale_goes_before_large_batches_and_none_waits_for_ever() -> None:
    async def nothing(session: Session) -> None: ...

    async def groups() -> list[list[int]]:
        jobs = deque(
            writers._Job(nothing, asyncio.get_running_loop().create_future(), weight)
            for weight in (200, 200, 1, 200, 10, 300, 1)
        )
        taken = []
        while jobs:
            taken.append([job.weight for job in writers._take_group(jobs)])
        return taken

    assert asyncio.run(groups()) == [[200, 1, 10, 1], [200], [200], [300]]

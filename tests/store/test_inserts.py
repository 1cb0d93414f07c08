"""Rows on their way into the database: the same rows by whatever way, and what is refused on it."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import bindparam, func, select

from bulonera_sync.config import Settings
from bulonera_sync.errors import StatementRefusedError, StoreUnavailableError
from bulonera_sync.gateway import Gateway, open_gateway
from bulonera_sync.sales import User
from bulonera_sync.store import postgres_inserts, schema
from bulonera_sync.store.sessions import Session, Store, Work
from bulonera_sync.store.statements import Insert, Statement
from tests.factories import as_parsed, make_item, make_sale
from tests.store.databases import ON_POSTGRES, Rows, is_sqlite, opened, run_sql
from tests.store.test_refused_sales import refuse_rows, told

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

INSERT_COUNTER = Insert(schema.counters)
INSERT_CUSTOMER = Insert(schema.customers)
INSERT_PRODUCT = Insert(schema.products)
COUNT = Statement(select(func.count()).select_from(schema.counters))
VALUE = Statement(
    select(schema.counters.c.value).where(schema.counters.c.name == bindparam("name"))
)

# How many rows are enough to be copied: more than any test of these brings, any.
WAYS = {"inserted": 1_000, "copied": 1}
EACH_WAY = pytest.mark.parametrize("enough", WAYS.values(), ids=WAYS)


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    async with opened(store_url) as store:
        yield store


@pytest.fixture(autouse=True)
def _enough(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "enough" in request.fixturenames:
        enough = request.getfixturevalue("enough")
        monkeypatch.setattr(postgres_inserts, "ENOUGH_TO_COPY", enough)


def inserting(statement: Insert, *rows: tuple[Any, ...]) -> Work[None]:
    async def insert(session: Session) -> None:
        await session.insert(statement, rows)

    return insert


def counters(count: int, *, first: int = 0) -> list[tuple[str, int]]:
    return [(f"n{place}", place) for place in range(first, first + count)]


async def count_in(store: Store) -> int:
    async def count(session: Session) -> int:
        return int((await session.fetch(COUNT))[0][0])

    return await store.read(count)


@EACH_WAY
@pytest.mark.parametrize("rows", [1, 2, 64, 100, 129])
async def test_every_row_arrives_whole(
    store: Store, store_url: str, enough: int, rows: int
) -> None:
    products = [
        (place, f"c'{place}", "ñ\N{GRINNING FACE}\t\\N\n", Decimal("1.2345"), None, place % 2 == 0)
        for place in range(rows)
    ]

    await store.write(inserting(INSERT_PRODUCT, *products))

    stored = await run_sql(store_url, "SELECT * FROM products ORDER BY id")
    price = 12_345 if is_sqlite(store_url) else Decimal("1.2345")
    assert stored == [(*row[:3], price, *row[4:]) for row in products]


@EACH_WAY
async def test_rows_of_several_tables_arrive_together(
    store: Store, store_url: str, enough: int
) -> None:
    async def insert(session: Session) -> None:
        await session.insert(INSERT_CUSTOMER, [(1, "Ana", "", True)])
        await session.insert(INSERT_COUNTER, counters(1))
        await session.insert(INSERT_CUSTOMER, [(2, "Beto", "", False)])

    await store.write(insert)

    assert [bool(row[3]) for row in await run_sql(store_url, "SELECT * FROM customers")] == [
        True,
        False,
    ]
    assert await count_in(store) == 1


@EACH_WAY
async def test_what_was_inserted_is_seen_by_the_next_look(store: Store, enough: int) -> None:
    seen = []

    async def look(session: Session) -> None:
        for turn in range(3):
            await session.insert(INSERT_COUNTER, counters(2, first=2 * turn))
            seen.extend(await session.fetch(COUNT))

    await store.write(look)

    assert seen == [(2,), (4,), (6,)]


REFUSED = {
    "a number twice": counters(2) + counters(1),
    "a null": [*counters(2), (None, 1)],
    "a number too large": [*counters(2), ("n", 2**70)],
}
REFUSED_BY_POSTGRES = {
    "a text too long": [*counters(2), ("n" * 33, 1)],
    "a NUL": [*counters(2), ("a\0b", 1)],
    "half a character": [*counters(2), ("\ud800", 1)],
    "a word for a number": [*counters(2), ("n", "many")],
}


async def check_refused(store: Store, rows: list[tuple[Any, ...]]) -> None:
    """Hold that these rows are the data's fault, leave nothing, and stand in nobody's way."""
    with pytest.raises(StatementRefusedError):
        await store.write(inserting(INSERT_COUNTER, *rows))
    await store.write(inserting(INSERT_COUNTER, *counters(3)))

    assert await count_in(store) == 3


@EACH_WAY
@pytest.mark.parametrize("rows", REFUSED.values(), ids=REFUSED)
async def test_a_row_that_no_table_takes_is_the_datas_fault(
    store: Store, enough: int, rows: list[tuple[Any, ...]]
) -> None:
    await check_refused(store, rows)


@ON_POSTGRES
@EACH_WAY
@pytest.mark.parametrize("rows", REFUSED_BY_POSTGRES.values(), ids=REFUSED_BY_POSTGRES)
async def test_a_value_that_postgres_does_not_take_is_the_datas_fault_too(
    store: Store, enough: int, rows: list[tuple[Any, ...]]
) -> None:
    await check_refused(store, rows)


@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
async def test_of_more_rows_than_are_sent_at_once_the_first_and_the_last_are_refused_too(
    store: Store, place: int
) -> None:
    rows = [(f"n{each:031}", each) for each in range(20_000)]
    rows[place] = ("n", 2**70)

    await check_refused(store, rows)


@EACH_WAY
async def test_a_savepoint_undoes_its_rows_and_no_others(store: Store, enough: int) -> None:
    async def in_parts(session: Session) -> None:
        await session.insert(INSERT_COUNTER, counters(2))
        with suppress(StatementRefusedError):
            async with session.savepoint():
                await session.insert(INSERT_COUNTER, counters(3))
        async with session.savepoint():
            await session.insert(INSERT_COUNTER, counters(3, first=10))
        await session.insert(INSERT_COUNTER, counters(4, first=20))

    await store.write(in_parts)

    assert await count_in(store) == 2 + 3 + 4


@EACH_WAY
async def test_a_savepoint_left_by_an_error_writes_none_of_its_rows(
    store: Store, enough: int
) -> None:
    async def give_up(session: Session) -> None:
        with suppress(LookupError):
            async with session.savepoint():
                await session.insert(INSERT_COUNTER, counters(3))
                raise LookupError

    await store.write(give_up)

    assert await count_in(store) == 0


@ON_POSTGRES
@EACH_WAY
async def test_a_database_that_goes_is_unavailable_not_the_datas_fault(
    store: Store, store_url: str, enough: int
) -> None:
    end_others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    async def cut(session: Session) -> None:
        await session.fetch(COUNT)
        await run_sql(store_url, end_others)
        await session.insert(INSERT_COUNTER, counters(3))

    with pytest.raises(StoreUnavailableError):
        await store.write(cut)
    await store.write(inserting(INSERT_COUNTER, *counters(1)))

    assert await count_in(store) == 1


# What an upload, a retry, a conflict and a refused edit write.
WRITTEN = ("sales", "sale_items", "copies", "events", "waits")


async def written(settings: Settings, user: User, url: str) -> dict[str, Rows]:
    """Bring some of each to the empty shop; return what is stored of it."""
    sold = make_sale(local_id="11111111-1111-4111-8111-111111111111", notes="uno")
    held = make_sale(local_id="22222222-2222-4222-8222-222222222222", customer_id=777)
    other = make_sale(
        local_id="33333333-3333-4333-8333-333333333333",
        created_at="2026-03-01T09:00:00-03:00",
        items=[make_item(discount_type="percentage", discount_value="12.50")] * 3,
    )
    async with open_gateway(settings, clock=lambda: NOW, chance=lambda: 0.5) as gateway:
        await gateway.upload(user, as_parsed(sold, held, other))
        await gateway.upload(
            user, as_parsed({**sold, "notes": "dos"}, {**held, "customer_id": 778})
        )
        await gateway.upload(user, as_parsed({**sold, "notes": "tres"}, {**other, "items": []}))
    columns = {
        name: ", ".join(c.name for c in schema.metadata.tables[name].columns if c.name != "id")
        for name in WRITTEN
    }
    return {
        name: await run_sql(url, f"SELECT {columns[name]} FROM {name} ORDER BY {columns[name]}")  # noqa: S608
        for name in WRITTEN
    }


async def test_copied_rows_are_the_inserted_ones(
    settings: Settings,
    gateway: Gateway,
    cashier: User,
    store_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    for enough in WAYS.values():
        monkeypatch.setattr(postgres_inserts, "ENOUGH_TO_COPY", enough)
        found.append(await written(settings, cashier, store_url))
        emptied = (*reversed(WRITTEN[1:]), "sales", "counters")
        await run_sql(store_url, *(f"DELETE FROM {name}" for name in emptied))  # noqa: S608

    inserted, copied = found
    assert copied == inserted
    assert all(len(rows) > 1 for name, rows in inserted.items() if name != "waits")


@pytest.mark.parametrize("count", [3, 60])
async def test_of_however_many_the_one_refused_is_kept_alone(
    gateway: Gateway, cashier: User, store_url: str, count: int
) -> None:
    await refuse_rows(store_url, "sale_items", "NEW.line = 1")
    sold = [make_sale() for _ in range(count)]
    sold[count // 2]["items"] *= 2

    outcomes = await gateway.upload(cashier, as_parsed(*sold))

    expected = ["success"] * count
    expected[count // 2] = "not_stored"
    assert [told(each) for each in outcomes] == expected
    numbers = [int(str(each.sale_number).rpartition("-")[2]) for each in outcomes]
    assert numbers == list(range(1, count + 1))
    assert await run_sql(store_url, "SELECT count(*) FROM sale_items") == [(count - 1,)]

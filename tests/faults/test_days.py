"""Days when the clock is wrong, the year turns, or one sale of a hundred is bad."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bulonera_sync.gateway import open_gateway
from tests.conftest import make_settings
from tests.factories import CUSTOMERS, PRODUCTS, Json, make_item, make_sale
from tests.faults.figures import Figures, keep
from tests.faults.oracle import judge
from tests.faults.shops import Shop, assert_kept
from tests.http import Daemon, Till, running_daemon
from tests.store.databases import is_sqlite, run_sql

NOON = datetime(2026, 6, 1, 15, 0, tzinfo=UTC)
# Buenos Aires is three hours behind: its year turns at 3 in the morning.
JUST_BEFORE_2027 = datetime(2027, 1, 1, 2, 59, 59, tzinfo=UTC)


class Clock:
    """A clock that a test moves; it ticks with every look at it."""

    def __init__(self, now: datetime, tick: timedelta = timedelta(milliseconds=1)) -> None:
        self.now = now
        self.tick = tick

    def __call__(self) -> datetime:
        self.now += self.tick
        return self.now


@asynccontextmanager
async def a_day(store_url: str, clock: Clock) -> AsyncIterator[Daemon]:
    """A daemon that lives by this clock."""
    async with (
        open_gateway(make_settings(store_url), clock=clock) as gateway,
        running_daemon(gateway) as daemon,
    ):
        yield daemon


async def closed(shop: Shop, fault: str, times: int) -> None:
    """Judge what a day left, whose daemon has ended."""
    verdict = await judge(shop.store_url, [client.ledger for client in shop.clients])
    verdict.findings += [text for client in shop.clients for text in client.surprises]
    keep(Figures(fault, shop.engine, times, verdict.acknowledged, verdict.lost, verdict.doubled))
    assert_kept(verdict)


async def test_a_clock_that_goes_back_forward_and_back(shop: Shop) -> None:
    clock = Clock(NOON)
    steps = (timedelta(0), -timedelta(hours=2), timedelta(days=400), -timedelta(days=400))
    async with a_day(shop.store_url, clock) as daemon:
        for client in shop.clients:
            client.addresses = [daemon.address]
        shop.open()
        for step in steps:
            clock.now += step
            await shop.sell(40)
        await shop.drain()

    await closed(shop, "clock -2 h, +400 d, -400 d", len(steps))


async def test_a_year_that_turns_in_the_middle_of_a_batch(shop: Shop) -> None:
    clock = Clock(JUST_BEFORE_2027, tick=timedelta(milliseconds=20))
    async with a_day(shop.store_url, clock) as daemon:
        for client in shop.clients:
            client.addresses = [daemon.address]
        shop.open()
        await shop.sell(40)
        await shop.wait_until(lambda: clock.now.hour == 3, 20, "the year does not turn")
        await shop.sell(40)
        await shop.drain()

    await closed(shop, "new year in a batch", 1)
    years = await run_sql(shop.store_url, "SELECT DISTINCT substr(number, 5, 4) FROM sales")
    assert sorted(year for (year,) in years) == ["2026", "2027"]


async def test_numbers_grow_wider_past_99999(start_a_day: Any, store_url: str) -> None:
    async with start_a_day() as ana:
        await ana.upload(make_sale())
        await run_sql(store_url, "UPDATE counters SET value = 99989 WHERE name = 'number 2026'")
        sales = [make_sale() for _ in range(21)]

        first = (await ana.upload(*sales)).json["results"]
        again = (await ana.upload(*sales)).json["results"]
        shown = await ana.status(first[-1]["sale_id"])

    numbers = [each["sale_number"] for each in first]
    assert numbers == [f"VTA-2026-{number}" for number in range(99_990, 100_011)]
    assert [each["sale_number"] for each in again] == numbers
    assert shown["sale_number"] == "VTA-2026-100010"


@pytest.fixture
def start_a_day(store_url: str) -> Any:
    @asynccontextmanager
    async def start() -> AsyncIterator[Till]:
        async with a_day(store_url, Clock(NOON)) as daemon:
            await daemon.gateway.import_rows("customers", CUSTOMERS)
            await daemon.gateway.import_rows("products", PRODUCTS)
            yield await daemon.till("ana")

    return start


GONE = object()

BAD_SALES: dict[str, list[Any]] = {
    "local_id": [GONE, None, "", " ", "abc", 123, "{550e8400-e29b-41d4-a716-446655440000}"],
    "customer_id": [GONE, None, "", "x", 1.5, -1, 0, 999, 90, True, [], {}, 10**30],
    "items": [GONE, None, [], {}, "x", [None], ["x"], [5]],
    "status": ["foo", "", "DRAFT", 5, []],
    "notes": [5, "x" * 2_001, "\0", [], {}],
    "version": [0, -1, "x", 1.5, 10**20, True],
    "created_at": ["x", 5, "2026-02-16", "2026-02-16T10:30:00", "2026-13-01T00:00:00Z"],
}
BAD_ITEMS: dict[str, list[Any]] = {
    "product_id": [GONE, None, "x", 0, -1, 999, 990, 1.5, True],
    "quantity": [GONE, None, "", "0", "-1", "abc", "NaN", "Infinity", "0.0001", True, []],
    "unit_price": [GONE, "-1", "abc", "NaN", True, []],
    "discount_type": ["x", 5],
    "discount_value": ["5", "abc"],
    "tax_percentage": ["-1", "101", "x"],
    "qty": ["1"],
}


def bad_sales() -> list[Json]:
    """A sale of each kind that is wrong in one place."""
    made: list[Json] = []
    for name, values in BAD_SALES.items():
        made += [_without_gone(make_sale(**{name: value})) for value in values]
    for name, values in BAD_ITEMS.items():
        items = (_without_gone(make_item(**{name: value})) for value in values)
        made += [make_sale(items=[item]) for item in items]
    return made


def _without_gone(document: Json) -> Json:
    return {name: value for name, value in document.items() if value is not GONE}


async def test_one_bad_sale_of_every_kind_leaves_99_good_ones(
    start_a_day: Any, store_url: str
) -> None:
    kinds = bad_sales()
    assert len(kinds) >= 80
    async with start_a_day() as ana:
        for place, bad in enumerate(kinds):
            batch = [make_sale() for _ in range(99)]
            batch.insert(place, bad)
            answer = await ana.upload(*batch)

            results = answer.json["results"]
            assert answer.status == 200, bad
            assert results.pop(place)["status"] == "error", bad
            assert {each["status"] for each in results} == {"success"}, bad

    [[held]] = await run_sql(
        store_url, "SELECT count(*) FROM sales WHERE sync_status = 'error' AND payload IS NOT NULL"
    )
    [[strange]] = await run_sql(store_url, "SELECT sum(times) FROM quarantine")
    [[stored]] = await run_sql(store_url, "SELECT count(*) FROM sales")
    assert held + strange == len(kinds)
    assert stored == 99 * len(kinds) + held
    engine = "sqlite" if is_sqlite(store_url) else "postgres"
    keep(Figures("one bad sale of 100", engine, len(kinds), 100 * len(kinds), 0, 0))

"""Numbers: one counter a year, no gap and no double, whoever writes at once."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from bulonera_sync.config import Settings
from bulonera_sync.gateway import Gateway, open_gateway
from bulonera_sync.sales import User
from tests.conftest import make_settings
from tests.factories import as_parsed, make_sale
from tests.store.databases import locked, run_sql


def at(*moments: datetime) -> Callable[[], datetime]:
    """A clock that tells these moments one after the other, and then the last for ever."""
    left = list(moments)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


async def numbers_of(gateway: Gateway, user: User, *sold: object) -> list[str]:
    return [str(each.sale_number) for each in await gateway.upload(user, as_parsed(*sold))]


@pytest.mark.parametrize(
    ("moment", "year"),
    [
        (datetime(2026, 1, 1, 2, 59, 59, tzinfo=UTC), 2025),
        (datetime(2026, 1, 1, 3, 0, tzinfo=UTC), 2026),
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 2026),
    ],
    ids=str,
)
async def test_the_year_is_the_stores_own(
    settings: Settings, gateway: Gateway, cashier: User, moment: datetime, year: int
) -> None:
    async with open_gateway(settings, clock=at(moment)) as there:
        numbers = await numbers_of(there, cashier, make_sale(created_at="2019-05-05T00:00:00Z"))

    assert numbers == [f"VTA-{year}-00001"]


async def test_each_year_counts_from_one_and_the_last_goes_on_where_it_was(
    settings: Settings, gateway: Gateway, cashier: User
) -> None:
    numbers = []
    for year in (2026, 2027, 2026):
        moment = datetime(year, 6, 1, tzinfo=UTC)
        async with open_gateway(settings, clock=at(moment)) as there:
            numbers += await numbers_of(there, cashier, make_sale())

    assert numbers == ["VTA-2026-00001", "VTA-2027-00001", "VTA-2026-00002"]


async def test_the_number_grows_wider_past_99999(
    settings: Settings, gateway: Gateway, cashier: User, store_url: str
) -> None:
    year = datetime.now(UTC).year
    await run_sql(
        store_url,
        f"INSERT INTO counters (name, value) VALUES ('number {year}', 99998)",  # noqa: S608
    )

    numbers = await numbers_of(gateway, cashier, make_sale(), make_sale(), make_sale())

    assert [each.rpartition("-")[2] for each in numbers] == ["99999", "100000", "100001"]


async def test_held_sales_have_numbers_and_quarantined_ones_none(
    gateway: Gateway, cashier: User
) -> None:
    numbers = await numbers_of(
        gateway, cashier, make_sale(), {"local_id": "x"}, make_sale(items=[]), make_sale()
    )

    assert [each.rpartition("-")[2] for each in numbers] == ["00001", "None", "00002", "00003"]


async def test_several_gateways_at_once_give_out_each_number_once(
    store_url: str, gateway: Gateway, cashier: User
) -> None:
    settings = make_settings(store_url)
    async with AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(open_gateway(settings)) for _ in range(3)]

        given = await asyncio.gather(
            *(
                numbers_of(gateways[place % 3], cashier, make_sale(), make_sale(items=[]))
                for place in range(15)
            )
        )

    last_digits = sorted(int(number[-5:]) for numbers in given for number in numbers)
    assert last_digits == list(range(1, 31))


async def test_one_sale_sent_to_several_gateways_at_once_is_one_sale(
    store_url: str, gateway: Gateway, cashier: User
) -> None:
    settings, sale = make_settings(store_url), make_sale()
    async with AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(open_gateway(settings)) for _ in range(3)]

        given = await asyncio.gather(
            *(numbers_of(gateways[place % 3], cashier, sale) for place in range(15))
        )

    assert {number for numbers in given for number in numbers} == {given[0][0]}
    assert await run_sql(store_url, "SELECT count(*) FROM sales") == [(1,)]


async def test_requests_of_two_years_that_are_written_together_count_each_in_its_own(
    settings: Settings, gateway: Gateway, cashier: User, store_url: str
) -> None:
    moments = [datetime(year, 6, 1, tzinfo=UTC) for year in (2026, 2026, 2027, 2026)]
    async with open_gateway(settings, clock=at(*moments)) as there, locked(store_url):
        first = asyncio.create_task(numbers_of(there, cashier, make_sale()))
        await asyncio.sleep(0.05)
        together = [asyncio.create_task(numbers_of(there, cashier, make_sale())) for _ in range(3)]
        await asyncio.sleep(0.05)
        is_waiting = there.waiting_writes == len(together)

    assert is_waiting
    assert await first == ["VTA-2026-00001"]
    assert [await each for each in together] == [
        ["VTA-2026-00002"],
        ["VTA-2027-00001"],
        ["VTA-2026-00003"],
    ]

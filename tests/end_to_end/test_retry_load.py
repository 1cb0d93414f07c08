"""Ten thousand sales in error: what a cycle of the worker, and a burst of imports, touch."""

import random
from collections import Counter
from typing import Any

import pytest

from bulonera_sync.gateway import Gateway, open_gateway
from bulonera_sync.gateway.retries import BATCH as RETRIED_AT_ONCE
from bulonera_sync.sales import User
from bulonera_sync.store.catalog import CatalogCustomer
from tests.conftest import make_settings
from tests.factories import PRODUCTS, as_parsed, make_sale
from tests.model.stopped import Clock, step
from tests.server.test_state_table import query

HELD = 10_000
FIRST = 10_000
BATCH = 200


async def hold(gateway: Gateway, user: User, count: int) -> None:
    """Hold sales that wait for a customer of their own each."""
    for start in range(FIRST, FIRST + count, BATCH):
        raw = [make_sale(customer_id=start + place) for place in range(BATCH)]
        await gateway.upload(user, as_parsed(*raw))


def customers(start: int, count: int) -> list[CatalogCustomer]:
    return [
        CatalogCustomer(each, f"Cliente {each}", "", True) for each in range(start, start + count)
    ]


async def rows(store_url: str) -> dict[str, tuple[Any, ...]]:
    """Return attempts, next attempt and state of every held sale, by the customer it named."""
    found = await query(
        store_url,
        "SELECT payload, attempts, automatic_attempts, next_attempt_at, sync_status, updated_at, id"
        " FROM sales",
    )
    return {str(row[-1]): row[:-1] for row in found}


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_only_what_is_due_or_healed_is_touched(store_url: str, clock: Clock) -> None:
    async with open_gateway(make_settings(store_url), clock=clock, chance=lambda: 1.0) as gateway:
        await gateway.import_rows("products", PRODUCTS)
        ana = (await gateway.add_user("ana", "cashier"))[0]
        await hold(gateway, ana, HELD)
        before = await rows(store_url)

        idle = await step(gateway)
        for _ in range(20):
            await gateway.import_rows("customers", customers(FIRST, 300))
            await gateway.import_rows("customers", customers(50_000, 300))
        batches = []
        while judged := await gateway.retry_due():
            batches.append(len(judged))

        after = await rows(store_url)
    touched = {key for key, row in after.items() if row != before[key]}
    attempts = Counter(row[1] for row in after.values())
    assert idle == 0
    assert sum(batches) == 300
    assert max(batches) <= RETRIED_AT_ONCE
    assert len(touched) == 300
    assert attempts == {1: HELD - 300, 2: 300}
    assert Counter(row[4] for row in after.values()) == {"error": HELD - 300, "synced": 300}


async def test_what_a_person_asks_for_waits_behind_no_storm(store_url: str, clock: Clock) -> None:
    async with open_gateway(make_settings(store_url), clock=clock, chance=lambda: 1.0) as gateway:
        await gateway.import_rows("products", PRODUCTS)
        ana = (await gateway.add_user("ana", "cashier"))[0]
        await hold(gateway, ana, BATCH)
        asked = make_sale(customer_id=99_999)
        [refused] = await gateway.upload(ana, as_parsed(asked))
        await gateway.import_rows("customers", customers(FIRST, BATCH))
        await gateway.import_rows("customers", customers(99_999, 1))
        clock.advance(60)
        assert refused.sale_id is not None
        await gateway.retry(ana, [refused.sale_id])

        await gateway.retry_due()

        found = await gateway.find_sale(ana, refused.sale_id)
    assert found.sale.sync_status == "synced"


async def test_what_failed_together_does_not_come_back_together(
    store_url: str, clock: Clock
) -> None:
    luck = random.Random(7)  # noqa: S311 - jitter, no secret
    async with open_gateway(make_settings(store_url), clock=clock, chance=luck.random) as gateway:
        await gateway.import_rows("products", PRODUCTS)
        ana = (await gateway.add_user("ana", "cashier"))[0]
        await hold(gateway, ana, BATCH)
        clock.advance(30)

        await step(gateway)

        times = Counter(row[3] for row in (await rows(store_url)).values())
    assert max(times.values()) < 5


async def test_what_was_refused_in_one_upload_does_not_come_back_together(
    store_url: str, clock: Clock
) -> None:
    luck = random.Random(7)  # noqa: S311 - jitter, no secret
    async with open_gateway(make_settings(store_url), clock=clock, chance=luck.random) as gateway:
        await gateway.import_rows("products", PRODUCTS)
        ana = (await gateway.add_user("ana", "cashier"))[0]

        await hold(gateway, ana, BATCH)

        times = Counter(row[3] for row in (await rows(store_url)).values())
    assert max(times.values()) < 5


async def test_uploads_come_between_the_batches_of_a_long_cycle(
    store_url: str, clock: Clock
) -> None:
    async with open_gateway(make_settings(store_url), clock=clock, chance=lambda: 1.0) as gateway:
        await gateway.import_rows("products", PRODUCTS)
        await gateway.import_rows("customers", customers(5, 1))
        ana = (await gateway.add_user("ana", "cashier"))[0]
        await hold(gateway, ana, 1_000)
        clock.advance(30)

        taken = []
        while await gateway.retry_due():
            [outcome] = await gateway.upload(ana, as_parsed(make_sale()))
            taken.append(outcome.sale_number)

        due = await query(
            store_url, "SELECT count(*) FROM sales WHERE sync_status = 'error' AND attempts <> 2"
        )
    assert len(taken) == 1_000 / RETRIED_AT_ONCE
    assert due == [(0,)]

"""Two daemons share one Postgres and are killed in the middle: each due sale is judged once."""

import asyncio
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from bulonera_sync.config import RetrySettings
from bulonera_sync.gateway import open_gateway
from bulonera_sync.store.catalog import CatalogCustomer
from tests.conftest import make_settings
from tests.end_to_end.processes import DaemonProcess, on_store, serving_process
from tests.factories import CUSTOMERS, PRODUCTS, as_parsed, make_item, make_sale

DUE = 1_000
BATCH = 200
END_SECONDS = 60

# After this test's attempt nothing is due again within it, whatever the jitter.
PATIENT = {
    "BULONERA_RETRY__FIRST_DELAY": str(31 * 86_400),
    "BULONERA_RETRY__MAX_DELAY": str(31 * 86_400),
}

JUDGED = "SELECT count(*) FROM sales WHERE attempts > 1"
STORY = """
    SELECT s.id, s.number, s.sync_status, s.attempts, s.automatic_attempts,
           count(e.id) AS judgements, count(DISTINCT e.detail) AS ends
    FROM sales s LEFT JOIN events e ON e.sale_id = s.id AND e.actor = 'scheduler'
    GROUP BY s.id ORDER BY s.id
"""


async def make_due(store_url: str) -> list[tuple[int, str]]:
    """Hold sales whose first automatic attempt is due now; half of them will find their customer.

    Returns each one's id and number.
    """
    settings = make_settings(store_url)
    settings = settings.model_copy(update={"retry": RetrySettings()})
    found: list[tuple[int, str]] = []
    async with open_gateway(settings, chance=lambda: 0.0) as gateway:
        await gateway.import_rows("customers", CUSTOMERS)
        await gateway.import_rows("products", PRODUCTS)
        ana = (await gateway.add_user("ana", "cashier"))[0]
        items = [make_item()] * 10
        for _ in range(DUE // BATCH):
            raw = [make_sale(customer_id=998 + place % 2, items=items) for place in range(BATCH)]
            outcomes = await gateway.upload(ana, as_parsed(*raw))
            found += [(each.sale_id or 0, each.sale_number or "") for each in outcomes]
        await gateway.import_rows("customers", [CatalogCustomer(999, "Cliente nuevo", "", True)])
    return found


async def wait_for(
    connection: "asyncpg.Connection[asyncpg.Record]", count: int, *, pause: float
) -> int:
    """Return how many are judged as soon as that many are."""
    async with asyncio.timeout(END_SECONDS):
        # Another process judges: there is no event to wait for.
        while (judged := int(await connection.fetchval(JUDGED))) < count:  # noqa: ASYNC110
            await asyncio.sleep(pause)
    return judged


async def two_daemons(stack: AsyncExitStack, folder: Path, store_url: str) -> list[DaemonProcess]:
    started = []
    for name in ("one", "two"):
        (folder / name).mkdir(exist_ok=True)
        running = serving_process(folder / name, **on_store(store_url), **PATIENT)
        started.append(await stack.enter_async_context(running))
    return started


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
async def test_a_killed_worker_neither_loses_nor_repeats_an_attempt(
    store_url: str, tmp_path: Path
) -> None:
    held = await make_due(store_url)
    watching = await asyncpg.connect(store_url)
    try:
        async with AsyncExitStack() as stack:
            killed = await two_daemons(stack, tmp_path, store_url)
            await wait_for(watching, 1, pause=0)
            for daemon in killed:
                daemon.tell(signal.SIGKILL)
            await asyncio.gather(*(daemon.ended() for daemon in killed))
            halfway = int(await watching.fetchval(JUDGED))
        async with AsyncExitStack() as stack:
            restarted = await two_daemons(stack, tmp_path, store_url)
            await wait_for(watching, DUE, pause=0.1)
            # An orderly end: what a turn has begun is judged before the count.
            await asyncio.gather(*(daemon.end() for daemon in restarted))
        rows = await watching.fetch(STORY)
    finally:
        await watching.close()

    assert 0 < halfway < DUE
    assert [(row["id"], row["number"]) for row in rows] == held
    assert Counter(row["judgements"] for row in rows) == {1: DUE}
    assert Counter(row["attempts"] for row in rows) == {2: DUE}
    assert Counter(row["sync_status"] for row in rows) == {"synced": DUE // 2, "error": DUE // 2}

"""Nothing stays stuck: an import brings what was missing, and the sale is synced by itself."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bulonera_sync.gateway import Gateway, open_gateway
from bulonera_sync.sales import OPERATOR
from bulonera_sync.store import sales as sales_store
from bulonera_sync.store.catalog import CatalogCustomer, CatalogProduct
from bulonera_sync.store.dialect import POSTGRES, SQLITE
from bulonera_sync.store.drivers import sqlite3
from bulonera_sync.store.statements import Statement
from tests.conftest import make_settings
from tests.factories import CUSTOMERS, Json, as_parsed, make_item, make_sale
from tests.http import Daemon, Till
from tests.model.stopped import Chance, Clock, step, stopped_daemon

NEW_CUSTOMER = CatalogCustomer(999, "Cliente nuevo", "", True)
WITHIN_SECONDS = 5


async def synced_within(till: Till, key: int, seconds: float) -> Json:
    """Ask until the sale is synced; return its status."""
    deadline = time.monotonic() + seconds
    while True:
        status: Json = await till.status(key)
        if status["sync_status"] == "synced":
            return status
        assert time.monotonic() < deadline, status
        await asyncio.sleep(0.05)


def product(product_id: int, *, is_active: bool = True) -> CatalogProduct:
    return CatalogProduct(product_id, "", f"Producto {product_id}", None, None, is_active)


# With the daemon's own jobs


async def test_an_import_in_the_daemon_heals_within_five_seconds(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    refused = (await ana.upload(make_sale(customer_id=999))).result

    await daemon.gateway.import_rows("customers", [NEW_CUSTOMER])

    status = await synced_within(ana, refused["sale_id"], WITHIN_SECONDS)
    assert (status["sale_id"], status["sale_number"]) == (
        refused["sale_id"],
        refused["sale_number"],
    )
    assert (status["version"], status["error"], status["sync_attempt_count"]) == (1, None, 2)
    _, entries = await daemon.gateway.history(OPERATOR, refused["sale_id"])
    told = [(entry.kind, entry.actor, entry.detail.get("error")) for entry in entries]
    assert told == [
        ("held", "user", "Customer con id=999 no existe en base de datos"),
        ("retried", "scheduler", None),
    ]


async def test_an_import_by_another_gateway_heals_within_five_seconds(
    daemon: Daemon, store_url: str
) -> None:
    ana = await daemon.till("ana")
    refused = (await ana.upload(make_sale(customer_id=999))).result

    async with open_gateway(make_settings(store_url)) as office:
        await office.import_rows("customers", [NEW_CUSTOMER])

    status = await synced_within(ana, refused["sale_id"], WITHIN_SECONDS)
    assert status["sale_number"] == refused["sale_number"]


async def test_an_import_from_a_file_heals_within_five_seconds(
    daemon: Daemon, store_url: str, tmp_path: Path
) -> None:
    ana = await daemon.till("ana")
    refused = (await ana.upload(make_sale(items=[make_item(product_id=777)]))).result
    file = tmp_path / "products.csv"
    file.write_text("id;name;price\n777;Tornillo;12,5\n")

    async with open_gateway(make_settings(store_url)) as office:
        await office.import_catalog("products", file)

    await synced_within(ana, refused["sale_id"], WITHIN_SECONDS)


async def test_a_requested_retry_is_judged_within_five_seconds(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    refused = (await ana.upload(make_sale(customer_id=999))).result

    async with asyncio.timeout(WITHIN_SECONDS):
        await ana.post("/api/v1/sales/sync/retry/", {"sale_ids": [refused["sale_id"]]})
        while (status := await ana.status(refused["sale_id"]))["sync_status"] != "error":  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    assert status["sync_attempt_count"] == 2


# With the worker stepped


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def stopped(store_url: str, clock: Clock) -> AsyncIterator[Daemon]:
    async with stopped_daemon(store_url, clock, Chance()) as running:
        yield running


@pytest.fixture
async def ana(stopped: Daemon) -> Till:
    return await stopped.till("ana")


async def test_a_replay_after_the_healing_is_already_synced(ana: Till, stopped: Daemon) -> None:
    sale = make_sale(customer_id=999)
    refused = (await ana.upload(sale)).result
    await stopped.gateway.import_rows("customers", [NEW_CUSTOMER])
    await step(stopped.gateway)

    result = (await ana.upload(sale)).result

    assert result["message"] == "Sale already synced"
    assert (result["sale_id"], result["sale_number"]) == (
        refused["sale_id"],
        refused["sale_number"],
    )


async def test_a_row_that_becomes_active_again_heals(ana: Till, stopped: Daemon) -> None:
    refused = (await ana.upload(make_sale(customer_id=90))).result

    await stopped.gateway.import_rows("customers", [CatalogCustomer(90, "Vuelve", "", True)])

    assert await step(stopped.gateway) == 1
    assert (await ana.status(refused["sale_id"]))["sync_status"] == "synced"


async def test_a_sale_that_waits_for_three_heals_with_the_last(ana: Till, stopped: Daemon) -> None:
    items = [make_item(product_id=701), make_item(product_id=702), make_item(product_id=701)]
    refused = (await ana.upload(make_sale(customer_id=999, items=items))).result
    states = []

    for kind, row in (
        ("products", product(702)),
        ("customers", NEW_CUSTOMER),
        ("products", product(701)),
    ):
        await stopped.gateway.import_rows(kind, [row])  # type: ignore[arg-type]
        await step(stopped.gateway)
        states.append((await ana.status(refused["sale_id"]))["sync_status"])

    assert states == ["error", "error", "synced"]


async def test_imports_before_the_worker_came_are_one_attempt(ana: Till, stopped: Daemon) -> None:
    refused = (
        await ana.upload(make_sale(customer_id=999, items=[make_item(product_id=777)]))
    ).result
    for _ in range(20):
        await stopped.gateway.import_rows("customers", [NEW_CUSTOMER])
        await stopped.gateway.import_rows("products", [product(777)])

    judged = await step(stopped.gateway)

    assert judged == 1
    assert (await ana.status(refused["sale_id"]))["sync_attempt_count"] == 2


async def test_the_same_import_again_tries_nothing_again(ana: Till, stopped: Daemon) -> None:
    refused = (
        await ana.upload(make_sale(customer_id=999, items=[make_item(product_id=777)]))
    ).result
    for _ in range(20):
        await stopped.gateway.import_rows("customers", [*CUSTOMERS, NEW_CUSTOMER])
        await step(stopped.gateway)

    assert (await ana.status(refused["sale_id"]))["sync_attempt_count"] == 2


async def test_an_import_leaves_a_queued_sale_queued(ana: Till, stopped: Daemon) -> None:
    refused = (await ana.upload(make_sale(customer_id=999))).result
    await ana.post("/api/v1/sales/sync/retry/", {"sale_ids": [refused["sale_id"]]})

    await stopped.gateway.import_rows("customers", [NEW_CUSTOMER])

    queued = await ana.status(refused["sale_id"])
    await step(stopped.gateway)
    healed = await ana.status(refused["sale_id"])
    assert (queued["sync_status"], queued["sync_attempt_count"]) == ("pending", 2)
    assert (healed["sync_status"], healed["sync_attempt_count"]) == ("synced", 2)


async def test_a_sale_that_waits_no_longer_is_not_touched_by_an_import(
    ana: Till, stopped: Daemon
) -> None:
    sale = make_sale(customer_id=999)
    refused = (await ana.upload(sale)).result
    await ana.upload({**sale, "customer_id": 998})

    await stopped.gateway.import_rows("customers", [NEW_CUSTOMER])

    assert await step(stopped.gateway) == 0
    assert (await ana.status(refused["sale_id"]))["sync_attempt_count"] == 2


async def test_a_sale_cured_by_its_till_is_not_touched_by_an_import(
    ana: Till, stopped: Daemon
) -> None:
    sale = make_sale(customer_id=999)
    cured = (await ana.upload({**sale})).result
    await ana.upload({**sale, "customer_id": 5})
    before = await ana.sale(cured["sale_id"])

    await stopped.gateway.import_rows("customers", [NEW_CUSTOMER])

    assert await step(stopped.gateway) == 0
    assert await ana.sale(cured["sale_id"]) == before


async def test_a_sale_waits_for_no_id_that_can_never_be(ana: Till, stopped: Daemon) -> None:
    refused = (await ana.upload(make_sale(customer_id=10**30))).result

    await stopped.gateway.import_rows("customers", [NEW_CUSTOMER])

    assert await step(stopped.gateway) == 0
    assert (await ana.status(refused["sale_id"]))["sync_status"] == "error"


async def test_a_restart_forgets_nothing_that_is_due(store_url: str, clock: Clock) -> None:
    async with stopped_daemon(store_url, clock, Chance()) as before:
        ana = await before.till("ana")
        healing = (await ana.upload(make_sale(customer_id=999))).result
        queued = (await ana.upload(make_sale(items=[]))).result
        await ana.post("/api/v1/sales/sync/retry/", {"sale_ids": [queued["sale_id"]]})
        await before.gateway.import_rows("customers", [NEW_CUSTOMER])

    async with stopped_daemon(store_url, clock, Chance()) as after:
        judged = await step(after.gateway)

        again = after.till_of(ana.token)
        states = [
            (await again.status(each["sale_id"]))["sync_status"] for each in (healing, queued)
        ]
    assert judged == 2
    assert states == ["synced", "error"]


# What it costs: each statement by its index


async def plan_of(store_url: str, statement: Statement, **values: Any) -> str:
    """Return how the engine would run a statement of ours, with as many rows as there are."""
    if store_url.startswith("sqlite"):
        compiled = statement.for_dialect(SQLITE)
        connection = sqlite3.connect(store_url.removeprefix("sqlite:///"))
        try:
            rows = connection.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", compiled.bind(values))
            return "\n".join(str(row[-1]) for row in rows)
        finally:
            connection.close()
    compiled = statement.for_dialect(POSTGRES)
    connection = await asyncpg.connect(store_url)
    try:
        await connection.execute("ANALYZE")
        rows = await connection.fetch(f"EXPLAIN {compiled.sql}", *compiled.bind(values))
        return "\n".join(row[0] for row in rows)
    finally:
        await connection.close()


async def many_held(gateway: Gateway, count: int) -> None:
    """Hold sales that wait for a customer each, in error for want of it, beside synced ones."""
    owner = (await gateway.add_user("eva", "cashier"))[0]
    for start in range(0, count, 200):
        raw = [make_sale(customer_id=10_000 + start + place) for place in range(200)]
        await gateway.upload(owner, as_parsed(*raw))
        await gateway.upload(owner, as_parsed(*(make_sale() for _ in range(200))))


async def test_healing_and_the_worker_go_by_their_indexes(
    store_url: str, stopped: Daemon, clock: Clock
) -> None:
    await many_held(stopped.gateway, 2_000)
    heal = {
        "kind": "customer",
        "ids": [10_005],
        "now": clock.now,
        "cause": "import",
        "attempts": 0,
        "is_dead": False,
    }

    plans = {
        "heal": await plan_of(store_url, sales_store.HEAL, **heal),
        "any due": await plan_of(store_url, sales_store.ANY_DUE, now=clock.now),
        "due": await plan_of(store_url, sales_store.DUE, now=clock.now, limit=100),
    }

    for plan in plans.values():
        assert "SCAN sales" not in plan.replace("SCAN sales USING INDEX ix_sales_due", ""), plan
        assert "Seq Scan" not in plan, plan
    assert "ix_sales_due" in plans["any due"]
    assert "ix_sales_due" in plans["due"]
    assert "waits" in plans["heal"]

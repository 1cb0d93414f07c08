"""Retry over HTTP (contract 5): what queues, what each row says, what the worker makes of it."""

from collections.abc import AsyncIterator

import pytest

from bulonera_sync.config import RetrySettings
from bulonera_sync.store.catalog import CatalogCustomer, CatalogProduct
from tests.factories import PRODUCTS, Json, make_item, make_sale, new_local_id
from tests.http import SYNC, Answer, Daemon, Till
from tests.model.stopped import Chance, Clock, step, stopped_daemon

NO_CUSTOMER = "Customer con id=999 no existe en base de datos"
BAD_QUANTITY = "Item #0: quantity debe ser mayor a 0, recibido: 0"
REQUIRED = "sale_ids requerido (lista de IDs)"
NOT_INTEGERS = "sale_ids debe ser lista de números enteros"
NEW_CUSTOMER = CatalogCustomer(999, "Cliente nuevo", "", True)
NEW_PRODUCT = CatalogProduct(777, "P777", "Producto nuevo", None, None, True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chance() -> Chance:
    return Chance()


@pytest.fixture
async def stopped(store_url: str, clock: Clock, chance: Chance) -> AsyncIterator[Daemon]:
    """A daemon that retries nothing until the test steps it."""
    async with stopped_daemon(store_url, clock, chance) as running:
        yield running


@pytest.fixture
async def ana(stopped: Daemon) -> Till:
    return await stopped.till("ana")


async def retry(till: Till, *sale_ids: object, **more: object) -> Answer:
    return await till.post(f"{SYNC}/retry/", {"sale_ids": list(sale_ids), **more})


async def held(till: Till, **said: object) -> Json:
    """The result of a sale that waits for customer 999."""
    sale: Json = {"customer_id": 999, **said}
    result: Json = (await till.upload(make_sale(**sale))).result
    assert result["status"] == "error"
    return result


async def incurable(till: Till) -> Json:
    return await held(till, customer_id=5, items=[make_item(quantity="0")])


async def parked(till: Till) -> Json:
    """The result of a sale in conflict."""
    sale = make_sale(notes="a")
    await till.upload(sale)
    await till.upload({**sale, "notes": "b"})
    result: Json = (await till.upload({**sale, "notes": "c"})).result
    assert result["status"] == "conflict"
    return result


# What a retry answers


async def test_a_held_sale_is_queued_as_the_guide_shows(ana: Till) -> None:
    sale = await held(ana)

    answer = await retry(ana, sale["sale_id"])

    assert answer.status == 200
    [row] = answer.json["results"]
    assert answer.json["message"] == "Retry queued successfully"
    assert answer.json["processed"] == 1
    assert row["sale_id"] == sale["sale_id"]
    assert row["sale_number"] == sale["sale_number"]
    assert (row["status"], row["attempt"]) == ("queued", 2)


async def test_a_queued_sale_is_pending_with_its_error_cleared(ana: Till) -> None:
    sale = await held(ana)

    await retry(ana, sale["sale_id"])

    status = await ana.status(sale["sale_id"])
    assert status["sync_status"] == "pending"
    assert status["error"] is None
    assert status["errors"] == []
    assert status["sync_attempt_count"] == 2


async def test_a_sale_already_queued_stays_queued_with_the_same_attempt(ana: Till) -> None:
    sale = await held(ana)
    first = await retry(ana, sale["sale_id"])

    again = await retry(ana, sale["sale_id"])

    assert again.text == first.text
    assert (await ana.status(sale["sale_id"]))["sync_attempt_count"] == 2


async def test_a_sale_can_be_named_by_its_local_id_in_any_case(ana: Till) -> None:
    sale = await held(ana)

    answer = await ana.post(f"{SYNC}/retry/", {"local_ids": [sale["local_id"].upper()]})

    [row] = answer.json["results"]
    assert (row["sale_id"], row["status"]) == (sale["sale_id"], "queued")


async def test_each_id_gets_a_row_of_its_own_in_order(ana: Till, stopped: Daemon) -> None:
    eva = await stopped.till("eva")
    queued, synced, conflict = (
        await held(ana),
        (await ana.upload(make_sale())).result,
        await parked(ana),
    )
    foreign = await held(eva)
    ids = [10**15, synced["sale_id"], conflict["sale_id"], foreign["sale_id"], queued["sale_id"]]

    answer = await retry(ana, *ids)

    rows = answer.json["results"]
    assert answer.json["processed"] == 1
    assert [row["sale_id"] for row in rows] == ids
    assert [row["status"] for row in rows] == [
        "not_found",
        "already_synced",
        "conflict",
        "not_found",
        "queued",
    ]


async def test_anothers_sale_has_the_row_of_one_that_does_not_exist(
    ana: Till, stopped: Daemon
) -> None:
    eva = await stopped.till("eva")
    foreign, mine = await held(eva), await held(ana)

    answer = await retry(ana, foreign["sale_id"], 10**15, mine["sale_id"])

    row, absent, _ = answer.json["results"]
    assert {**row, "sale_id": 0} == {**absent, "sale_id": 0}
    assert (await eva.status(foreign["sale_id"]))["sync_status"] == "error"


async def test_ids_that_no_sale_can_have_keep_their_own_rows(ana: Till) -> None:
    mine = await held(ana)
    ids = [-5, 0, 2**63, 10**30, mine["sale_id"]]

    answer = await retry(ana, *ids)

    assert answer.status == 200
    assert [row["sale_id"] for row in answer.json["results"]] == ids


async def test_synced_sales_alone_leave_nothing_to_retry(ana: Till) -> None:
    synced = (await ana.upload(make_sale())).result

    answer = await retry(ana, synced["sale_id"])

    assert answer.status == 200
    assert (answer.json["message"], answer.json["processed"]) == ("Nothing to retry", 0)


async def test_none_found_is_not_found(ana: Till, stopped: Daemon) -> None:
    eva = await stopped.till("eva")
    foreign = await held(eva)

    answer = await retry(ana, foreign["sale_id"], 10**15)

    assert answer.status == 404
    assert answer.json == {"status": "error", "error": "No sales found with those IDs"}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, REQUIRED),
        ([], REQUIRED),
        ({"sale_ids": []}, REQUIRED),
        ({"sale_ids": None}, REQUIRED),
        ({"sale_ids": [], "local_ids": []}, REQUIRED),
        ({"sale_ids": "5"}, NOT_INTEGERS),
        ({"sale_ids": 5}, NOT_INTEGERS),
        ({"sale_ids": {"5": 5}}, NOT_INTEGERS),
        ({"sale_ids": ["5"]}, NOT_INTEGERS),
        ({"sale_ids": [5.0]}, NOT_INTEGERS),
        ({"sale_ids": [True]}, NOT_INTEGERS),
        ({"sale_ids": [None]}, NOT_INTEGERS),
        ({"sale_ids": [[5]]}, NOT_INTEGERS),
        ({"sale_ids": [5, "x"]}, NOT_INTEGERS),
    ],
)
async def test_no_list_of_integers_is_refused(ana: Till, body: object, text: str) -> None:
    answer = await ana.post(f"{SYNC}/retry/", body)

    assert answer.status == 400
    assert answer.json == {"status": "error", "error": text}


async def test_one_wrong_id_queues_none_of_the_others(ana: Till) -> None:
    sale = await held(ana)

    answer = await retry(ana, sale["sale_id"], "x")

    assert answer.status == 400
    assert (await ana.status(sale["sale_id"]))["sync_status"] == "error"


async def test_wrong_local_ids_are_refused(ana: Till) -> None:
    answer = await ana.post(f"{SYNC}/retry/", {"local_ids": ["x"]})

    assert answer.status == 400
    assert answer.json["status"] == "error"
    assert "local_ids" in answer.json["error"]


async def test_unknown_local_ids_are_not_found(ana: Till) -> None:
    mine = await held(ana)
    absent = new_local_id()

    answer = await ana.post(f"{SYNC}/retry/", {"local_ids": [absent, mine["local_id"]]})

    row, _ = answer.json["results"]
    assert (row["local_id"], row["status"]) == (absent, "not_found")


async def test_a_manager_retries_anybodys_sale(ana: Till, stopped: Daemon) -> None:
    marta = await stopped.till("marta", "manager")
    sale = await held(ana)

    answer = await retry(marta, sale["sale_id"])

    assert answer.json["processed"] == 1
    assert (await ana.status(sale["sale_id"]))["sync_status"] == "pending"


async def test_an_upload_of_a_queued_sale_judges_it_at_once(ana: Till) -> None:
    sale = make_sale(customer_id=999)
    first = (await ana.upload(sale)).result
    await retry(ana, first["sale_id"])

    result = (await ana.upload({**sale, "customer_id": 5})).result

    assert result["status"] == "success"
    assert (result["sale_id"], result["sale_number"]) == (first["sale_id"], first["sale_number"])
    assert (await ana.status(first["sale_id"]))["sync_status"] == "synced"


# What the worker makes of it


async def test_a_queued_sale_is_judged_from_its_stored_payload(ana: Till, stopped: Daemon) -> None:
    sale = await held(ana)
    await stopped.gateway.import_rows("customers", [NEW_CUSTOMER])
    await retry(ana, sale["sale_id"])

    judged = await step(stopped.gateway)

    status = await ana.status(sale["sale_id"])
    assert judged == 1
    assert status["sync_status"] == "synced"
    assert status["sync_attempt_count"] == 2
    assert status["sale_number"] == sale["sale_number"]


async def test_a_queued_sale_that_is_still_wrong_is_in_error_again(
    ana: Till, stopped: Daemon
) -> None:
    sale = await held(ana)
    await retry(ana, sale["sale_id"])

    await step(stopped.gateway)

    status = await ana.status(sale["sale_id"])
    assert (status["sync_status"], status["error"]) == ("error", NO_CUSTOMER)
    assert status["sync_attempt_count"] == 2


async def test_the_worker_holds_a_sale_to_the_limit_of_items_too(
    store_url: str, clock: Clock, chance: Chance
) -> None:
    async with stopped_daemon(store_url, clock, chance, max_items=3) as small:
        till = await small.till("ana")
        sale = (await till.upload(make_sale(items=[make_item()] * 4))).result
        await retry(till, sale["sale_id"])

        await step(small.gateway)

        status = await till.status(sale["sale_id"])
        assert status["sync_status"] == "error"
        assert status["error"].startswith("Sale admite hasta 3 items")


async def test_an_error_that_only_a_till_can_cure_is_never_due(
    ana: Till, stopped: Daemon, clock: Clock
) -> None:
    sale = await incurable(ana)
    clock.advance(10 * 86_400)

    judged = await step(stopped.gateway)

    status = await ana.status(sale["sale_id"])
    assert judged == 0
    assert status["next_attempt_at"] is None
    assert (status["retryable"], status["dead"]) == (False, False)


async def test_a_manual_retry_of_such_an_error_is_judged_once(ana: Till, stopped: Daemon) -> None:
    sale = await incurable(ana)
    await retry(ana, sale["sale_id"])

    judged = await step(stopped.gateway)

    status = await ana.status(sale["sale_id"])
    assert judged == 1
    assert (status["sync_status"], status["error"]) == ("error", BAD_QUANTITY)
    assert status["next_attempt_at"] is None


async def test_a_missing_customer_beside_a_wrong_quantity_is_not_retried_by_itself(
    ana: Till, stopped: Daemon, clock: Clock
) -> None:
    sale = await held(ana, items=[make_item(quantity="0")])
    await stopped.gateway.import_rows("customers", [NEW_CUSTOMER])
    clock.advance(86_400)

    judged = await step(stopped.gateway)

    assert judged == 0
    assert (await ana.status(sale["sale_id"]))["sync_attempt_count"] == 1


# The schedule: backoff, jitter, the cap


async def test_the_first_attempt_comes_after_thirty_seconds_at_most(
    ana: Till, stopped: Daemon, clock: Clock
) -> None:
    sale = await held(ana)
    clock.advance(29.9)
    early = await step(stopped.gateway)
    clock.advance(0.1)

    due = await step(stopped.gateway)

    assert (early, due) == (0, 1)
    assert (await ana.status(sale["sale_id"]))["sync_attempt_count"] == 2


async def test_delays_double_to_an_hour_and_end_after_twelve_attempts(
    ana: Till, stopped: Daemon, clock: Clock
) -> None:
    sale = await held(ana)
    delays = []
    while not (status := await ana.status(sale["sale_id"]))["dead"]:
        delay = 0
        while not await step(stopped.gateway):
            clock.advance(30)
            delay += 30
        delays.append(delay)

    assert delays == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600, 3600]
    assert status["sync_status"] == "error"
    assert status["sync_attempt_count"] == 13
    assert status["next_attempt_at"] is None
    assert status["error"] == NO_CUSTOMER


@pytest.mark.parametrize("part", [0.0, 0.25, 0.5, 1.0])
async def test_the_jitter_takes_a_part_of_the_delay(
    ana: Till, stopped: Daemon, clock: Clock, chance: Chance, part: float
) -> None:
    chance.value = part
    sale = await held(ana)
    chance.value = 1.0
    clock.advance(30 * part)

    judged = await step(stopped.gateway)

    assert judged == 1
    assert (await ana.status(sale["sale_id"]))["sync_attempt_count"] == 2


async def dead(till: Till, daemon: Daemon, clock: Clock) -> Json:
    """A sale after the last of its attempts, waiting for customer 999."""
    sale = await held(till)
    for _ in range(12):
        clock.advance(3600)
        await step(daemon.gateway)
    assert (await till.status(sale["sale_id"]))["dead"] is True
    return sale


async def test_a_dead_sale_is_still_listed_and_never_tried_again(
    ana: Till, stopped: Daemon, clock: Clock
) -> None:
    sale = await dead(ana, stopped, clock)
    clock.advance(365 * 86_400)

    judged = await step(stopped.gateway)

    [row] = (await ana.get(f"{SYNC}/pending/")).json["results"]
    assert judged == 0
    assert (row["id"], row["sync_status"], row["dead"]) == (sale["sale_id"], "error", True)
    assert row["next_attempt_at"] is None


async def has_twelve_fresh_attempts(till: Till, daemon: Daemon, clock: Clock, key: int) -> bool:
    """Whether the schedule alone tries exactly twelve times more before the sale is dead again."""
    before = (await till.status(key))["sync_attempt_count"]
    for _ in range(20):
        clock.advance(3600)
        await step(daemon.gateway)
    after = await till.status(key)
    return after["dead"] is True and after["sync_attempt_count"] == before + 12


async def test_a_manual_retry_revives_a_dead_sale_with_fresh_attempts(
    ana: Till, stopped: Daemon, clock: Clock
) -> None:
    sale = await dead(ana, stopped, clock)

    await retry(ana, sale["sale_id"])

    queued = await ana.status(sale["sale_id"])
    await step(stopped.gateway)
    assert (queued["sync_status"], queued["dead"]) == ("pending", False)
    assert await has_twelve_fresh_attempts(ana, stopped, clock, sale["sale_id"])


async def test_an_upload_revives_a_dead_sale_with_fresh_attempts(
    ana: Till, stopped: Daemon, clock: Clock
) -> None:
    sale = await dead(ana, stopped, clock)

    result = (
        await ana.upload(make_sale(local_id=sale["local_id"], customer_id=999, notes="otra"))
    ).result

    assert result["status"] == "error"
    assert (await ana.status(sale["sale_id"]))["dead"] is False
    assert await has_twelve_fresh_attempts(ana, stopped, clock, sale["sale_id"])


async def test_an_import_of_one_of_two_missing_revives_a_dead_sale_with_fresh_attempts(
    ana: Till, stopped: Daemon, clock: Clock
) -> None:
    sale = await held(ana, items=[make_item(product_id=777)])
    for _ in range(12):
        clock.advance(3600)
        await step(stopped.gateway)
    assert (await ana.status(sale["sale_id"]))["dead"] is True

    await stopped.gateway.import_rows("products", [NEW_PRODUCT])

    judged = await step(stopped.gateway)
    status = await ana.status(sale["sale_id"])
    assert judged == 1
    assert (status["dead"], status["error"]) == (False, NO_CUSTOMER)
    assert await has_twelve_fresh_attempts(ana, stopped, clock, sale["sale_id"])


async def test_an_import_of_something_else_revives_nothing(
    ana: Till, stopped: Daemon, clock: Clock
) -> None:
    sale = await dead(ana, stopped, clock)

    await stopped.gateway.import_rows("products", [*PRODUCTS, NEW_PRODUCT])
    await stopped.gateway.import_rows("customers", [CatalogCustomer(998, "Otro", "", True)])

    assert await step(stopped.gateway) == 0
    assert (await ana.status(sale["sale_id"]))["dead"] is True


async def test_an_import_of_the_missing_row_as_inactive_revives_nothing(
    ana: Till, stopped: Daemon, clock: Clock
) -> None:
    sale = await dead(ana, stopped, clock)

    await stopped.gateway.import_rows("customers", [CatalogCustomer(999, "Baja", "", False)])

    assert await step(stopped.gateway) == 0
    assert (await ana.status(sale["sale_id"]))["dead"] is True


async def test_uploads_and_manual_retries_do_not_count_towards_the_twelve(
    ana: Till, stopped: Daemon, clock: Clock
) -> None:
    sale = make_sale(customer_id=999)
    first = (await ana.upload(sale)).result
    for _ in range(14):
        await ana.upload(sale)
        await retry(ana, first["sale_id"])
        await step(stopped.gateway)

    status = await ana.status(first["sale_id"])
    assert status["dead"] is False
    assert status["sync_attempt_count"] == 1 + 14 * 2
    assert await has_twelve_fresh_attempts(ana, stopped, clock, first["sale_id"])


async def test_attempts_that_imports_trigger_do_not_count_towards_the_twelve(
    ana: Till, stopped: Daemon, clock: Clock
) -> None:
    missing = range(700, 714)
    sale = await held(ana, items=[make_item(product_id=each) for each in missing])

    for each in missing:
        row = CatalogProduct(each, "", f"Producto {each}", None, None, True)
        await stopped.gateway.import_rows("products", [row])
        await step(stopped.gateway)

    status = await ana.status(sale["sale_id"])
    assert (status["sync_attempt_count"], status["dead"]) == (15, False)


async def test_other_delays_and_another_cap_are_kept(
    store_url: str, clock: Clock, chance: Chance
) -> None:
    retries = RetrySettings(first_delay=5, max_delay=20, max_attempts=4)
    async with stopped_daemon(store_url, clock, chance, retry=retries) as other:
        till = await other.till("ana")
        sale = await held(till)
        delays = []
        while not (await till.status(sale["sale_id"]))["dead"]:
            delay = 0
            while not await step(other.gateway):
                clock.advance(5)
                delay += 5
            delays.append(delay)

    assert delays == [5, 10, 20, 20]


async def test_with_the_schedule_off_nothing_is_due_and_nothing_dies(
    store_url: str, clock: Clock, chance: Chance
) -> None:
    off = RetrySettings(enabled=False)
    async with stopped_daemon(store_url, clock, chance, retry=off) as other:
        till = await other.till("ana")
        sale = await held(till)
        clock.advance(86_400)

        judged = await step(other.gateway)

        status = await till.status(sale["sale_id"])
        assert judged == 0
        assert (status["next_attempt_at"], status["dead"]) == (None, False)


async def test_with_the_schedule_off_a_manual_retry_is_judged_all_the_same(
    store_url: str, clock: Clock, chance: Chance
) -> None:
    off = RetrySettings(enabled=False)
    async with stopped_daemon(store_url, clock, chance, retry=off) as other:
        till = await other.till("ana")
        sale = await held(till)
        await retry(till, sale["sale_id"])

        judged = await step(other.gateway)

        assert judged == 1
        assert (await till.status(sale["sale_id"]))["sync_status"] == "error"


async def test_the_status_says_when_the_next_attempt_is(ana: Till, stopped: Daemon) -> None:
    sale = await held(ana)

    status = await ana.status(sale["sale_id"])

    assert status["next_attempt_at"] == "2026-02-16T12:00:30Z"
    assert status["retryable"] is True

"""A stored sale that is no longer what was stored is never answered as good."""

from contextlib import closing
from pathlib import Path

import pytest

from bulonera_sync.gateway import Gateway
from bulonera_sync.logs import open_log
from tests.conftest import StartDaemon
from tests.factories import Json, make_item, make_sale
from tests.http import SYNC, Daemon, Till
from tests.store.databases import ON_SQLITE, run_sql

TEXT = "La venta guardada está dañada en el disco del servidor; avise a soporte"


@pytest.fixture
async def ana(daemon: Daemon) -> Till:
    return await daemon.till("ana")


@pytest.fixture
async def marta(daemon: Daemon) -> Till:
    return await daemon.till("marta", "manager")


# One bit of each: a digit, a letter, a number.
TURNED = {
    "a quantity": "UPDATE sale_items SET quantity = quantity + 1",
    "an item's price": "UPDATE sale_items SET unit_price = unit_price + 64",
    "an item's product": "UPDATE sale_items SET product_id = 11",
    "the customer": "UPDATE sales SET customer_id = 4",
    "the status": "UPDATE sales SET status = 'drafu'",
    "the notes": "UPDATE sales SET notes = 'Clienue'",
    "the print": "UPDATE sales SET fingerprint = '0' || substr(fingerprint, 2)",
    "the defaults": "UPDATE sales SET tax_defaults = '|' || substr(tax_defaults, 2)",
    "the state": "UPDATE sales SET sync_status = 'synceD'",
    "a lost item": "DELETE FROM sale_items",
}


def a_sale(**said: object) -> Json:
    return make_sale(notes="Cliente", **said)


@pytest.mark.parametrize("statement", TURNED.values(), ids=TURNED)
async def test_a_turned_bit_is_found_and_told_in_one_sale_alone(
    daemon: Daemon, ana: Till, store_url: str, statement: str
) -> None:
    sale, other = a_sale(), a_sale()
    first = await ana.upload(sale)
    await run_sql(store_url, statement)

    again = await ana.upload(sale, other)

    damaged, sound = again.json["results"]
    assert (again.status, damaged["status"], damaged["code"]) == (200, "error", "stored_damaged")
    assert (damaged["error"], damaged["retryable"]) == (TEXT, False)
    assert damaged["sale_id"] == first.result["sale_id"]
    assert sound["status"] == "success"
    [finding] = (await daemon.gateway.examine())[1]
    assert finding.place == first.result["sale_number"]


async def test_what_the_till_sent_again_is_kept_once_for_support(
    daemon: Daemon, ana: Till, store_url: str
) -> None:
    sale = a_sale()
    await ana.upload(sale)
    await run_sql(store_url, TURNED["a quantity"])

    await ana.upload(sale)
    await ana.upload(sale)

    [[text]] = await run_sql(store_url, "SELECT text FROM copies WHERE kind = 'refused'")
    assert sale["local_id"] in text
    assert '"5.000"' in text


async def test_no_endpoint_calls_a_damaged_sale_good(
    ana: Till, marta: Till, store_url: str
) -> None:
    sale = a_sale()
    sale_id = (await ana.upload(sale)).result["sale_id"]
    await run_sql(store_url, TURNED["a quantity"])

    status = await ana.status(sale_id)
    [bulk] = (await ana.post(f"{SYNC}/status/", {"local_ids": [sale["local_id"]]})).json["results"]
    whole = await ana.sale(sale_id)
    retried = await ana.post(f"{SYNC}/retry/", {"sale_ids": [sale_id]})
    edited = await marta.send(
        "PATCH", f"/api/v1/sales/{sale_id}/", json={"version": 1, "notes": "otra"}
    )

    assert {each["sync_status"] for each in (status, bulk, whole)} == {"error"}
    assert {each["error"] for each in (status, bulk, whole)} == {TEXT}
    assert retried.json["results"][0]["status"] == "damaged"
    assert (edited.status, edited.json["code"]) == (409, "stored_damaged")


async def test_a_conflict_about_a_damaged_sale_is_not_decided(
    ana: Till, marta: Till, store_url: str
) -> None:
    sale = a_sale()
    sale_id = (await ana.upload(sale)).result["sale_id"]
    path = f"/api/v1/sales/{sale_id}/"
    await marta.send("PATCH", path, json={"version": 1, "notes": "otra"})
    await ana.upload({**sale, "notes": "mía"})
    await run_sql(store_url, TURNED["a quantity"])

    decided = await ana.post(f"{SYNC}/resolve/", {"sale_id": sale_id, "resolution": "server_wins"})

    assert (decided.status, decided.json["code"]) == (409, "stored_damaged")


# What a conflict is based on, no longer what it was.
TURNED_COPIES = {
    "no JSON any more": "UPDATE copies SET text = '|' || substr(text, 2)",
    "JSON of something else": "UPDATE copies SET text = '[]'",
    "another content": "UPDATE copies SET text = replace(text, 'Cliente', 'Clienue')",
    "another print": "UPDATE copies SET fingerprint = '0' || substr(fingerprint, 2)",
}


@pytest.mark.parametrize("statement", TURNED_COPIES.values(), ids=TURNED_COPIES)
async def test_nothing_is_based_on_a_former_content_that_has_changed_on_disk(
    start_daemon: StartDaemon, store_url: str, statement: str
) -> None:
    async with start_daemon(auto_merge=True) as daemon:
        ana, marta = await daemon.till("ana"), await daemon.till("marta", "manager")
        sale, other = a_sale(), a_sale()
        sale_id = (await ana.upload(sale)).result["sale_id"]
        path = f"/api/v1/sales/{sale_id}/"
        await marta.send("PATCH", path, json={"version": 1, "notes": "otra"})
        await run_sql(store_url, statement)

        answer = await ana.upload({**sale, "customer_id": 6}, other)

        conflict, sound = answer.json["results"]
        assert (answer.status, conflict["status"], sound["status"]) == (200, "conflict", "success")
        whole = await ana.sale(sale_id)
        assert conflict["conflict_data"]["base"] is whole["conflict_data"]["base"] is None


async def test_another_cashier_is_told_no_more_than_that(
    daemon: Daemon, ana: Till, store_url: str
) -> None:
    sale = a_sale()
    await ana.upload(sale)
    await run_sql(store_url, TURNED["a quantity"])

    foreign = (await (await daemon.till("beto")).upload(sale)).result

    assert (foreign["code"], foreign["sale_id"]) == ("stored_damaged", None)


@pytest.mark.parametrize("name", ["a quantity", "the print"])
async def test_a_manager_who_says_the_whole_content_again_mends_it(
    daemon: Daemon, ana: Till, marta: Till, store_url: str, name: str
) -> None:
    sale = a_sale()
    sale_id = (await ana.upload(sale)).result["sale_id"]
    await run_sql(store_url, TURNED[name])
    whole = {key: sale[key] for key in ("customer_id", "status", "items", "notes")}

    mended = await marta.send("PATCH", f"/api/v1/sales/{sale_id}/", json={**whole, "version": 1})

    assert (mended.status, mended.json["sync_status"]) == (200, "synced")
    assert (await daemon.gateway.examine())[1] == []
    assert (await ana.upload(sale)).result["message"] == "Sale already synced"


async def test_a_damaged_held_sale_is_not_judged_from_what_is_left_of_it(
    daemon: Daemon, ana: Till, store_url: str
) -> None:
    sale = a_sale(customer_id=999)
    sale_id = (await ana.upload(sale)).result["sale_id"]
    await run_sql(
        store_url,
        "UPDATE sales SET payload = replace(payload, '\"5.000\"', '\"7.000\"'), customer_id = NULL",
    )
    await run_sql(store_url, "UPDATE sales SET payload = replace(payload, '999', '8')")
    assert [each.place for each in (await daemon.gateway.examine())[1]] == [
        (await ana.status(sale_id))["sale_number"]
    ]

    await ana.post(f"{SYNC}/retry/", {"sale_ids": [sale_id]})
    await daemon.gateway.retry_due()

    [row] = (await ana.get(f"{SYNC}/pending/")).json["results"]
    assert (row["sync_status"], row["dead"], row["error"]) == ("error", True, TEXT)
    assert (await ana.upload({**sale, "customer_id": 5})).result["status"] == "success"
    assert (await daemon.gateway.examine())[1] == []


async def test_a_payload_that_is_no_json_any_more_is_told_as_damaged(
    ana: Till, store_url: str
) -> None:
    sale_id = (await ana.upload(a_sale(customer_id=999))).result["sale_id"]
    await run_sql(store_url, "UPDATE sales SET payload = '|' || substr(payload, 2)")

    assert (await ana.sale(sale_id))["error"] == TEXT


@ON_SQLITE
async def test_a_text_that_is_no_utf8_any_more_shuts_nobody_out(ana: Till, store_url: str) -> None:
    sale, other = a_sale(), a_sale()
    await ana.upload(sale)
    await run_sql(store_url, "UPDATE sales SET notes = CAST(x'43ec69' AS TEXT)")

    again = await ana.upload(sale, other)

    assert [each.get("code") for each in again.json["results"]] == ["stored_damaged", None]


# One bit of a row's head says of what kind a value is.
OF_ANOTHER_KIND = {
    "an item's number, a blob": "UPDATE sale_items SET quantity = x'00ff'",
    "an item's number, a text": "UPDATE sale_items SET unit_price = 'x'",
    "an item's text, no UTF-8": "UPDATE sale_items SET discount_type = CAST(x'ff41' AS TEXT)",
    "an amount": "UPDATE sales SET total = x'ff00'",
    "a time": "UPDATE sales SET created_at = 'yesterday'",
    "a text": "UPDATE sales SET notes = CAST(notes AS BLOB)",
    "a number": "UPDATE sales SET version = 'x'",
    "a JSON text": "UPDATE sales SET warnings = x'ff'",
}


@ON_SQLITE
@pytest.mark.parametrize("statement", OF_ANOTHER_KIND.values(), ids=OF_ANOTHER_KIND)
async def test_a_value_of_another_kind_is_told_in_one_sale_alone(
    ana: Till, store_url: str, statement: str
) -> None:
    sale, other = a_sale(), a_sale()
    sale_id = (await ana.upload(sale)).result["sale_id"]
    await run_sql(store_url, statement)

    again = await ana.upload(sale, other)
    status, whole = await ana.status(sale_id), await ana.sale(sale_id)

    assert [each.get("code") for each in again.json["results"]] == ["stored_damaged", None]
    assert (status["error"], whole["error"]) == (TEXT, TEXT)


@ON_SQLITE
@pytest.mark.parametrize(
    "statement", [OF_ANOTHER_KIND["an amount"], OF_ANOTHER_KIND["a time"]], ids=["amount", "time"]
)
async def test_a_held_sale_of_damaged_values_stays_in_the_listing(
    ana: Till, store_url: str, statement: str
) -> None:
    held = [a_sale(customer_id=999), a_sale(customer_id=998)]
    await ana.upload(*held)
    await run_sql(store_url, f"{statement} WHERE local_id = '{held[0]['local_id']}'")

    rows = (await ana.get(f"{SYNC}/pending/")).json["results"]

    assert [row["local_id"] for row in rows] == [sale["local_id"] for sale in held]


@ON_SQLITE
async def test_a_product_of_damaged_values_is_as_good_as_missing(ana: Till, store_url: str) -> None:
    await run_sql(store_url, "UPDATE products SET tax_percentage = 'x' WHERE id = 10")

    told = await ana.upload(a_sale(), a_sale(items=[make_item(product_id=11)]))

    assert [each.get("code") for each in told.json["results"]] == ["product_not_found", None]


async def test_too_many_items_held_once_are_not_damaged_under_another_limit(
    gateway: Gateway, ana: Till, daemon: Daemon
) -> None:
    many = [make_item() for _ in range(gateway.settings.sync.max_items + 1)]
    sale_id = (await ana.upload(a_sale(items=many))).result["sale_id"]

    assert (await daemon.gateway.examine())[1] == []
    assert (await ana.status(sale_id))["error"].startswith("Sale admite hasta")


async def test_the_log_names_the_damaged_sale(
    ana: Till, store_url: str, tmp_path: Path, gateway: Gateway
) -> None:
    sale = a_sale()
    sale_id = (await ana.upload(sale)).result["sale_id"]
    await run_sql(store_url, TURNED["a quantity"])
    settings = gateway.settings.log.model_copy(update={"file": tmp_path / "sync.log"})

    with closing(open_log(settings)):
        await ana.upload(sale)
        await ana.status(sale_id)

    log = (tmp_path / "sync.log").read_text()
    assert log.count("ERROR") == 2
    assert log.count("Stored sale is damaged on disk") == 2
    assert f"sale_id: {sale_id}" in log

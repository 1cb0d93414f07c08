"""The contract's table of what becomes of a sale, row by row, over HTTP on both engines."""

from typing import Any

import asyncpg
import pytest

from bulonera_sync.store.catalog import CatalogProduct
from bulonera_sync.store.drivers import sqlite3
from tests.conftest import StartDaemon
from tests.factories import PRODUCTS, Json, make_item, make_sale
from tests.http import SYNC, Daemon, Till

CONTENT_TABLES = ("sales", "sale_items", "copies", "events", "waits", "counters", "quarantine")

BAD_QUANTITY = "Item #0: quantity debe ser mayor a 0, recibido: 0"
NO_PRODUCT = "Item #0: Producto con id=777 no existe"


async def query(store_url: str, sql: str) -> list[tuple[Any, ...]]:
    """Run one statement on the test's database, beside the daemon; return its rows."""
    if store_url.startswith("sqlite"):
        connection = sqlite3.connect(store_url.removeprefix("sqlite:///"), timeout=15)
        try:
            rows = connection.execute(sql).fetchall()
            connection.commit()
        finally:
            connection.close()
        return [tuple(row) for row in rows]
    connection = await asyncpg.connect(store_url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def stored(store_url: str) -> dict[str, list[str]]:
    """Return every row of every table that a sale can touch."""
    return {
        table: sorted(map(repr, await query(store_url, f"SELECT * FROM {table}")))  # noqa: S608
        for table in CONTENT_TABLES
    }


def bad(sale: Json) -> Json:
    """The same sale with a quantity that only a new upload can cure."""
    return {**sale, "items": [make_item(quantity="0")]}


def success(first: Json, message: str | None, version: int | None, **more: object) -> Json:
    """The result that is expected for the sale of an earlier result."""
    return {
        "index": 0,
        "local_id": first["local_id"],
        "status": "success",
        "sale_id": first["sale_id"],
        "sale_number": first["sale_number"],
        "version": version,
        "message": message,
        **more,
    }


def in_content(**said: Any) -> Json:
    """The normalised content of `make_sale()`, as conflicts and row 10 show it."""
    item = {
        "product_id": 10,
        "quantity": "5.000",
        "unit_price": "25.50",
        "discount_type": "none",
        "discount_value": "0.00",
        "tax_percentage": "21.00",
    }
    return {"customer_id": 5, "status": "draft", "items": [item], "notes": "", **said}


def check_conflict(
    result: Json,
    first: Json,
    code: str,
    *,
    versions: tuple[int, int],
    fields: list[str],
    server: Json,
    client: Json,
    base: Json | None,
) -> None:
    """Hold a whole conflict result against what is expected; the message is free text."""
    message = result["message"]
    assert isinstance(message, str)
    assert message
    assert result == {
        "index": 0,
        "local_id": first["local_id"],
        "status": "conflict",
        "sale_id": first["sale_id"],
        "sale_number": first["sale_number"],
        "version": versions[0],
        "code": code,
        "message": message,
        "conflict_data": {
            "server_version": versions[0],
            "client_version": versions[1],
            "fields": fields,
            "server": server,
            "client": client,
            "base": base,
        },
    }


async def one(till: Till, sale: object) -> Json:
    """Upload one sale and return its result."""
    result: Json = (await till.upload(sale)).result
    return result


async def a_synced(till: Till, *, notes: tuple[str, ...] = ("a", "b")) -> tuple[Json, Json]:
    """A sale updated once per further note; returns it as last sent, and its first result.

    With ("a", "b") the server holds "b" at version 2.
    """
    sale = make_sale(notes=notes[0])
    first = await one(till, sale)
    assert first["status"] == "success"
    for version, note in enumerate(notes[1:], 1):
        sale = {**sale, "notes": note, "version": version}
        assert (await one(till, sale))["message"] == "Sale updated"
    return sale, first


async def in_conflict(till: Till) -> tuple[Json, Json]:
    """A sale where the server holds "b" at version 2 and "parked", of version 1, is parked."""
    sale, first = await a_synced(till)
    parked = {**sale, "notes": "parked", "version": 1}
    assert (await one(till, parked))["status"] == "conflict"
    return sale, first


# Rows 1 and 2: another user's


async def test_row_1_anothers_synced_sale_sent_again_is_a_success(
    daemon: Daemon, store_url: str
) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale = make_sale()
    first = await one(ana, sale)
    before = await stored(store_url)

    result = await one(eva, sale)

    assert result == success(first, "Sale already synced", result["version"])
    assert await stored(store_url) == before


@pytest.mark.parametrize("note", ["a", "b", "c"])
async def test_row_1_every_upload_that_its_owner_had_accepted_is_known(
    daemon: Daemon, store_url: str, note: str
) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale, first = await a_synced(ana, notes=("a", "b", "c"))
    before = await stored(store_url)

    result = await one(eva, {**sale, "notes": note, "version": 7})

    assert result == success(first, "Sale already synced", result["version"])
    assert await stored(store_url) == before


async def test_row_1_an_edit_that_was_refused_to_its_owner_is_known(
    daemon: Daemon, store_url: str
) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale, first = await a_synced(ana)
    refused = bad({**sale, "version": 2})
    assert (await one(ana, refused))["error"] == BAD_QUANTITY
    before = await stored(store_url)

    result = await one(eva, refused)

    assert result == success(first, "Sale already synced", result["version"])
    assert await stored(store_url) == before


async def test_row_1_a_payload_that_was_held_before_its_owner_mended_it_is_known(
    daemon: Daemon, store_url: str
) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale = make_sale()
    first = await one(ana, bad(sale))
    assert (await one(ana, {**bad(sale), "notes": "again"}))["status"] == "error"
    assert (await one(ana, sale))["status"] == "success"
    before = await stored(store_url)

    results = [await one(eva, sent) for sent in (bad(sale), {**bad(sale), "notes": "again"}, sale)]

    expected = success(first, "Sale already synced", results[0]["version"])
    assert results == [expected] * 3
    assert await stored(store_url) == before


@pytest.mark.parametrize("note", ["a", "b", "parked"])
async def test_row_1_anothers_sale_in_conflict_is_a_success_too(
    daemon: Daemon, store_url: str, note: str
) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale, first = await in_conflict(ana)
    before = await stored(store_url)

    result = await one(eva, {**sale, "notes": note, "version": 1})

    assert result == success(first, "Sale already synced", result["version"])
    assert await stored(store_url) == before


async def test_row_1_a_parked_copy_that_was_replaced_is_known(
    daemon: Daemon, store_url: str
) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale, first = await in_conflict(ana)
    await one(ana, {**sale, "notes": "parked later", "version": 1})
    before = await stored(store_url)

    result = await one(eva, {**sale, "notes": "parked", "version": 1})

    assert result == success(first, "Sale already synced", result["version"])
    assert await stored(store_url) == before


async def test_row_1_a_merged_upload_is_known(start_daemon: StartDaemon, store_url: str) -> None:
    async with start_daemon(auto_merge=True) as daemon:
        ana, eva = await daemon.till("ana"), await daemon.till("eva")
        sale, first = await a_synced(ana)
        theirs = {**sale, "notes": "a", "customer_id": 6, "version": 1}
        assert (await one(ana, theirs))["message"] == "Sale merged"
        before = await stored(store_url)

        result = await one(eva, theirs)

        assert result == success(first, "Sale already synced", result["version"])
        assert await stored(store_url) == before


async def test_row_1_anothers_held_sale_answers_its_present_error(
    daemon: Daemon, store_url: str
) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale = make_sale()
    await one(ana, bad(sale))
    missing = {**sale, "items": [make_item(product_id=777)]}
    first = await one(ana, missing)
    before = await stored(store_url)

    results = [await one(eva, bad(sale)), await one(eva, missing)]

    for result in results:
        assert result["status"] == "error"
        assert result["error"] == NO_PRODUCT
        assert result["code"] == first["code"]
        assert result["retryable"] is True
        assert result["sale_id"] == first["sale_id"]
        assert result["sale_number"] == first["sale_number"]
    assert await stored(store_url) == before


async def test_row_1_a_problem_of_an_item_that_this_upload_lacks_is_told_all_the_same(
    daemon: Daemon,
) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale = make_sale()
    await ana.upload(bad(sale))
    # Its second item is at fault; the first upload had one.
    held = await ana.upload({**sale, "items": [make_item(), make_item(product_id=777)]})

    answer = await eva.upload(bad(sale), make_sale())

    told, other = answer.json["results"]
    assert answer.status == 200
    assert (told["status"], told["error"]) == ("error", held.result["error"])
    assert other["status"] == "success"


async def test_row_1_anothers_queued_sale_answers_pending(daemon: Daemon, store_url: str) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale = bad(make_sale())
    first = await one(ana, sale)
    await query(store_url, "UPDATE sales SET sync_status = 'pending'")
    before = await stored(store_url)

    result = await one(eva, sale)

    assert result["code"] == "pending"
    assert result["sale_id"] == first["sale_id"]
    assert result["sale_number"] == first["sale_number"]
    assert await stored(store_url) == before


async def test_row_1_holds_for_a_manager_who_sends_a_cashiers_sale(
    daemon: Daemon, store_url: str
) -> None:
    ana, marta = await daemon.till("ana"), await daemon.till("marta", "manager")
    sale, first = await a_synced(ana)
    before = await stored(store_url)

    same = await one(marta, sale)
    other = await one(marta, {**sale, "notes": "other", "version": 2})

    assert same["message"] == "Sale already synced"
    assert same["sale_id"] == first["sale_id"]
    assert other["code"] == "local_id_in_use"
    assert (await stored(store_url))["sales"] == before["sales"]


async def test_row_2_other_content_under_anothers_local_id_is_refused(
    daemon: Daemon, store_url: str
) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale, first = await a_synced(ana)
    before = await stored(store_url)

    answer = await eva.upload({**sale, "notes": "other", "version": 2})

    assert answer.status == 400
    text = "local_id ya registrado por otro usuario"
    assert answer.result == {
        "index": 0,
        "local_id": first["local_id"],
        "status": "error",
        "error": text,
        "errors": [{"field": "local_id", "code": "local_id_in_use", "message": text}],
        "code": "local_id_in_use",
        "retryable": False,
        "sale_id": None,
        "sale_number": None,
        "version": None,
        "message": None,
    }
    after = await stored(store_url)
    assert after["sales"] == before["sales"]
    assert after["sale_items"] == before["sale_items"]
    assert after != before


@pytest.mark.parametrize("state", ["synced", "conflict", "error"])
async def test_row_2_is_the_same_whatever_the_sales_state(daemon: Daemon, state: str) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    if state == "error":
        sale = bad(make_sale())
        await one(ana, sale)
    else:
        sale, _ = await (a_synced(ana) if state == "synced" else in_conflict(ana))
    shown = await ana.sale(sale["local_id"])

    valid = await one(eva, {**make_sale(notes="other"), "local_id": sale["local_id"]})
    invalid = await one(eva, {"local_id": sale["local_id"], "items": []})

    assert shown["sync_status"] == state
    assert valid == invalid
    assert valid["code"] == "local_id_in_use"
    assert await ana.sale(sale["local_id"]) == shown


async def test_row_2_keeps_a_payload_once(daemon: Daemon, store_url: str) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale, _ = await a_synced(ana)
    other = {**sale, "notes": "other"}
    await one(eva, other)
    before = await stored(store_url)

    again = await one(eva, other)

    assert again["code"] == "local_id_in_use"
    assert await stored(store_url) == before


async def test_row_2_keeps_at_most_20_payloads_of_a_sale(daemon: Daemon, store_url: str) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale, _ = await a_synced(ana)
    before = await stored(store_url)

    results = (await eva.upload(*({**sale, "notes": f"n{i}"} for i in range(30)))).json["results"]

    assert [result["code"] for result in results] == ["local_id_in_use"] * 30
    after = await stored(store_url)
    assert len(after["copies"]) - len(before["copies"]) == 20
    assert len(after["events"]) - len(before["events"]) <= 20
    assert after["sales"] == before["sales"]


async def test_row_2_what_a_stranger_sent_never_becomes_known(daemon: Daemon) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    sale, first = await a_synced(ana)
    other = {**sale, "notes": "other", "version": 1}
    await one(eva, other)

    mine = await one(ana, other)
    strangers = await one(await daemon.till("leo"), {**sale, "notes": "never sent"})

    assert mine["code"] == "stale_version"
    assert mine["sale_id"] == first["sale_id"]
    assert strangers["code"] == "local_id_in_use"


# Row 3: no local_id to keep it under (its forms are in test_upload_checks)


async def test_row_3_a_sale_without_a_local_id_is_kept_in_quarantine(
    daemon: Daemon, store_url: str
) -> None:
    ana = await daemon.till("ana")
    sale = make_sale(notes="kept for support")
    del sale["local_id"]

    result = await one(ana, sale)

    assert result["local_id"] == "MISSING"
    assert result["error"] == "local_id requerido y no puede estar vacío"
    assert (result["sale_id"], result["sale_number"], result["version"]) == (None, None, None)
    [(payload,)] = await query(store_url, "SELECT payload FROM quarantine")
    assert "kept for support" in payload
    assert (await stored(store_url))["sales"] == []


# Rows 4 and 5: new


async def test_row_4_a_valid_sale_is_created(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale(version=5, notes="n", created_at="2026-02-16T07:30:00-03:00")

    answer = await ana.upload(sale)

    assert answer.status == 200
    result = answer.result
    assert result == success(result, None, 1, local_id=sale["local_id"])
    shown = await ana.sale(result["sale_id"])
    times = {
        name: shown[name]
        for name in ("created_at", "updated_at", "sync_succeeded_at", "sync_last_attempt")
    }
    assert shown == {
        **times,
        "sale_id": result["sale_id"],
        "sale_number": result["sale_number"],
        "id": result["sale_id"],
        "number": result["sale_number"],
        "local_id": sale["local_id"],
        "sync_status": "synced",
        "sync_attempt_count": 1,
        "version": 1,
        "conflict_resolution": None,
        "error": None,
        "errors": [],
        "retryable": False,
        "next_attempt_at": None,
        "dead": False,
        "status": "draft",
        "payment_status": "unpaid",
        "fiscal_status": "pending",
        "customer": 5,
        "customer_id": 5,
        "notes": "n",
        "items": [
            {
                "line": 0,
                "product_id": 10,
                "quantity": "5.000",
                "unit_price": "25.50",
                "discount_type": "none",
                "discount_value": "0.00",
                "tax_percentage": "21.00",
                "subtotal": "127.50",
                "discount": "0.00",
                "tax": "26.78",
                "total": "154.28",
            }
        ],
        "subtotal": "127.50",
        "discount": "0.00",
        "tax": "26.78",
        "total": "154.28",
        "created_by": "ana",
        "sold_at": "2026-02-16T10:30:00Z",
        "warnings": [],
    }


async def test_row_5_an_invalid_sale_is_held_with_an_id_and_a_number(
    daemon: Daemon, store_url: str
) -> None:
    ana = await daemon.till("ana")
    sale = {**bad(make_sale()), "extra": "kept whole"}

    answer = await ana.upload(sale)

    assert answer.status == 400
    result = answer.result
    error = {"field": "items[0].quantity", "code": result["code"], "message": BAD_QUANTITY}
    assert result == {
        "index": 0,
        "local_id": sale["local_id"],
        "status": "error",
        "error": BAD_QUANTITY,
        "errors": [error],
        "code": result["code"],
        "retryable": False,
        "sale_id": 1,
        "sale_number": result["sale_number"],
        "version": 1,
        "message": None,
    }
    assert result["sale_number"].endswith("-00001")
    status = await ana.status(1)
    assert status["sync_status"] == "error"
    assert status["error"] == BAD_QUANTITY
    assert status["sync_succeeded_at"] is None
    assert status["sync_attempt_count"] == 1
    assert "kept whole" in (await query(store_url, "SELECT payload FROM sales"))[0][0]


# Row 6: held


async def test_row_6_a_mended_upload_makes_a_held_sale_synced(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()
    first = await one(ana, bad(sale))

    result = await one(ana, sale)

    assert result == success(first, None, 1)
    status = await ana.status(first["sale_id"])
    assert status["sync_status"] == "synced"
    assert status["sync_attempt_count"] == 2
    assert status["error"] is None
    assert (await ana.sale(first["sale_id"]))["total"] == "154.28"


async def test_row_6_an_upload_that_is_still_wrong_is_held_with_its_new_error(
    daemon: Daemon,
) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()
    first = await one(ana, bad(sale))

    result = await one(ana, {**sale, "items": [make_item(product_id=777)]})

    assert result["error"] == NO_PRODUCT
    assert result["retryable"] is True
    assert (result["sale_id"], result["sale_number"]) == (first["sale_id"], first["sale_number"])
    status = await ana.status(first["sale_id"])
    assert (status["error"], status["sync_attempt_count"]) == (NO_PRODUCT, 2)
    assert status["next_attempt_at"] is not None


async def test_row_6_the_same_wrong_upload_is_one_more_attempt(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = bad(make_sale())
    first = await one(ana, sale)

    again = await one(ana, sale)

    assert again == first
    assert (await ana.status(1))["sync_attempt_count"] == 2


@pytest.mark.parametrize("outcome", ["synced", "error"])
async def test_row_6_a_queued_sale_is_judged_anew(
    daemon: Daemon, store_url: str, outcome: str
) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()
    first = await one(ana, bad(sale))
    await query(store_url, "UPDATE sales SET sync_status = 'pending', problems = NULL")

    result = await one(ana, sale if outcome == "synced" else {**bad(sale), "notes": "new"})

    assert result == (success(first, None, 1) if outcome == "synced" else first)
    assert (await ana.status(1))["sync_status"] == outcome


async def test_row_6_a_dead_sale_revives(daemon: Daemon, store_url: str) -> None:
    ana = await daemon.till("ana")
    sale = make_sale(items=[make_item(product_id=777)])
    await one(ana, sale)
    is_dead = "1" if store_url.startswith("sqlite") else "true"
    await query(
        store_url,
        f"UPDATE sales SET is_dead = {is_dead}, automatic_attempts = 12,"  # noqa: S608
        " next_attempt_at = NULL",
    )
    assert (await ana.status(1))["dead"] is True

    await one(ana, sale)

    status = await ana.status(1)
    assert status["dead"] is False
    assert status["next_attempt_at"] is not None
    assert await query(store_url, "SELECT automatic_attempts FROM sales") == [(0,)]


async def test_row_6_a_mended_upload_stores_what_it_says(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale(notes="wrong", created_at="2026-02-16T10:30:00Z")
    await one(ana, bad(sale))

    await one(ana, {**sale, "notes": "right", "customer_id": 7, "created_at": None, "version": 3})

    shown = await ana.sale(1)
    assert (shown["notes"], shown["customer_id"], shown["version"]) == ("right", 7, 1)
    assert shown["sold_at"] == "2026-02-16T10:30:00Z"


# Rows 7 to 11: what the server has seen


@pytest.mark.parametrize("version", [1, 2, 3, 99])
async def test_row_7_the_stored_content_again_is_already_synced(
    daemon: Daemon, store_url: str, version: int
) -> None:
    ana = await daemon.till("ana")
    sale, first = await a_synced(ana)
    before = await stored(store_url)

    result = await one(ana, {**sale, "version": version})

    assert result == success(first, "Sale already synced", 2)
    assert await stored(store_url) == before


async def test_row_7_holds_for_a_delivered_sale(daemon: Daemon, store_url: str) -> None:
    ana = await daemon.till("ana")
    sale = make_sale(status="delivered")
    first = await one(ana, sale)
    before = await stored(store_url)

    result = await one(ana, sale)

    assert result == success(first, "Sale already synced", 1)
    assert await stored(store_url) == before


SAME_WORDS: dict[str, Json] = {
    "strings": {"customer_id": "5"},
    "leading zeros": {"customer_id": "005"},
    "null notes": {"notes": None},
    "unknown keys": {"sync_status": "pending", "whatever": [1]},
    "created_at": {"created_at": "2020-01-01T00:00:00Z"},
    "quantity 5": {"items": [make_item(quantity="5")]},
    "quantity 5.0000": {"items": [make_item(quantity="5.0000")]},
    "numbers": {"items": [make_item(quantity=5, unit_price=25.5, discount_value=0)]},
    "number ids": {"items": [make_item(product_id="10")]},
    "price 25.5000": {"items": [make_item(unit_price="25.5000")]},
    "tax 21.00": {"items": [make_item(tax_percentage="21.00")]},
}


async def test_row_7_other_words_for_the_same_content_are_the_same(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()
    first = await one(ana, sale)

    results = {name: await one(ana, {**sale, **said}) for name, said in SAME_WORDS.items()}

    assert results == dict.fromkeys(SAME_WORDS, success(first, "Sale already synced", 1))


async def test_row_7_omitted_optionals_equal_their_defaults_at_the_first_receipt(
    daemon: Daemon,
) -> None:
    ana = await daemon.till("ana")
    item = {"product_id": 10, "quantity": 5, "unit_price": "25.50"}
    bare: Json = {"local_id": make_sale()["local_id"], "customer_id": 5, "items": [item]}
    first = await one(ana, bare)
    dearer = CatalogProduct(10, "P10", "Producto 10", PRODUCTS[9].price, None, True)
    await daemon.gateway.import_rows("products", [dearer])

    again = await one(ana, bare)
    explicit = await one(ana, {**make_sale(), "local_id": bare["local_id"]})

    assert again == success(first, "Sale already synced", 1)
    assert explicit == success(first, "Sale already synced", 1)
    assert (await ana.sale(1))["items"][0]["tax_percentage"] == "21.00"


async def test_row_7_key_order_does_not_count(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()
    first = await one(ana, sale)
    item = dict(reversed(make_item().items()))

    result = await one(ana, dict(reversed({**sale, "items": [item]}.items())))

    assert result == success(first, "Sale already synced", 1)


async def test_row_7_a_local_id_in_capitals_is_the_same(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()
    first = await one(ana, {**sale, "local_id": sale["local_id"].upper()})

    result = await one(ana, sale)
    changed = await one(ana, {**sale, "local_id": sale["local_id"].upper(), "notes": "x"})

    assert first["local_id"] == sale["local_id"]
    assert result == success(first, "Sale already synced", 1)
    assert changed == success(first, "Sale updated", 2)


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_row_8_the_servers_content_closes_a_conflict(daemon: Daemon, version: int) -> None:
    ana = await daemon.till("ana")
    sale, first = await in_conflict(ana)

    result = await one(ana, {**sale, "version": version})

    assert result == success(first, "Sale already synced", 2)
    status = await ana.status(1)
    assert (status["sync_status"], status["conflict_resolution"]) == ("synced", "server_wins")
    shown = await ana.sale(1)
    assert (shown["notes"], shown["version"]) == ("b", 2)
    assert "conflict_data" not in shown


@pytest.mark.parametrize(("note", "version"), [("a", 1), ("a", 2), ("b", 1), ("b", 2)])
async def test_row_9_a_late_duplicate_changes_nothing(
    daemon: Daemon, store_url: str, note: str, version: int
) -> None:
    ana = await daemon.till("ana")
    sale, first = await a_synced(ana, notes=("a", "b", "c"))
    before = await stored(store_url)

    result = await one(ana, {**sale, "notes": note, "version": version})

    assert result == success(first, "Sale already synced", 3)
    assert await stored(store_url) == before


async def test_row_9_a_late_duplicate_leaves_a_conflict_open(
    daemon: Daemon, store_url: str
) -> None:
    ana = await daemon.till("ana")
    sale, first = await in_conflict(ana)
    before = await stored(store_url)

    result = await one(ana, {**sale, "notes": "a", "version": 1})

    assert result == success(first, "Sale already synced", 2)
    assert await stored(store_url) == before


async def test_row_9_comes_before_the_lock_of_a_delivered_sale(
    daemon: Daemon, store_url: str
) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()
    first = await one(ana, sale)
    await one(ana, {**sale, "status": "delivered"})
    before = await stored(store_url)

    result = await one(ana, sale)

    assert result == success(first, "Sale already synced", 2)
    assert await stored(store_url) == before


async def test_row_9_knows_what_was_applied_by_client_wins(daemon: Daemon, store_url: str) -> None:
    ana = await daemon.till("ana")
    sale, first = await in_conflict(ana)
    await one(ana, {**sale, "notes": "parked", "version": 2})
    await one(ana, {**sale, "notes": "d", "version": 3})
    before = await stored(store_url)

    result = await one(ana, {**sale, "notes": "parked", "version": 1})

    assert result == success(first, "Sale already synced", 4)
    assert await stored(store_url) == before


async def test_row_9_knows_what_was_merged(start_daemon: StartDaemon, store_url: str) -> None:
    async with start_daemon(auto_merge=True) as daemon:
        ana = await daemon.till("ana")
        sale, first = await a_synced(ana)
        theirs = {**sale, "notes": "a", "customer_id": 6, "version": 1}
        await one(ana, theirs)
        before = await stored(store_url)

        result = await one(ana, theirs)

        assert result == success(first, "Sale already synced", 3)
        assert await stored(store_url) == before


async def test_row_9_not_with_the_servers_version_for_that_is_an_edit_back(
    daemon: Daemon,
) -> None:
    ana = await daemon.till("ana")
    sale, first = await a_synced(ana)

    result = await one(ana, {**sale, "notes": "a", "version": 2})

    assert result == success(first, "Sale updated", 3)
    assert (await ana.sale(1))["notes"] == "a"


async def test_row_10_a_copy_whose_conflict_the_server_won(daemon: Daemon, store_url: str) -> None:
    ana = await daemon.till("ana")
    sale, first = await in_conflict(ana)
    await one(ana, sale)
    before = await stored(store_url)

    result = await one(ana, {**sale, "notes": "parked", "version": 1})

    text = "Conflict already resolved with server_wins"
    assert result == success(first, text, 2, sale=in_content(notes="b"))
    assert await stored(store_url) == before


async def test_row_10_a_copy_that_was_replaced_before_the_conflict_ended(
    daemon: Daemon, store_url: str
) -> None:
    ana = await daemon.till("ana")
    sale, first = await in_conflict(ana)
    await one(ana, {**sale, "notes": "parked later", "version": 1})
    await one(ana, {**sale, "notes": "mine", "version": 2})
    before = await stored(store_url)

    results = [
        await one(ana, {**sale, "notes": note, "version": 1}) for note in ("parked", "parked later")
    ]

    text = "Conflict already resolved with client_wins"
    assert results == [success(first, text, 3, sale=in_content(notes="mine"))] * 2
    assert await stored(store_url) == before


async def test_row_10_names_the_latest_resolution(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale, first = await in_conflict(ana)
    await one(ana, sale)
    assert (await one(ana, {**sale, "notes": "p2", "version": 1}))["status"] == "conflict"
    await one(ana, {**sale, "notes": "mine", "version": 2})

    result = await one(ana, {**sale, "notes": "parked", "version": 1})

    text = "Conflict already resolved with client_wins"
    assert result == success(first, text, 3, sale=in_content(notes="mine"))


async def test_row_10_the_version_that_a_copy_was_parked_with(
    daemon: Daemon, store_url: str
) -> None:
    ana = await daemon.till("ana")
    sale, first = await a_synced(ana)
    ahead = {**sale, "notes": "ahead", "version": 9}
    assert (await one(ana, ahead))["code"] == "version_ahead"
    await one(ana, sale)
    before = await stored(store_url)

    again = await one(ana, ahead)

    text = "Conflict already resolved with server_wins"
    assert again == success(first, text, 2, sale=in_content(notes="b"))
    assert await stored(store_url) == before
    assert (await one(ana, {**ahead, "version": 10}))["code"] == "version_ahead"


async def test_row_10_not_with_the_servers_version_for_that_is_a_new_edit(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale, first = await in_conflict(ana)
    await one(ana, sale)

    result = await one(ana, {**sale, "notes": "parked", "version": 2})

    assert result == success(first, "Sale updated", 3)


async def test_row_10_an_invalid_upload_is_never_taken_for_a_parked_one(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale, _ = await in_conflict(ana)
    await one(ana, sale)

    result = await one(ana, bad({**sale, "notes": "parked", "version": 1}))

    assert result["error"] == BAD_QUANTITY


async def test_row_11_the_parked_copy_again_is_the_same_conflict(
    daemon: Daemon, store_url: str
) -> None:
    ana = await daemon.till("ana")
    sale, first = await a_synced(ana)
    parked = {**sale, "notes": "parked", "version": 1}
    conflict = await one(ana, parked)
    before = await stored(store_url)

    again = await one(ana, parked)

    assert again == conflict
    check_conflict(
        again,
        first,
        "stale_version",
        versions=(2, 1),
        fields=["notes"],
        server=in_content(notes="b"),
        client=in_content(notes="parked"),
        base=in_content(notes="a"),
    )
    assert await stored(store_url) == before


async def test_row_11_the_parked_content_with_another_version_is_a_conflict_of_its_own(
    daemon: Daemon,
) -> None:
    ana = await daemon.till("ana")
    sale, _ = await in_conflict(ana)

    result = await one(ana, {**sale, "notes": "parked", "version": 9})

    assert result["code"] == "version_ahead"
    assert (await ana.sale(1))["conflict_data"]["client_version"] == 9


@pytest.mark.parametrize("code", ["version_ahead", "locked", "status_regression"])
async def test_row_11_holds_for_every_kind_of_conflict(
    daemon: Daemon, store_url: str, code: str
) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()
    await one(ana, sale)
    status = {"locked": "delivered", "status_regression": "ready"}.get(code, "draft")
    await one(ana, {**sale, "notes": "b", "status": status})
    parked = {**sale, "notes": "parked", "version": 5 if code == "version_ahead" else 2}
    conflict = await one(ana, parked)
    before = await stored(store_url)

    again = await one(ana, parked)

    assert conflict["code"] == code
    assert again == conflict
    assert await stored(store_url) == before


# Row 12: invalid


@pytest.mark.parametrize("version", [1, 2, 9])
async def test_row_12_an_invalid_edit_leaves_a_synced_sale_as_it_was(
    daemon: Daemon, store_url: str, version: int
) -> None:
    ana = await daemon.till("ana")
    sale, first = await a_synced(ana)
    shown, before = await ana.sale(1), await stored(store_url)

    answer = await ana.upload({**bad(sale), "notes": "refused edit", "version": version})

    assert answer.status == 400
    result = answer.result
    assert result == {
        **success(first, None, result["version"], status="error"),
        "error": BAD_QUANTITY,
        "errors": [{"field": "items[0].quantity", "code": result["code"], "message": BAD_QUANTITY}],
        "code": result["code"],
        "retryable": False,
    }
    assert await ana.sale(1) == shown
    after = await stored(store_url)
    assert len(after["events"]) == len(before["events"]) + 1
    assert "refused edit" in str(after["copies"])


async def test_row_12_an_invalid_edit_leaves_what_is_parked(daemon: Daemon, store_url: str) -> None:
    ana = await daemon.till("ana")
    sale, first = await in_conflict(ana)
    shown, before = await ana.sale(1), await stored(store_url)

    result = await one(ana, bad({**sale, "version": 2}))

    assert result["error"] == BAD_QUANTITY
    assert result["sale_id"] == first["sale_id"]
    assert await ana.sale(1) == shown
    assert len((await stored(store_url))["events"]) == len(before["events"]) + 1


async def test_row_12_an_invalid_edit_of_a_delivered_sale_is_an_error_not_a_lock(
    daemon: Daemon,
) -> None:
    ana = await daemon.till("ana")
    sale = make_sale(status="delivered")
    await one(ana, sale)

    result = await one(ana, bad(sale))

    assert result["error"] == BAD_QUANTITY


async def test_row_12_a_missing_product_in_an_edit_is_retryable_by_the_till(
    daemon: Daemon,
) -> None:
    ana = await daemon.till("ana")
    sale, _ = await a_synced(ana)

    result = await one(ana, {**sale, "items": [make_item(product_id=777)], "version": 2})

    assert (result["error"], result["retryable"]) == (NO_PRODUCT, True)
    status = await ana.status(1)
    assert (status["sync_status"], status["next_attempt_at"]) == ("synced", None)


# Rows 13 to 16: conflicts


async def test_row_13_a_version_newer_than_the_servers(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale, first = await a_synced(ana)

    answer = await ana.upload({**sale, "notes": "ahead", "customer_id": 6, "version": 3})

    assert answer.status == 200
    assert answer.json["summary"] == {"total": 1, "successful": 0, "conflicts": 1, "errors": 0}
    check_conflict(
        answer.result,
        first,
        "version_ahead",
        versions=(2, 3),
        fields=["customer_id", "notes"],
        server=in_content(notes="b"),
        client=in_content(notes="ahead", customer_id=6),
        base=None,
    )
    shown = await ana.sale(1)
    assert (shown["sync_status"], shown["notes"], shown["version"]) == ("conflict", "b", 2)
    assert shown["conflict_data"] == answer.result["conflict_data"]


async def test_row_13_replaces_what_is_parked(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale, _ = await in_conflict(ana)

    result = await one(ana, {**sale, "notes": "ahead", "version": 3})

    assert result["code"] == "version_ahead"
    data = (await ana.sale(1))["conflict_data"]
    assert data["client"] == in_content(notes="ahead")
    assert data["server"] == in_content(notes="b")


async def test_row_13_comes_before_the_lock(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale(status="cancelled")
    await one(ana, sale)

    result = await one(ana, {**sale, "notes": "ahead", "version": 2})

    assert result["code"] == "version_ahead"


@pytest.mark.parametrize("status", ["delivered", "cancelled"])
@pytest.mark.parametrize("version", [1, 2])
async def test_row_14_a_delivered_or_cancelled_sale_is_locked(
    daemon: Daemon, status: str, version: int
) -> None:
    ana = await daemon.till("ana")
    sale = make_sale(notes="a")
    first = await one(ana, sale)
    await one(ana, {**sale, "status": status})

    result = await one(ana, {**sale, "notes": "late", "status": status, "version": version})

    check_conflict(
        result,
        first,
        "locked",
        versions=(2, version),
        fields=["notes"],
        server=in_content(notes="a", status=status),
        client=in_content(notes="late", status=status),
        base=in_content(notes="a") if version == 1 else result["conflict_data"]["base"],
    )
    assert (await ana.status(1))["sync_status"] == "conflict"
    assert (await ana.sale(1))["notes"] == "a"


async def test_row_14_a_locked_sale_in_conflict_stays_locked(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale(status="delivered")
    await one(ana, sale)
    await one(ana, {**sale, "notes": "first"})

    result = await one(ana, {**sale, "notes": "second"})

    assert result["code"] == "locked"
    assert (await ana.sale(1))["conflict_data"]["client"]["notes"] == "second"


async def test_row_14_is_not_merged_away(start_daemon: StartDaemon) -> None:
    async with start_daemon(auto_merge=True) as daemon:
        ana = await daemon.till("ana")
        sale = make_sale()
        await one(ana, sale)
        await one(ana, {**sale, "status": "delivered"})

        result = await one(ana, {**sale, "notes": "late"})

        assert result["code"] == "locked"


async def test_row_15_an_older_version_is_a_conflict(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale, first = await a_synced(ana)
    items = [make_item(), make_item(product_id=12, quantity="1")]

    result = await one(ana, {**sale, "notes": "a", "items": items, "version": 1})

    server = in_content(notes="b")
    added = {**server["items"][0], "product_id": 12, "quantity": "1.000"}
    check_conflict(
        result,
        first,
        "stale_version",
        versions=(2, 1),
        fields=["items", "notes"],
        server=server,
        client=in_content(notes="a", items=[server["items"][0], added]),
        base=in_content(notes="a"),
    )
    shown = await ana.sale(1)
    assert (shown["sync_status"], shown["notes"], shown["version"]) == ("conflict", "b", 2)
    assert len(shown["items"]) == 1


async def test_row_15_shows_the_base_of_the_clients_own_version(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale, _ = await a_synced(ana, notes=("a", "b", "c"))

    bases = [
        (await one(ana, {**sale, "notes": f"n{v}", "version": v}))["conflict_data"]["base"]
        for v in (1, 2)
    ]

    assert bases == [in_content(notes="a"), in_content(notes="b")]


async def test_row_15_a_newer_parked_copy_replaces_the_older_which_stays_in_the_history(
    daemon: Daemon, store_url: str
) -> None:
    ana = await daemon.till("ana")
    sale, _ = await in_conflict(ana)

    await one(ana, {**sale, "notes": "later copy", "version": 1})

    assert (await ana.sale(1))["conflict_data"]["client"]["notes"] == "later copy"
    assert "parked" in str((await stored(store_url))["copies"])
    # Once replaced, it is no longer "as parked": sent again, it is parked again.
    await one(ana, {**sale, "notes": "parked", "version": 1})
    assert (await ana.sale(1))["conflict_data"]["client"]["notes"] == "parked"


async def test_row_15_merges_where_each_side_changed_other_fields(
    start_daemon: StartDaemon,
) -> None:
    async with start_daemon(auto_merge=True) as daemon:
        ana = await daemon.till("ana")
        sale, first = await a_synced(ana)
        theirs = {**sale, "notes": "a", "customer_id": 6, "status": "confirmed", "version": 1}

        result = await one(ana, theirs)

        merged = in_content(notes="b", customer_id=6, status="confirmed")
        assert result == success(first, "Sale merged", 3, sale=merged)
        shown = await ana.sale(1)
        assert (shown["notes"], shown["customer_id"], shown["status"]) == ("b", 6, "confirmed")
        assert (shown["sync_status"], shown["version"]) == ("synced", 3)


async def test_row_15_merges_where_both_sides_changed_a_field_alike(
    start_daemon: StartDaemon,
) -> None:
    async with start_daemon(auto_merge=True) as daemon:
        ana = await daemon.till("ana")
        sale, first = await a_synced(ana)

        result = await one(ana, {**sale, "notes": "b", "customer_id": 6, "version": 1})

        merged = in_content(notes="b", customer_id=6)
        assert result == success(first, "Sale merged", 3, sale=merged)
        assert (await ana.sale(1))["customer_id"] == 6


async def test_row_15_does_not_merge_a_field_that_both_sides_changed(
    start_daemon: StartDaemon,
) -> None:
    async with start_daemon(auto_merge=True) as daemon:
        ana = await daemon.till("ana")
        sale, first = await a_synced(ana)

        result = await one(ana, {**sale, "notes": "c", "customer_id": 6, "version": 1})

        check_conflict(
            result,
            first,
            "stale_version",
            versions=(2, 1),
            fields=["customer_id", "notes"],
            server=in_content(notes="b"),
            client=in_content(notes="c", customer_id=6),
            base=in_content(notes="a"),
        )


async def test_row_15_does_not_merge_a_status_back(start_daemon: StartDaemon) -> None:
    async with start_daemon(auto_merge=True) as daemon:
        ana = await daemon.till("ana")
        sale = make_sale(status="confirmed")
        await one(ana, sale)
        await one(ana, {**sale, "notes": "b"})

        result = await one(ana, {**sale, "status": "draft"})

        assert result["code"] == "stale_version"
        assert (await ana.sale(1))["status"] == "confirmed"


async def test_row_15_merges_with_a_status_that_the_server_alone_moved_on(
    start_daemon: StartDaemon,
) -> None:
    async with start_daemon(auto_merge=True) as daemon:
        ana = await daemon.till("ana")
        sale = make_sale()
        first = await one(ana, sale)
        await one(ana, {**sale, "status": "ready"})

        result = await one(ana, {**sale, "notes": "mine"})

        merged = in_content(status="ready", notes="mine")
        assert result == success(first, "Sale merged", 3, sale=merged)
        shown = await ana.sale(1)
        assert (shown["status"], shown["notes"]) == ("ready", "mine")


async def test_row_15_merges_only_a_synced_sale(start_daemon: StartDaemon) -> None:
    async with start_daemon(auto_merge=True) as daemon:
        ana = await daemon.till("ana")
        sale, _ = await in_conflict(ana)

        result = await one(ana, {**sale, "notes": "a", "customer_id": 6, "version": 1})

        assert result["code"] == "stale_version"
        assert (await ana.status(1))["sync_status"] == "conflict"


STATUSES = ["draft", "confirmed", "in_preparation", "ready", "delivered"]


async def test_row_16_a_status_behind_the_servers(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    for server, client in [(s, c) for i, s in enumerate(STATUSES[:4]) for c in STATUSES[:i]]:
        sale = make_sale(status=server)
        first = await one(ana, sale)

        result = await one(ana, {**sale, "status": client})

        check_conflict(
            result,
            first,
            "status_regression",
            versions=(1, 1),
            fields=["status"],
            server=in_content(status=server),
            client=in_content(status=client),
            base=result["conflict_data"]["base"],
        )
        assert (await ana.sale(first["sale_id"]))["status"] == server


async def test_row_16_holds_in_a_conflict_too(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale(status="ready")
    await one(ana, sale)
    await one(ana, {**sale, "notes": "ahead", "version": 9})

    result = await one(ana, {**sale, "status": "draft"})

    assert result["code"] == "status_regression"
    assert (await ana.sale(1))["conflict_data"]["client"]["status"] == "draft"


# Rows 17 and 18: updates


CHANGES: list[Json] = [
    {"customer_id": 6},
    {"notes": "x"},
    {"status": "confirmed"},
    {"status": "delivered"},
    {"status": "cancelled"},
    {"items": [make_item(quantity="6")]},
    {"items": [make_item(), make_item()]},
    {"items": [make_item(unit_price="25.5001")]},
    {"items": [make_item(tax_percentage="10.5")]},
]


async def test_row_17_the_servers_version_updates(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    for changed in CHANGES:
        sale = make_sale(created_at="2026-02-16T10:30:00Z")
        first = await one(ana, sale)

        result = await one(ana, {**sale, **changed, "created_at": "2026-03-01T00:00:00Z"})

        assert result == success(first, "Sale updated", 2)
        shown = await ana.sale(first["sale_id"])
        assert (shown["version"], shown["sync_status"]) == (2, "synced")
        assert shown["sold_at"] == "2026-02-16T10:30:00Z"
        [(name, value)] = changed.items()
        assert (len(shown[name]) if name == "items" else shown[name]) == (
            len(value) if name == "items" else value
        )


async def test_row_17_cancelled_is_behind_nothing(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale(status="ready")
    first = await one(ana, sale)

    result = await one(ana, {**sale, "status": "cancelled"})

    assert result == success(first, "Sale updated", 2)


async def test_row_18_the_servers_version_closes_a_conflict_as_client_wins(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale, first = await in_conflict(ana)

    result = await one(ana, {**sale, "notes": "settled", "version": 2})

    assert result == success(first, "Sale updated", 3)
    status = await ana.status(1)
    assert (status["sync_status"], status["conflict_resolution"]) == ("synced", "client_wins")
    shown = await ana.sale(1)
    assert (shown["notes"], shown["version"]) == ("settled", 3)
    assert "conflict_data" not in shown


async def test_row_18_the_parked_content_itself_may_be_sent_on_the_servers_version(
    daemon: Daemon,
) -> None:
    ana = await daemon.till("ana")
    sale, first = await in_conflict(ana)

    result = await one(ana, {**sale, "notes": "parked", "version": 2})

    assert result == success(first, "Sale updated", 3)
    assert (await ana.status(1))["conflict_resolution"] == "client_wins"


# Two equal local_ids in one body


async def test_equal_local_ids_in_one_body_are_judged_in_order(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    a = make_sale(notes="a")
    b, c = {**a, "notes": "b"}, {**a, "notes": "c"}
    capitals = {**a, "local_id": a["local_id"].upper()}

    results = (await ana.upload(a, a, b, capitals, c, {**c, "version": 2}, bad(a))).json["results"]

    told = [(r["index"], r["message"] or r.get("error"), r["version"]) for r in results]
    assert told[:4] == [
        (0, None, 1),
        (1, "Sale already synced", 1),
        (2, "Sale updated", 2),
        (3, "Sale already synced", 2),
    ]
    assert results[4]["code"] == "stale_version"
    assert told[5] == (5, "Sale updated", 3)
    assert results[6]["error"] == BAD_QUANTITY
    assert {r["sale_id"] for r in results} == {1}
    assert {r["local_id"] for r in results} == {a["local_id"]}
    shown = await ana.sale(1)
    assert (shown["notes"], shown["version"], shown["sync_status"]) == ("c", 3, "synced")


async def test_equal_local_ids_may_be_held_and_mended_in_one_body(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale, other = make_sale(), make_sale()

    answer = await ana.upload(bad(sale), other, bad(sale), sale)

    results = answer.json["results"]
    assert [r["status"] for r in results] == ["error", "success", "error", "success"]
    assert [r["sale_id"] for r in results] == [1, 2, 1, 1]
    assert answer.json["summary"] == {"total": 4, "successful": 2, "conflicts": 0, "errors": 2}
    assert (await ana.status(1))["sync_attempt_count"] == 3


async def test_the_whole_table_tells_the_same_through_the_bulk_status(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    synced, _ = await a_synced(ana)
    parked, _ = await in_conflict(ana)
    held = bad(make_sale())
    await one(ana, held)
    keys = [sale["local_id"] for sale in (held, synced, parked)]

    bulk = (await ana.post(f"{SYNC}/status/", {"local_ids": keys})).json["results"]

    assert bulk == [await ana.status(key) for key in keys]
    assert [row["sync_status"] for row in bulk] == ["error", "synced", "conflict"]

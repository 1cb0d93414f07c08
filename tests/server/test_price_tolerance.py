"""Warnings about prices that stray from the catalogue's (contract 11, price_tolerance)."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from bulonera_sync.store.catalog import CatalogCustomer, CatalogProduct
from tests.factories import Json, make_item, make_sale
from tests.http import SYNC, Daemon, Till
from tests.model.stopped import Chance, Clock, step, stopped_daemon

# Products 1 to 99 cost 25.50: ten percent is 22.95 to 28.05.


@pytest.fixture
async def wary(store_url: str) -> AsyncIterator[Daemon]:
    """A daemon that warns beyond ten percent."""
    async with stopped_daemon(store_url, Clock(), Chance(), price_tolerance=10) as running:
        yield running


@pytest.fixture
async def ana(wary: Daemon) -> Till:
    return await wary.till("ana")


def priced(price: str, **said: object) -> Json:
    return make_sale(items=[make_item(unit_price=price)], **said)


@pytest.mark.parametrize("price", ["22.95", "25.50", "28.05", "28.0500"])
async def test_a_price_within_the_tolerance_carries_no_warning(ana: Till, price: str) -> None:
    result = (await ana.upload(priced(price))).result

    assert result["status"] == "success"
    assert result.get("warnings", []) == []


@pytest.mark.parametrize("price", ["22.9499", "28.0501", "0", "2550"])
async def test_a_price_beyond_it_up_or_down_is_taken_with_a_warning(ana: Till, price: str) -> None:
    result = (await ana.upload(priced(price))).result

    [warning] = result["warnings"]
    assert result["status"] == "success"
    assert warning.keys() == {"field", "code", "message"}
    assert warning["field"] == "items[0].unit_price"
    assert warning["code"] == "price_deviation"
    assert warning["message"]
    assert (await ana.sale(result["sale_id"]))["warnings"] == [warning]


async def test_each_straying_item_has_its_warning(ana: Till) -> None:
    items = [make_item(unit_price=price) for price in ("1", "25.50", "99")]

    result = (await ana.upload(make_sale(items=items))).result

    fields = [warning["field"] for warning in result["warnings"]]
    assert fields == ["items[0].unit_price", "items[2].unit_price"]


async def test_a_product_without_a_price_warns_of_nothing(ana: Till, wary: Daemon) -> None:
    free = CatalogProduct(10, "P10", "Sin precio", None, Decimal(21), True)
    await wary.gateway.import_rows("products", [free])

    result = (await ana.upload(priced("999"))).result

    assert result.get("warnings", []) == []


async def test_without_a_tolerance_there_are_no_warnings(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    result = (await ana.upload(priced("9999"))).result

    assert result.get("warnings", []) == []
    assert (await ana.sale(result["sale_id"]))["warnings"] == []


async def test_a_sale_in_conflict_shows_its_warnings_in_pending(ana: Till) -> None:
    sale = priced("99", notes="a")
    first = (await ana.upload(sale)).result
    await ana.upload({**sale, "notes": "b"})
    await ana.upload({**sale, "notes": "c"})

    [row] = (await ana.get(f"{SYNC}/pending/?status=conflict")).json["results"]

    assert row["warnings"] == first["warnings"]


async def test_an_update_is_warned_of_by_its_own_prices(ana: Till) -> None:
    sale = priced("99")
    await ana.upload(sale)

    cured = (await ana.upload({**sale, "items": [make_item()]})).result
    again = (await ana.upload({**sale, "version": 2, "notes": "x"})).result

    assert cured.get("warnings", []) == []
    assert [warning["code"] for warning in again["warnings"]] == ["price_deviation"]


async def test_an_edit_of_the_items_is_warned_of(ana: Till, wary: Daemon) -> None:
    marta = await wary.till("marta", "manager")
    result = (await ana.upload(make_sale())).result
    path = f"/api/v1/sales/{result['sale_id']}/"

    strayed = await marta.send(
        "PATCH", path, json={"items": [make_item(unit_price="99")], "version": 1}
    )
    noted = await marta.send("PATCH", path, json={"notes": "x", "version": 2})
    cured = await marta.send("PATCH", path, json={"items": [make_item()], "version": 3})

    assert [each["code"] for each in strayed.json["warnings"]] == ["price_deviation"]
    assert noted.json["warnings"] == strayed.json["warnings"]
    assert cured.json["warnings"] == []


@pytest.mark.parametrize("resolution", ["server_wins", "client_wins"])
async def test_a_resolution_leaves_the_warnings_of_the_content_that_won(
    ana: Till, resolution: str
) -> None:
    sale = priced("99", notes="a")
    await ana.upload(sale)
    await ana.upload({**sale, "notes": "b"})
    parked = (await ana.upload({**sale, "items": [make_item()]})).result

    await ana.post(f"{SYNC}/resolve/", {"sale_id": parked["sale_id"], "resolution": resolution})

    shown = await ana.sale(parked["sale_id"])
    assert len(shown["warnings"]) == (1 if resolution == "server_wins" else 0)


async def test_a_sale_that_heals_is_warned_of(ana: Till, wary: Daemon) -> None:
    held = (await ana.upload(priced("99", customer_id=999))).result
    await wary.gateway.import_rows("customers", [CatalogCustomer(999, "Cliente", "", True)])

    await step(wary.gateway)

    shown = await ana.sale(held["sale_id"])
    assert shown["sync_status"] == "synced"
    assert [warning["code"] for warning in shown["warnings"]] == ["price_deviation"]


async def test_the_till_takes_over_what_the_catalogue_said_then(ana: Till, wary: Daemon) -> None:
    result = (await ana.upload(priced("99"))).result
    dearer = CatalogProduct(10, "P10", "Más caro", Decimal(99), Decimal(21), True)

    await wary.gateway.import_rows("products", [dearer])

    assert (await ana.sale(result["sale_id"]))["warnings"] == result["warnings"]

"""What the owner's guide prints is what the gateway answers, key by key.

The examples stand here as the guide prints them; a client that knows nothing but them must work.
"""

import json
import re
from datetime import datetime
from typing import Any

import asyncpg

from bulonera_sync.store.catalog import CatalogCustomer, CatalogProduct
from bulonera_sync.store.drivers import sqlite3
from tests.conftest import StartDaemon
from tests.factories import Json, make_item, make_sale
from tests.http import SYNC, Daemon, Till

UPLOAD = """
{
    "sales": [
      {
        "local_id": "550e8400-e29b-41d4-a716-446655440000",
        "customer_id": 5,
        "status": "draft",
        "items": [
          {
            "product_id": 10,
            "quantity": "5.000",
            "unit_price": "25.50",
            "discount_type": "none",
            "discount_value": "0",
            "tax_percentage": "21"
          },
          {
            "product_id": 12,
            "quantity": "3",
            "unit_price": "100.00",
            "discount_type": "percentage",
            "discount_value": "10",
            "tax_percentage": "21"
          }
        ],
        "notes": "Cliente VIP - pedido urgente",
        "version": 1
      }
    ]
  }
"""

UPLOAD_SUCCESS = """
{
  "results": [
    {
      "local_id": "550e8400-e29b-41d4-a716-446655440000",
      "status": "success",
      "sale_id": 42,
      "sale_number": "VTA-2026-00042",
      "message": null
    }
  ],
  "summary": {
    "total": 1,
    "successful": 1,
    "conflicts": 0,
    "errors": 0
  }
}
"""

UPLOAD_MISSING_CUSTOMER = """
{
  "results": [
    {
      "local_id": "550e8400-e29b-41d4-a716-446655440000",
      "status": "error",
      "error": "Customer con id=999 no existe en base de datos"
    }
  ],
  "summary": {
    "total": 1,
    "successful": 0,
    "conflicts": 0,
    "errors": 1
  }
}
"""

PENDING = """
{
  "count": 2,
  "limit": 50,
  "results": [
    {
      "id": 5,
      "number": "VTA-2026-00005",
      "status": "draft",
      "payment_status": "unpaid",
      "fiscal_status": "pending",
      "customer": 3,
      "total": "125.50",
      "created_at": "2026-02-16T10:30:00Z",
      "sync_status": "pending"
    },
    {
      "id": 7,
      "number": "VTA-2026-00007",
      "status": "draft",
      "payment_status": "unpaid",
      "fiscal_status": "pending",
      "customer": 3,
      "total": "250.00",
      "created_at": "2026-02-16T11:00:00Z",
      "sync_status": "error"
    }
  ]
}
"""

STATUS = """
{
  "sale_id": 42,
  "sale_number": "VTA-2026-00042",
  "local_id": "550e8400-e29b-41d4-a716-446655440000",
  "sync_status": "synced",
  "sync_succeeded_at": "2026-02-16T12:00:30Z",
  "sync_last_attempt": "2026-02-16T12:00:20Z",
  "sync_attempt_count": 1,
  "version": 1,
  "conflict_resolution": null,
  "error": null
}
"""

STATUS_ERROR = """
{
  "sale_id": 7,
  "sale_number": "VTA-2026-00007",
  "local_id": "650e8400-e29b-41d4-a716-446655440001",
  "sync_status": "error",
  "sync_succeeded_at": null,
  "sync_last_attempt": "2026-02-16T11:55:00Z",
  "sync_attempt_count": 1,
  "version": 1,
  "conflict_resolution": null,
  "error": "Customer con id=999 no existe"
}
"""

TEST_1 = """
{
    "sales": [{
      "local_id": "550e8400-e29b-41d4-a716-446655440000",
      "customer_id": 1,
      "items": [{
        "product_id": 1,
        "quantity": "5",
        "unit_price": "25.00",
        "tax_percentage": "21"
      }]
    }]
  }
"""

TEST_2 = """
{
    "sales": [{
      "local_id": "550e8400-e29b-41d4-a716-446655440000",
      "customer_id": 1,
      "items": [{
        "product_id": 99999,
        "quantity": "5",
        "unit_price": "25.00"
      }]
    }]
  }
"""

# Ids, numbers and times are the server's to give: their form counts, not their value.
GIVEN = frozenset(
    {
        "sale_id",
        "sale_number",
        "id",
        "number",
        "created_at",
        "sync_succeeded_at",
        "sync_last_attempt",
    }
)
FORMS = (re.compile(r"VTA-\d{4}-\d{5}"), re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"))


def check_shows(told: Any, example: Any, at: str = "answer") -> None:
    """Hold an answer against an example: every key of it, the same types, forms and values."""
    if isinstance(example, dict):
        for name, value in example.items():
            assert name in told, f"{at}.{name} is missing"
            if name in GIVEN:
                check_form(told[name], value, f"{at}.{name}")
            else:
                check_shows(told[name], value, f"{at}.{name}")
        # The guide's own keys come first, in the guide's order.
        assert [key for key in told if key in example] == list(example), at
        return
    if isinstance(example, list):
        assert len(told) == len(example), at
        for index, value in enumerate(example):
            check_shows(told[index], value, f"{at}[{index}]")
        return
    assert type(told) is type(example), at
    assert told == example, at


def check_form(told: object, example: object, at: str) -> None:
    assert type(told) is type(example), at
    for form in FORMS:
        if isinstance(example, str) and form.fullmatch(example):
            assert form.fullmatch(str(told)), at


async def send(till: Till, body: str) -> Any:
    return await till.post_bytes(f"{SYNC}/upload/", body.encode())


async def test_the_upload_of_the_guide_succeeds_as_printed(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    answer = await send(ana, UPLOAD)

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    check_shows(answer.json, json.loads(UPLOAD_SUCCESS))
    shown = await ana.sale(answer.result["sale_id"])
    assert shown["notes"] == "Cliente VIP - pedido urgente"
    assert (shown["subtotal"], shown["discount"], shown["tax"], shown["total"]) == (
        "427.50",
        "30.00",
        "83.48",
        "480.98",
    )


async def test_the_missing_customer_of_the_guide_is_told_as_printed(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    answer = await send(ana, UPLOAD.replace('"customer_id": 5', '"customer_id": 999'))

    assert answer.status == 400
    check_shows(answer.json, json.loads(UPLOAD_MISSING_CUSTOMER))


async def test_the_texts_of_the_guides_seven_checks(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    stored = make_sale()
    await ana.upload(stored)
    checks = [
        (make_sale(local_id=""), "local_id requerido y no puede estar vacío"),
        (make_sale(local_id="invalid-uuid"), "local_id debe ser UUID válido (RFC 4122)"),
        (make_sale(customer_id=999), "Customer con id=999 no existe"),
        (make_sale(items=[]), "Sale debe tener al menos 1 item"),
        (make_sale(items=[make_item(product_id=777)]), "Item #0: Producto con id=777 no existe"),
        (make_sale(items=[make_item(quantity=0)]), "Item #0: quantity debe ser mayor a 0"),
    ]

    answer = await ana.upload(*(sale for sale, _ in checks), stored)

    *errors, again = answer.json["results"]
    for result, (_, text) in zip(errors, checks, strict=True):
        assert result["error"].startswith(text)
    assert (again["status"], again["message"]) == ("success", "Sale already synced")


async def test_the_pending_list_of_the_guide_is_as_printed(daemon: Daemon, store_url: str) -> None:
    ana = await daemon.till("ana")
    item = {"quantity": "1", "tax_percentage": "0", "discount_value": "0"}
    await ana.upload(
        make_sale(customer_id=3, items=[make_item(product_id=777, unit_price="125.50", **item)]),
        make_sale(customer_id=3, items=[make_item(product_id=777, unit_price="250.00", **item)]),
    )
    await queue_the_first(store_url)

    answer = await ana.get(f"{SYNC}/pending/?limit=50")

    assert answer.status == 200
    check_shows(answer.json, json.loads(PENDING))
    for row in answer.json["results"]:
        datetime.fromisoformat(row["created_at"])


async def queue_the_first(store_url: str) -> None:
    """Make the first held sale pending; to queue it by HTTP would have the daemon judge it."""
    statement = "UPDATE sales SET sync_status = 'pending' WHERE id = 1"
    if store_url.startswith("sqlite"):
        connection = sqlite3.connect(store_url.removeprefix("sqlite:///"), timeout=15)
        connection.execute(statement)
        connection.commit()
        connection.close()
        return
    held = await asyncpg.connect(store_url)
    await held.execute(statement)
    await held.close()


async def test_the_status_of_the_guide_is_as_printed(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale_id = (await send(ana, UPLOAD)).result["sale_id"]

    # The guide's own curl line leaves the last slash out.
    answer = await ana.get(f"{SYNC}/status/{sale_id}")

    assert answer.status == 200
    check_shows(answer.json, json.loads(STATUS))


async def test_the_status_of_an_error_is_as_printed(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    held = make_sale(local_id="650e8400-e29b-41d4-a716-446655440001", customer_id=999)
    sale_id = (await ana.upload(held)).result["sale_id"]

    answer = await ana.get(f"{SYNC}/status/{sale_id}/")

    assert answer.status == 200
    told = answer.json
    # Two pages of the guide print this text in two lengths; the upload's is kept.
    assert told["error"] == "Customer con id=999 no existe en base de datos"
    check_shows({**told, "error": "Customer con id=999 no existe"}, json.loads(STATUS_ERROR))


async def test_test_1_of_the_guide_a_valid_single_sale(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    answer = await send(ana, TEST_1)

    assert answer.status == 200
    check_shows(answer.json, json.loads(UPLOAD_SUCCESS))
    assert (await ana.sale(answer.result["sale_id"]))["total"] == "151.25"


async def test_test_2_of_the_guide_an_invalid_product(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    answer = await send(ana, TEST_2)

    assert answer.status == 400
    assert "Producto con id=99999 no existe" in answer.result["error"]


async def test_test_3_of_the_guide_request_51_is_throttled(start_daemon: StartDaemon) -> None:
    async with start_daemon(throttle="50/hour") as daemon:
        ana = await daemon.till("ana")

        statuses = [(await ana.get(f"{SYNC}/pending/")).status for _ in range(51)]

        assert statuses == [200] * 50 + [429]


async def test_the_pwa_of_the_guide_stores_its_own_keys_in_the_same_object(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    of_indexed_db: Json = {
        **json.loads(TEST_1)["sales"][0],
        "sync_status": "pending",
        "sync_error": "Sync failed",
        "sale_id": 42,
        "sale_number": "VTA-2026-00042",
        "version": 1,
    }

    first = await ana.upload(of_indexed_db)
    again = await ana.upload({**of_indexed_db, "sync_status": "synced"})

    assert first.result["status"] == "success"
    assert again.result["message"] == "Sale already synced"
    assert again.result["sale_id"] == first.result["sale_id"]


async def test_a_conflict_of_the_guide_has_what_the_pwa_shows(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sale = make_sale()
    await ana.upload(sale)

    answer = await ana.upload({**sale, "notes": "ahead", "version": 2})

    assert answer.status == 200
    assert answer.result["status"] == "conflict"
    assert answer.result["conflict_data"]
    assert answer.json["summary"] == {"total": 1, "successful": 0, "conflicts": 1, "errors": 0}


async def test_what_the_guide_says_of_a_catalogue_that_arrives_late(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    body = UPLOAD.replace('"customer_id": 5', '"customer_id": 999').replace("12,", "888,")
    await send(ana, body)
    await daemon.gateway.import_rows("customers", [CatalogCustomer(999, "Nuevo", "", True)])
    await daemon.gateway.import_rows(
        "products", [CatalogProduct(888, "P888", "Nuevo", None, None, True)]
    )

    # The import may have healed it already: then this is a late duplicate.
    answer = await send(ana, body)

    assert answer.status == 200
    told = answer.json
    assert told["results"][0]["message"] in {None, "Sale already synced"}
    told["results"][0]["message"] = None
    check_shows(told, json.loads(UPLOAD_SUCCESS))

"""What nobody may set: each forbidden field is refused by its name and changes nothing."""

from typing import Any

import pytest

from tests.factories import Json, make_sale
from tests.http import SYNC, Daemon, Till

FORBIDDEN: dict[str, Any] = {
    "id": 999,
    "sale_id": 999,
    "number": "VTA-2026-99999",
    "sale_number": "VTA-2026-99999",
    "local_id": "550e8400-e29b-41d4-a716-446655440000",
    "user_id": 1,
    "created_by": "marta",
    "created_at": "2020-01-01T00:00:00Z",
    "sold_at": "2020-01-01T00:00:00Z",
    "updated_at": "2020-01-01T00:00:00Z",
    "sync_status": "synced",
    "sync_succeeded_at": "2020-01-01T00:00:00Z",
    "sync_last_attempt": "2020-01-01T00:00:00Z",
    "sync_attempt_count": 0,
    "next_attempt_at": "2020-01-01T00:00:00Z",
    "dead": True,
    "conflict_resolution": "server_wins",
    "conflict_data": None,
    "parked": None,
    "payload": "{}",
    "subtotal": "0.01",
    "discount": "0.01",
    "tax": "0.01",
    "total": "0.01",
    "warnings": [],
    "error": None,
    "errors": [],
    "fingerprint": "0",
    "role": "manager",
    "__class__": {},
}
NOT_IN_CLIENT_DATA: dict[str, Any] = {
    **FORBIDDEN,
    "version": 9,
    "payment_status": "paid",
    "fiscal_status": "authorized",
}


async def in_conflict(till: Till) -> Json:
    sale = make_sale(notes="a")
    await till.upload(sale)
    await till.upload({**sale, "notes": "b"})
    result: Json = (await till.upload({**sale, "notes": "c"})).result
    assert result["status"] == "conflict"
    return result


@pytest.mark.parametrize("resolution", ["client_wins", "manual"])
async def test_client_data_sets_nothing_but_the_content(daemon: Daemon, resolution: str) -> None:
    ana = await daemon.till("ana")
    sale = await in_conflict(ana)
    before = await ana.sale(sale["sale_id"])
    body = {"sale_id": sale["sale_id"], "resolution": resolution}

    refused = {
        name: await ana.post(
            f"{SYNC}/resolve/", {**body, "client_data": {"notes": "x", name: value}}
        )
        for name, value in NOT_IN_CLIENT_DATA.items()
    }

    assert {name: answer.status for name, answer in refused.items()} == dict.fromkeys(refused, 400)
    assert [name for name, answer in refused.items() if name not in answer.json["error"]] == []
    assert await ana.sale(sale["sale_id"]) == before


@pytest.mark.parametrize("state", ["synced", "held", "conflict"])
async def test_an_edit_sets_nothing_but_what_may_be_edited(daemon: Daemon, state: str) -> None:
    ana, marta = await daemon.till("ana"), await daemon.till("marta", "manager")
    match state:
        case "conflict":
            sale = await in_conflict(ana)
        case "held":
            sale = (await ana.upload(make_sale(items=[]))).result
        case _:
            sale = (await ana.upload(make_sale())).result
    before = await ana.sale(sale["sale_id"])
    path = f"/api/v1/sales/{sale['sale_id']}/"

    refused = {
        name: await marta.send(
            "PATCH", path, json={"version": before["version"], "notes": "x", name: value}
        )
        for name, value in FORBIDDEN.items()
    }

    assert {name: answer.status for name, answer in refused.items()} == dict.fromkeys(refused, 400)
    assert [name for name, answer in refused.items() if name not in answer.json["error"]] == []
    assert await ana.sale(sale["sale_id"]) == before


async def test_an_upload_ignores_what_only_the_server_knows(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    await ana.upload(make_sale())
    ignored = {
        name: value for name, value in FORBIDDEN.items() if name not in {"local_id", "created_at"}
    }

    result = (await ana.upload(make_sale(**ignored, payment_status="paid"))).result

    shown = await ana.sale(result["sale_id"])
    assert (result["sale_id"], result["version"]) == (2, 1)
    assert shown["created_by"] == "ana"
    assert shown["total"] == "154.28"
    assert (shown["sync_status"], shown["payment_status"]) == ("synced", "unpaid")
    assert (shown["dead"], shown["sold_at"], shown["sync_attempt_count"]) == (False, None, 1)

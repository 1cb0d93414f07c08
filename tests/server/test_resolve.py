"""Resolve over HTTP (contract 6): every answer, every refusal, and the same words again."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.factories import CUSTOMERS, Json, make_item, make_sale, new_local_id
from tests.http import SYNC, Answer, Daemon, Till
from tests.model.stopped import Chance, Clock, stopped_daemon
from tests.server.test_state_table import in_content

REQUIRED = "sale_id y resolution requeridos"
WRONG = "resolution debe ser: server_wins, client_wins o manual"


@pytest.fixture
async def stopped(store_url: str) -> AsyncIterator[Daemon]:
    async with stopped_daemon(store_url, Clock(), Chance()) as running:
        yield running


@pytest.fixture
async def ana(stopped: Daemon) -> Till:
    return await stopped.till("ana")


@pytest.fixture
async def marta(stopped: Daemon) -> Till:
    return await stopped.till("marta", "manager")


async def resolve(till: Till, sale: Json, resolution: object, **more: Any) -> Answer:
    body = {"sale_id": sale["sale_id"], "resolution": resolution, **more}
    return await till.post(f"{SYNC}/resolve/", body)


async def in_conflict(
    till: Till, *, server: Json | None = None, client: Json | None = None
) -> tuple[Json, Json]:
    """Return the parked upload and its result: the server at version 2, the till's copy of 1."""
    sale = make_sale(notes="a")
    await till.upload(sale)
    await till.upload({**sale, "notes": "server", **(server or {})})
    upload = {**sale, "notes": "client", **(client or {})}
    result: Json = (await till.upload(upload)).result
    assert result["status"] == "conflict"
    return upload, result


async def patched(manager: Till, key: object, version: int, **said: object) -> Json:
    path = f"/api/v1/sales/{key}/"
    answer = await manager.send("PATCH", path, json={"version": version, **said})
    assert answer.status == 200, answer.text
    document: Json = answer.json
    return document


# The three resolutions


async def test_server_wins_keeps_the_servers_content_and_version(ana: Till) -> None:
    _, sale = await in_conflict(ana)

    answer = await resolve(ana, sale, "server_wins", notes="lo del servidor vale")

    assert answer.status == 200
    assert answer.json["message"] == "Conflict resolved with server_wins"
    resolved = answer.json["sale"]
    assert resolved["id"] == sale["sale_id"]
    assert resolved["number"] == sale["sale_number"]
    assert resolved["sync_status"] == "synced"
    assert resolved["version"] == 2
    assert resolved["conflict_resolution"] == "server_wins"
    assert resolved["sync_succeeded_at"] == "2026-02-16T12:00:00Z"
    assert resolved.items() >= in_content(notes="server").items()


async def test_client_wins_applies_the_parked_content(ana: Till) -> None:
    _, sale = await in_conflict(ana, client={"status": "ready", "customer_id": 7})

    answer = await resolve(ana, sale, "client_wins")

    assert answer.status == 200
    assert answer.json["message"] == "Conflict resolved with client_wins"
    resolved = answer.json["sale"]
    assert (resolved["version"], resolved["sync_status"]) == (3, "synced")
    assert resolved["conflict_resolution"] == "client_wins"
    content = in_content(notes="client", status="ready", customer_id=7)
    assert resolved.items() >= content.items()


async def test_client_wins_applies_client_data_over_the_parked_content(ana: Till) -> None:
    _, sale = await in_conflict(ana, client={"status": "ready", "customer_id": 7})

    answer = await resolve(ana, sale, "client_wins", client_data={"notes": "x", "customer_id": "8"})

    content = in_content(notes="x", status="ready", customer_id=8)
    assert answer.json["sale"].items() >= content.items()
    assert answer.json["sale"]["version"] == 3


async def test_manual_applies_client_data_over_the_servers_content(ana: Till) -> None:
    _, sale = await in_conflict(ana, client={"status": "ready", "customer_id": 7})

    answer = await resolve(ana, sale, "manual", client_data={"customer_id": 8})

    assert answer.json["message"] == "Conflict resolved with manual"
    resolved = answer.json["sale"]
    assert resolved["conflict_resolution"] == "manual"
    assert (resolved["version"], resolved["sync_status"]) == (3, "synced")
    assert resolved.items() >= in_content(notes="server", customer_id=8).items()


async def test_manual_without_client_data_leaves_the_conflict_marked(ana: Till) -> None:
    _, sale = await in_conflict(ana)

    answer = await resolve(ana, sale, "manual", notes="que lo vea Marta")

    assert answer.status == 200
    marked = answer.json["sale"]
    assert (marked["sync_status"], marked["version"]) == ("conflict", 2)
    assert marked["conflict_resolution"] == "manual"
    shown = await ana.sale(sale["sale_id"])
    assert shown["conflict_data"]["client"]["notes"] == "client"
    assert (await ana.status(sale["sale_id"]))["sync_status"] == "conflict"


@pytest.mark.parametrize("resolution", ["server_wins", "client_wins"])
async def test_what_is_marked_for_review_can_still_be_resolved(ana: Till, resolution: str) -> None:
    _, sale = await in_conflict(ana)
    await resolve(ana, sale, "manual")

    answer = await resolve(ana, sale, resolution)

    assert answer.status == 200
    assert answer.json["sale"]["conflict_resolution"] == resolution


async def test_items_of_client_data_replace_all_items(ana: Till) -> None:
    _, sale = await in_conflict(ana)
    items = [make_item(product_id=11, quantity="2"), make_item(product_id=12)]

    answer = await resolve(ana, sale, "manual", client_data={"items": items})

    shown = await ana.sale(sale["sale_id"])
    assert [item["product_id"] for item in answer.json["sale"]["items"]] == [11, 12]
    assert shown["total"] == "215.99"


async def test_a_sale_can_be_named_by_its_local_id(ana: Till) -> None:
    upload, sale = await in_conflict(ana)
    body = {"local_id": upload["local_id"].upper(), "resolution": "server_wins"}

    answer = await ana.post(f"{SYNC}/resolve/", body)

    assert answer.status == 200
    assert answer.json["sale"]["id"] == sale["sale_id"]


async def test_a_sale_id_may_be_digits_in_a_string(ana: Till) -> None:
    _, sale = await in_conflict(ana)
    body = {"sale_id": str(sale["sale_id"]), "resolution": "server_wins"}

    answer = await ana.post(f"{SYNC}/resolve/", body)

    assert answer.status == 200


async def test_a_manager_resolves_anybodys_conflict(ana: Till, marta: Till) -> None:
    _, sale = await in_conflict(ana)

    answer = await resolve(marta, sale, "client_wins")

    assert answer.status == 200
    assert (await ana.sale(sale["sale_id"]))["created_by"] == "ana"


# Arguments that are refused


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, REQUIRED),
        ([], REQUIRED),
        ({"sale_id": 1}, REQUIRED),
        ({"resolution": "server_wins"}, REQUIRED),
        ({"sale_id": None, "resolution": "server_wins"}, REQUIRED),
        ({"sale_id": "", "resolution": "server_wins"}, REQUIRED),
        ({"sale_id": 1, "resolution": ""}, REQUIRED),
        ({"sale_id": 1, "resolution": None}, REQUIRED),
        ({"sale_id": 1, "resolution": "SERVER_WINS"}, WRONG),
        ({"sale_id": 1, "resolution": "merge"}, WRONG),
        ({"sale_id": 1, "resolution": 5}, WRONG),
        ({"sale_id": 1, "resolution": ["server_wins"]}, WRONG),
        ({"sale_id": 1, "resolution": False}, WRONG),
        ({"sale_id": 1, "resolution": {}}, WRONG),
    ],
)
async def test_missing_and_wrong_arguments_are_refused(ana: Till, body: object, text: str) -> None:
    answer = await ana.post(f"{SYNC}/resolve/", body)

    assert answer.status == 400
    assert answer.json == {"status": "error", "error": text}


@pytest.mark.parametrize(
    "wrong",
    [
        {"sale_id": True},
        {"sale_id": 5.0},
        {"sale_id": [5]},
        {"sale_id": "VTA-2026-00001"},
        {"sale_id": -1},
        {"sale_id": 0},
        {"sale_id": None, "local_id": "x"},
        {"client_data": []},
        {"client_data": "notes"},
        {"client_data": 0},
        {"client_data": False},
        {"expected_version": "2"},
        {"expected_version": 0},
        {"expected_version": 2.0},
        {"expected_version": True},
        {"notes": 5},
        {"notes": "x" * 2001},
        {"notes": "\0"},
        {"notes": ["x"]},
    ],
)
async def test_a_wrong_argument_is_refused_and_changes_nothing(ana: Till, wrong: Json) -> None:
    _, sale = await in_conflict(ana)
    before = await ana.sale(sale["sale_id"])

    answer = await resolve(ana, sale, "client_wins", **wrong)

    assert answer.status == 400
    assert answer.json["status"] == "error"
    assert answer.json["error"]
    assert await ana.sale(sale["sale_id"]) == before


async def test_client_data_with_server_wins_is_refused(ana: Till) -> None:
    _, sale = await in_conflict(ana)

    answer = await resolve(ana, sale, "server_wins", client_data={"notes": "x"})

    assert answer.status == 400
    assert "client_data" in answer.json["error"]
    assert (await ana.status(sale["sale_id"]))["sync_status"] == "conflict"


@pytest.mark.parametrize("resolution", ["client_wins", "manual"])
@pytest.mark.parametrize(
    ("client_data", "text"),
    [
        ({"customer_id": 999}, "Customer con id=999 no existe en base de datos"),
        ({"customer_id": "x"}, "customer_id debe ser un entero, recibido: x"),
        ({"items": []}, "Sale debe tener al menos 1 item"),
        ({"items": [make_item(product_id=777)]}, "Item #0: Producto con id=777 no existe"),
        (
            {"items": [make_item(), make_item(quantity="0")]},
            "Item #1: quantity debe ser mayor a 0, recibido: 0",
        ),
    ],
)
async def test_client_data_is_checked_like_an_upload(
    ana: Till, resolution: str, client_data: Json, text: str
) -> None:
    _, sale = await in_conflict(ana)
    before = await ana.sale(sale["sale_id"])

    answer = await resolve(ana, sale, resolution, client_data=client_data)

    assert answer.status == 400
    assert (answer.json["status"], answer.json["error"]) == ("error", text)
    assert await ana.sale(sale["sale_id"]) == before


@pytest.mark.parametrize("resolution", ["client_wins", "manual"])
@pytest.mark.parametrize(
    "client_data",
    [
        {"status": "closed"},
        {"status": 5},
        {"notes": 5},
        {"notes": "x" * 2001},
        {"customer_id": None},
        {"items": None},
        {"items": {}},
        {"items": [make_item(qty="1")]},
        {"items": [make_item(quantity="1e3")]},
    ],
)
async def test_client_data_that_makes_no_sale_is_refused(
    ana: Till, resolution: str, client_data: Json
) -> None:
    _, sale = await in_conflict(ana)
    before = await ana.sale(sale["sale_id"])

    answer = await resolve(ana, sale, resolution, client_data=client_data)

    assert answer.status == 400
    assert answer.json["status"] == "error"
    assert await ana.sale(sale["sale_id"]) == before


async def test_client_wins_is_checked_whole(ana: Till, stopped: Daemon) -> None:
    _, sale = await in_conflict(ana, client={"customer_id": 7})
    await stopped.gateway.import_rows(
        "customers", [row for row in CUSTOMERS if row.id != 7], deactivate_missing=True
    )

    answer = await resolve(ana, sale, "client_wins")

    assert answer.status == 400
    assert answer.json["error"] == "Customer con id=7 no existe en base de datos"


# Not found, not in conflict, not that version


async def test_a_sale_that_does_not_exist_is_not_found(ana: Till) -> None:
    answer = await resolve(ana, {"sale_id": 10**15}, "server_wins")

    assert answer.status == 404
    assert answer.json["status"] == "error"


async def test_anothers_conflict_answers_as_one_that_does_not_exist(
    ana: Till, stopped: Daemon
) -> None:
    eva = await stopped.till("eva")
    _, sale = await in_conflict(eva)

    answer = await resolve(ana, sale, "server_wins")

    absent = await resolve(ana, {"sale_id": 10**15}, "server_wins")
    assert answer.status == 404
    told = answer.text.replace(str(sale["sale_id"]), "X")
    assert told == absent.text.replace(str(10**15), "X")
    assert (await eva.status(sale["sale_id"]))["sync_status"] == "conflict"


async def test_an_unknown_local_id_is_not_found(ana: Till) -> None:
    body = {"local_id": new_local_id(), "resolution": "server_wins"}

    answer = await ana.post(f"{SYNC}/resolve/", body)

    assert answer.status == 404


@pytest.mark.parametrize("resolution", ["server_wins", "client_wins", "manual"])
async def test_a_synced_sale_is_not_in_conflict(ana: Till, resolution: str) -> None:
    sale = (await ana.upload(make_sale(notes="a"))).result

    answer = await resolve(ana, sale, resolution)

    assert answer.status == 409
    assert (answer.json["status"], answer.json["code"]) == ("error", "not_in_conflict")
    assert answer.json["error"]
    assert answer.json["sale"]["id"] == sale["sale_id"]
    assert answer.json["sale"]["version"] == 1
    assert answer.json["sale"]["sync_status"] == "synced"
    assert answer.json["sale"]["notes"] == "a"


async def test_a_held_sale_is_not_in_conflict(ana: Till) -> None:
    sale = (await ana.upload(make_sale(customer_id=999))).result

    answer = await resolve(ana, sale, "client_wins")

    assert (answer.status, answer.json["code"]) == (409, "not_in_conflict")
    assert answer.json["sale"]["sync_status"] == "error"


@pytest.mark.parametrize("resolution", ["server_wins", "client_wins", "manual"])
async def test_another_expected_version_is_stale(ana: Till, resolution: str) -> None:
    _, sale = await in_conflict(ana)

    answer = await resolve(ana, sale, resolution, expected_version=1)

    assert (answer.status, answer.json["code"]) == (409, "stale_version")
    assert answer.json["status"] == "error"
    assert answer.json["sale"]["version"] == 2
    assert answer.json["sale"]["sync_status"] == "conflict"
    assert answer.json["sale"]["notes"] == "server"


async def test_the_expected_version_resolves(ana: Till) -> None:
    _, sale = await in_conflict(ana)

    answer = await resolve(ana, sale, "client_wins", expected_version=2)

    assert (answer.status, answer.json["sale"]["version"]) == (200, 3)


async def test_an_edit_in_between_makes_the_expected_version_stale(ana: Till, marta: Till) -> None:
    _, sale = await in_conflict(ana)
    await patched(marta, sale["sale_id"], 2, notes="cambiada")

    answer = await resolve(ana, sale, "client_wins", expected_version=2)

    assert (answer.status, answer.json["code"]) == (409, "stale_version")
    assert answer.json["sale"]["notes"] == "cambiada"


# Cashiers obey rows 14 and 16; managers do not


@pytest.mark.parametrize("status", ["delivered", "cancelled"])
@pytest.mark.parametrize("words", [("client_wins", None), ("manual", {"notes": "x"})])
async def test_a_cashier_can_not_change_a_locked_sale(
    ana: Till, status: str, words: tuple[str, Json | None]
) -> None:
    resolution, client_data = words
    _, sale = await in_conflict(ana, server={"status": status}, client={"status": status})
    assert sale["code"] == "locked"

    answer = await resolve(ana, sale, resolution, client_data=client_data)

    assert (answer.status, answer.json["code"]) == (409, "locked")
    assert answer.json["sale"]["version"] == 2
    assert answer.json["sale"]["sync_status"] == "conflict"


@pytest.mark.parametrize("words", [("client_wins", None), ("manual", {"status": "draft"})])
async def test_a_cashier_can_not_set_a_status_back(
    ana: Till, words: tuple[str, Json | None]
) -> None:
    resolution, client_data = words
    _, sale = await in_conflict(ana, server={"status": "ready"})

    answer = await resolve(ana, sale, resolution, client_data=client_data)

    assert (answer.status, answer.json["code"]) == (409, "status_regression")
    assert (await ana.sale(sale["sale_id"]))["status"] == "ready"


async def test_a_cashier_may_cancel_and_may_raise_the_status_with_client_data(ana: Till) -> None:
    _, cancelled = await in_conflict(ana, server={"status": "ready"})
    _, raised = await in_conflict(ana, server={"status": "ready"})

    first = await resolve(ana, cancelled, "client_wins", client_data={"status": "cancelled"})
    second = await resolve(ana, raised, "client_wins", client_data={"status": "ready"})

    assert first.json["sale"]["status"] == "cancelled"
    assert second.json["sale"]["status"] == "ready"


@pytest.mark.parametrize("status", ["delivered", "cancelled", "ready"])
@pytest.mark.parametrize("words", [("client_wins", None), ("manual", {"status": "draft"})])
async def test_a_manager_may_set_any_status(
    ana: Till, marta: Till, status: str, words: tuple[str, Json | None]
) -> None:
    resolution, client_data = words
    _, sale = await in_conflict(ana, server={"status": status})

    answer = await resolve(marta, sale, resolution, client_data=client_data)

    assert answer.status == 200
    assert answer.json["sale"]["status"] == "draft"
    assert answer.json["sale"]["version"] == 3


async def test_a_cashier_may_keep_the_server_side_of_a_locked_sale(ana: Till) -> None:
    _, sale = await in_conflict(ana, server={"status": "delivered"})

    answer = await resolve(ana, sale, "server_wins")

    assert (answer.status, answer.json["sale"]["status"]) == (200, "delivered")


# The same words again


SAME_WORDS = [
    {"resolution": "server_wins"},
    {"resolution": "server_wins", "notes": "vale"},
    {"resolution": "client_wins"},
    {"resolution": "client_wins", "client_data": {"notes": "x", "customer_id": 8}},
    {"resolution": "manual", "client_data": {"items": [make_item(quantity="2")]}},
    {"resolution": "manual"},
]


@pytest.mark.parametrize("words", SAME_WORDS)
@pytest.mark.parametrize("expected", [None, 1, 2, 3, 99])
async def test_the_same_words_again_get_the_same_answer(
    ana: Till, words: Json, expected: int | None
) -> None:
    _, sale = await in_conflict(ana)
    first = await resolve(ana, sale, **words)

    again = await resolve(ana, sale, **words, expected_version=expected)

    assert first.status == 200
    assert (again.status, again.json) == (200, first.json)


async def test_the_same_words_again_write_nothing_into_the_history(
    ana: Till, stopped: Daemon
) -> None:
    _, sale = await in_conflict(ana)
    await resolve(ana, sale, "client_wins")
    owner = await stopped.gateway.authenticate(ana.token or "")
    assert owner is not None
    _, before = await stopped.gateway.history(owner, sale["sale_id"])

    await resolve(ana, sale, "client_wins")

    _, after = await stopped.gateway.history(owner, sale["sale_id"])
    assert after == before


@pytest.mark.parametrize(
    "other",
    [
        {"resolution": "client_wins"},
        {"resolution": "server_wins", "notes": "otra"},
        {"resolution": "manual"},
        {"resolution": "manual", "client_data": {"notes": "x"}},
    ],
)
async def test_other_words_after_a_resolution_are_not_in_conflict(ana: Till, other: Json) -> None:
    _, sale = await in_conflict(ana)
    await resolve(ana, sale, "server_wins")

    answer = await resolve(ana, sale, **other)

    assert (answer.status, answer.json["code"]) == (409, "not_in_conflict")
    assert answer.json["sale"]["conflict_resolution"] == "server_wins"


@pytest.mark.parametrize("change", [{"notes": "z"}, {"payment_status": "paid"}])
async def test_the_same_words_after_another_change_are_not_in_conflict(
    ana: Till, marta: Till, change: Json
) -> None:
    _, sale = await in_conflict(ana)
    await resolve(ana, sale, "server_wins")
    await patched(marta, sale["sale_id"], 2, **change)

    answer = await resolve(ana, sale, "server_wins")

    assert (answer.status, answer.json["code"]) == (409, "not_in_conflict")
    assert answer.json["sale"]["version"] == 3


async def test_the_same_words_after_an_upload_that_changed_it_are_not_in_conflict(
    ana: Till,
) -> None:
    upload, sale = await in_conflict(ana)
    await resolve(ana, sale, "server_wins")
    await ana.upload({**upload, "notes": "nueva", "version": 2})

    answer = await resolve(ana, sale, "server_wins")

    assert (answer.status, answer.json["code"]) == (409, "not_in_conflict")


async def test_the_same_words_decide_a_new_conflict_anew(ana: Till) -> None:
    upload, sale = await in_conflict(ana)
    await resolve(ana, sale, "client_wins")
    await ana.upload({**upload, "notes": "otra más", "version": 1})

    answer = await resolve(ana, sale, "client_wins")

    assert (answer.status, answer.json["sale"]["version"]) == (200, 4)
    assert answer.json["sale"]["notes"] == "otra más"


async def test_a_replay_that_writes_nothing_leaves_the_same_words_the_same(ana: Till) -> None:
    upload, sale = await in_conflict(ana)
    first = await resolve(ana, sale, "server_wins")
    await ana.upload(upload)

    again = await resolve(ana, sale, "server_wins")

    assert (again.status, again.json) == (200, first.json)


async def test_a_review_mark_again_after_a_new_parked_copy_marks_that_one(ana: Till) -> None:
    upload, sale = await in_conflict(ana)
    await resolve(ana, sale, "manual")
    await ana.upload({**upload, "notes": "otra"})

    answer = await resolve(ana, sale, "manual")

    assert answer.status == 200
    assert answer.json["sale"]["conflict_resolution"] == "manual"
    shown = await ana.sale(sale["sale_id"])
    assert shown["conflict_data"]["client"]["notes"] == "otra"

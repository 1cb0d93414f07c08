"""GET and PATCH of a sale over HTTP (contract 7): a manager's edits, on every state of a sale."""

from collections.abc import AsyncIterator

import pytest

from tests.factories import CUSTOMERS, Json, make_item, make_sale, new_local_id
from tests.http import SYNC, Answer, Daemon, Till
from tests.model.stopped import Chance, Clock, step, stopped_daemon
from tests.server.test_state_table import in_content

NO_CUSTOMER = "Customer con id=999 no existe en base de datos"
PAYMENT = ["unpaid", "partially_paid", "paid", "overpaid"]
FISCAL = ["pending", "not_required", "authorized", "rejected", "cancelled"]
STATUSES = ["draft", "confirmed", "in_preparation", "ready", "delivered", "cancelled"]


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


@pytest.fixture
async def marta(stopped: Daemon) -> Till:
    return await stopped.till("marta", "manager")


async def patch(till: Till, key: object, body: object) -> Answer:
    return await till.send("PATCH", f"/api/v1/sales/{key}/", json=body)


async def synced(till: Till, **said: object) -> Json:
    result: Json = (await till.upload(make_sale(**said))).result
    assert result["status"] == "success"
    return result


async def held(till: Till, **said: object) -> Json:
    sale: Json = {"customer_id": 999, **said}
    result: Json = (await till.upload(make_sale(**sale))).result
    assert result["status"] == "error"
    return result


# GET


async def test_the_whole_sale_is_shown(ana: Till) -> None:
    sale = await synced(
        ana,
        items=[
            make_item(product_id="010", quantity="3", unit_price="1.255", tax_percentage="10.5"),
            make_item(discount_type="percentage", discount_value="10"),
        ],
        notes="ñandú",
        status="confirmed",
        created_at="2026-02-16T08:00:00-03:00",
    )

    shown = await ana.sale(sale["sale_id"])

    expected = {
        "id": sale["sale_id"],
        "number": sale["sale_number"],
        "local_id": sale["local_id"],
        "status": "confirmed",
        "sync_status": "synced",
        "payment_status": "unpaid",
        "fiscal_status": "pending",
        "customer_id": 5,
        "notes": "ñandú",
        "subtotal": "131.27",
        "discount": "12.75",
        "tax": "24.50",
        "total": "143.02",
        "created_by": "ana",
        "created_at": "2026-02-16T12:00:00Z",
        "sold_at": "2026-02-16T11:00:00Z",
        "updated_at": "2026-02-16T12:00:00Z",
        "warnings": [],
        "version": 1,
    }
    assert shown.items() >= expected.items()
    assert shown["items"] == [
        {
            "line": 0,
            "product_id": 10,
            "quantity": "3.000",
            "unit_price": "1.255",
            "discount_type": "none",
            "discount_value": "0.00",
            "tax_percentage": "10.50",
            "subtotal": "3.77",
            "discount": "0.00",
            "tax": "0.40",
            "total": "4.17",
        },
        {
            "line": 1,
            "product_id": 10,
            "quantity": "5.000",
            "unit_price": "25.50",
            "discount_type": "percentage",
            "discount_value": "10.00",
            "tax_percentage": "21.00",
            "subtotal": "127.50",
            "discount": "12.75",
            "tax": "24.10",
            "total": "138.85",
        },
    ]
    assert "conflict_data" not in shown


async def test_the_sale_has_every_field_of_status_and_pending(ana: Till) -> None:
    sale = await held(ana)
    [row] = (await ana.get(f"{SYNC}/pending/")).json["results"]
    status = await ana.status(sale["sale_id"])

    shown = await ana.sale(sale["sale_id"])

    assert shown.items() >= row.items()
    assert shown.items() >= status.items()


async def test_a_sale_is_found_by_its_local_id(ana: Till) -> None:
    sale = await synced(ana)

    shown = await ana.sale(sale["local_id"].upper())

    assert shown["id"] == sale["sale_id"]


async def test_neither_an_id_nor_a_local_id_is_refused(ana: Till) -> None:
    answer = await ana.get("/api/v1/sales/VTA-2026-00001/")

    assert answer.status == 400
    assert answer.json["status"] == "error"


async def test_anothers_sale_answers_as_one_that_does_not_exist(ana: Till, stopped: Daemon) -> None:
    eva = await stopped.till("eva")
    sale = await synced(eva)

    answer = await ana.get(f"/api/v1/sales/{sale['sale_id']}/")

    assert answer.status == 404
    told = f"Sale {sale['sale_id']} not found or permission denied"
    assert answer.json == {"status": "error", "error": told}
    absent = await ana.get(f"/api/v1/sales/{10**15}/")
    assert absent.text == answer.text.replace(str(sale["sale_id"]), str(10**15))


# Who may edit, and what must be said


@pytest.mark.parametrize("key", ["own", "999999", "x", new_local_id()])
async def test_a_cashier_may_not_edit_whatever_the_id(ana: Till, key: str) -> None:
    sale = await synced(ana, notes="a")

    answer = await patch(
        ana, sale["sale_id"] if key == "own" else key, {"notes": "b", "version": 1}
    )

    assert answer.status == 403
    assert list(answer.json) == ["detail"]
    assert (await ana.sale(sale["sale_id"]))["notes"] == "a"


async def test_a_sale_that_does_not_exist_is_not_found(marta: Till) -> None:
    answer = await patch(marta, 10**15, {"notes": "b", "version": 1})

    assert answer.status == 404
    assert answer.json["status"] == "error"


async def test_the_path_must_name_a_sale(marta: Till) -> None:
    answer = await patch(marta, "x", {"notes": "b", "version": 1})

    assert answer.status == 400
    assert answer.json["status"] == "error"


@pytest.mark.parametrize("version", [None, "1", 0, -1, 1.0, True, "", [1]])
async def test_a_version_is_required(ana: Till, marta: Till, version: object) -> None:
    sale = await synced(ana, notes="a")

    answer = await patch(marta, sale["sale_id"], {"notes": "b", "version": version})

    assert answer.status == 400
    assert answer.json["status"] == "error"
    assert "version" in answer.json["error"]
    assert (await ana.sale(sale["sale_id"]))["notes"] == "a"


@pytest.mark.parametrize("body", [{"notes": "b"}, {}, [], "x", 5])
async def test_a_body_without_a_version_is_refused(ana: Till, marta: Till, body: object) -> None:
    sale = await synced(ana)

    answer = await patch(marta, sale["sale_id"], body)

    assert answer.status == 400
    assert (await ana.sale(sale["sale_id"]))["version"] == 1


@pytest.mark.parametrize("version", [1, 3])
async def test_another_version_is_stale_and_shows_the_present_sale(
    ana: Till, marta: Till, version: int
) -> None:
    sale = await synced(ana)
    await patch(marta, sale["sale_id"], {"notes": "b", "version": 1})

    answer = await patch(marta, sale["sale_id"], {"notes": "c", "version": version})

    assert answer.status == 409
    assert (answer.json["status"], answer.json["code"]) == ("error", "stale_version")
    assert answer.json["sale"] == await ana.sale(sale["sale_id"])
    assert answer.json["sale"]["notes"] == "b"


# A synced sale


async def test_an_edit_answers_the_sale_one_version_on(
    ana: Till, marta: Till, clock: Clock
) -> None:
    sale = await synced(ana)
    clock.advance(60)

    answer = await patch(
        marta,
        sale["sale_id"],
        {
            "notes": "b",
            "customer_id": "7",
            "status": "ready",
            "items": [make_item(quantity="2")],
            "payment_status": "paid",
            "fiscal_status": "authorized",
            "version": 1,
        },
    )

    assert answer.status == 200
    edited = answer.json
    assert edited == await ana.sale(sale["sale_id"])
    assert (edited["version"], edited["sync_status"]) == (2, "synced")
    assert (edited["notes"], edited["customer_id"], edited["customer"]) == ("b", 7, 7)
    assert edited["status"] == "ready"
    assert edited["items"][0]["quantity"] == "2.000"
    assert edited["total"] == "61.71"
    assert (edited["payment_status"], edited["fiscal_status"]) == ("paid", "authorized")
    assert edited["updated_at"] == "2026-02-16T12:01:00Z"
    assert (edited["number"], edited["created_by"]) == (sale["sale_number"], "ana")


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"notes": "a"},
        {"customer_id": 5, "status": "draft"},
        {"customer_id": "05"},
        {"items": [make_item(quantity="5", unit_price="25.5")]},
        {"payment_status": "unpaid", "fiscal_status": "pending"},
    ],
)
async def test_an_edit_that_changes_nothing_leaves_the_sale_as_it_is(
    ana: Till, marta: Till, clock: Clock, said: Json
) -> None:
    sale = await synced(ana, notes="a")
    before = await ana.sale(sale["sale_id"])
    clock.advance(60)

    answer = await patch(marta, sale["sale_id"], {**said, "version": 1})

    assert (answer.status, answer.json) == (200, before)
    assert await ana.sale(sale["sale_id"]) == before


@pytest.mark.parametrize("was", STATUSES)
@pytest.mark.parametrize("status", ["draft", "ready", "delivered", "cancelled"])
async def test_any_status_may_be_set(ana: Till, marta: Till, was: str, status: str) -> None:
    sale = await synced(ana, status=was, notes="a")

    answer = await patch(marta, sale["sale_id"], {"status": status, "notes": "b", "version": 1})

    assert answer.status == 200
    assert (answer.json["status"], answer.json["version"]) == (status, 2)


@pytest.mark.parametrize(
    ("field", "word"),
    [("payment_status", each) for each in PAYMENT[1:]]
    + [("fiscal_status", each) for each in FISCAL[1:]],
)
async def test_payment_and_fiscal_status_are_versions_too(
    ana: Till, marta: Till, field: str, word: str
) -> None:
    sale = await synced(ana)

    answer = await patch(marta, sale["sale_id"], {field: word, "version": 1})

    assert answer.status == 200
    assert (answer.json[field], answer.json["version"]) == (word, 2)


@pytest.mark.parametrize("kind", ["synced", "held"])
@pytest.mark.parametrize(
    "said",
    [
        {"payment_status": "PAID"},
        {"payment_status": ""},
        {"payment_status": None},
        {"payment_status": 5},
        {"payment_status": ["paid"]},
        {"fiscal_status": "paid"},
        {"fiscal_status": None},
        {"fiscal_status": {}},
    ],
)
async def test_other_payment_and_fiscal_words_are_refused(
    ana: Till, marta: Till, kind: str, said: Json
) -> None:
    sale = await (synced(ana) if kind == "synced" else held(ana))
    before = await ana.sale(sale["sale_id"])

    answer = await patch(marta, sale["sale_id"], {**said, "version": 1})

    assert answer.status == 400
    assert answer.json["status"] == "error"
    assert next(iter(said)) in answer.json["error"]
    assert await ana.sale(sale["sale_id"]) == before


@pytest.mark.parametrize(
    "said",
    [
        {"customer_id": 999},
        {"customer_id": None},
        {"customer_id": 90},
        {"customer_id": True},
        {"customer_id": 10**30},
        {"status": "closed"},
        {"status": None},
        {"notes": 5},
        {"notes": "x" * 2_001},
        {"notes": "\0"},
        {"items": []},
        {"items": None},
        {"items": [make_item()] * 501},
        {"items": [make_item(product_id=777)]},
        {"items": [make_item(quantity="0")]},
        {"items": [make_item(discount_type="percentage", discount_value="101")]},
        {"items": [make_item(qty="1")]},
    ],
)
async def test_an_edit_is_checked_like_an_upload(ana: Till, marta: Till, said: Json) -> None:
    sale = await synced(ana)
    before = await ana.sale(sale["sale_id"])

    answer = await patch(marta, sale["sale_id"], {**said, "payment_status": "paid", "version": 1})

    assert answer.status == 400
    assert answer.json["status"] == "error"
    assert answer.json["error"]
    assert await ana.sale(sale["sale_id"]) == before


async def test_amounts_too_large_to_store_are_refused_not_broken(ana: Till, marta: Till) -> None:
    sale = await synced(ana)
    huge = make_item(quantity="999999999999", unit_price="999999999999")

    answer = await patch(marta, sale["sale_id"], {"items": [huge] * 500, "version": 1})

    assert answer.status in {200, 400}, answer.text


async def test_a_sale_of_a_customer_that_left_can_still_be_edited(
    ana: Till, marta: Till, stopped: Daemon
) -> None:
    sale = await synced(ana)
    rest = [row for row in CUSTOMERS if row.id != 5]
    await stopped.gateway.import_rows("customers", rest, deactivate_missing=True)

    answer = await patch(marta, sale["sale_id"], {"notes": "b", "version": 1})

    assert (answer.status, answer.json["notes"]) == (200, "b")


async def test_null_notes_are_empty_notes(ana: Till, marta: Till) -> None:
    sale = await synced(ana, notes="a")

    answer = await patch(marta, sale["sale_id"], {"notes": None, "version": 1})

    assert (answer.status, answer.json["notes"]) == (200, "")


# What an edit does to the till's next upload


async def test_a_stale_upload_after_an_edit_is_a_conflict_based_on_the_former_content(
    ana: Till, marta: Till
) -> None:
    upload = make_sale(notes="a")
    sale = (await ana.upload(upload)).result
    await patch(marta, sale["sale_id"], {"notes": "b", "version": 1})

    result = (await ana.upload({**upload, "notes": "c"})).result

    assert (result["status"], result["code"]) == ("conflict", "stale_version")
    assert result["conflict_data"] == {
        "server_version": 2,
        "client_version": 1,
        "fields": ["notes"],
        "server": in_content(notes="b"),
        "client": in_content(notes="c"),
        "base": in_content(notes="a"),
    }


async def test_a_replay_after_an_edit_is_already_synced(ana: Till, marta: Till) -> None:
    upload = make_sale(notes="a")
    sale = (await ana.upload(upload)).result
    await patch(marta, sale["sale_id"], {"notes": "b", "version": 1})

    result = (await ana.upload(upload)).result

    assert (result["status"], result["message"]) == ("success", "Sale already synced")
    assert result["version"] == 2
    assert (await ana.sale(sale["sale_id"]))["notes"] == "b"


async def test_a_replay_after_a_payment_is_already_synced(ana: Till, marta: Till) -> None:
    upload = make_sale(notes="a")
    sale = (await ana.upload(upload)).result
    await patch(marta, sale["sale_id"], {"payment_status": "paid", "version": 1})

    result = (await ana.upload(upload)).result

    assert (result["status"], result["message"]) == ("success", "Sale already synced")
    assert (await ana.sale(sale["sale_id"]))["payment_status"] == "paid"


async def test_an_edit_taken_over_by_the_till_is_an_update(ana: Till, marta: Till) -> None:
    upload = make_sale(notes="a")
    sale = (await ana.upload(upload)).result
    await patch(marta, sale["sale_id"], {"payment_status": "paid", "notes": "b", "version": 1})

    result = (await ana.upload({**upload, "notes": "b+", "version": 2})).result

    shown = await ana.sale(sale["sale_id"])
    assert (result["message"], result["version"]) == ("Sale updated", 3)
    assert (shown["payment_status"], shown["notes"]) == ("paid", "b+")


# A sale in conflict


async def in_conflict(till: Till, **client: object) -> tuple[Json, Json]:
    upload = make_sale(notes="a")
    await till.upload(upload)
    await till.upload({**upload, "notes": "b"})
    parked = {**upload, "notes": "parked", **client}
    result: Json = (await till.upload(parked)).result
    assert result["status"] == "conflict"
    return parked, result


async def test_an_edit_in_conflict_changes_the_server_side_and_the_conflict_stays(
    ana: Till, marta: Till
) -> None:
    _, sale = await in_conflict(ana)

    answer = await patch(marta, sale["sale_id"], {"status": "ready", "version": 2})

    assert answer.status == 200
    assert (answer.json["sync_status"], answer.json["version"]) == ("conflict", 3)
    assert answer.json["conflict_data"] == {
        "server_version": 3,
        "client_version": 1,
        "fields": ["status", "notes"],
        "server": in_content(notes="b", status="ready"),
        "client": in_content(notes="parked"),
        "base": in_content(notes="a"),
    }


async def test_the_parked_upload_again_shows_the_present_server_side(
    ana: Till, marta: Till
) -> None:
    parked, sale = await in_conflict(ana)
    await patch(marta, sale["sale_id"], {"notes": "z", "version": 2})

    result = (await ana.upload(parked)).result

    assert (result["status"], result["code"]) == ("conflict", "stale_version")
    assert result["conflict_data"]["server"] == in_content(notes="z")
    assert result["conflict_data"]["server_version"] == 3
    assert result["version"] == 3


async def test_client_wins_after_an_edit_of_the_server_side(ana: Till, marta: Till) -> None:
    _, sale = await in_conflict(ana)
    await patch(marta, sale["sale_id"], {"notes": "z", "version": 2})

    answer = await ana.post(
        f"{SYNC}/resolve/", {"sale_id": sale["sale_id"], "resolution": "client_wins"}
    )

    assert (answer.json["sale"]["version"], answer.json["sale"]["notes"]) == (4, "parked")


async def test_a_conflict_of_a_version_ahead_is_never_based_on_a_later_edit(
    ana: Till, marta: Till
) -> None:
    _, sale = await in_conflict(ana, version=3)
    assert sale["code"] == "version_ahead"

    answer = await patch(marta, sale["sale_id"], {"notes": "z", "version": 2})

    assert answer.json["conflict_data"]["server_version"] == 3
    assert answer.json["conflict_data"]["base"] is None


async def test_the_message_of_a_conflict_stays_true_after_an_edit(ana: Till, marta: Till) -> None:
    upload = make_sale(status="ready")
    await ana.upload(upload)
    parked = {**upload, "status": "draft"}
    sale = (await ana.upload(parked)).result
    assert sale["code"] == "status_regression"
    await patch(marta, sale["sale_id"], {"status": "draft", "notes": "z", "version": 1})

    result = (await ana.upload(parked)).result

    assert result["status"] == "conflict"
    assert "draft es anterior al del servidor (draft)" not in result["message"]


# A held sale


async def test_an_edit_of_a_held_sale_corrects_it(ana: Till, marta: Till) -> None:
    sale = await held(ana, notes="a")

    answer = await patch(marta, sale["sale_id"], {"customer_id": 5, "version": 1})

    assert answer.status == 200
    corrected = answer.json
    assert (corrected["sync_status"], corrected["error"]) == ("synced", None)
    assert (corrected["version"], corrected["customer_id"]) == (1, 5)
    assert (corrected["id"], corrected["number"]) == (sale["sale_id"], sale["sale_number"])
    assert corrected["total"] == "154.28"
    assert corrected == await ana.sale(sale["sale_id"])


async def test_an_edit_that_cures_a_part_leaves_the_rest_to_be_told(ana: Till, marta: Till) -> None:
    sale = await held(ana, items=[make_item(product_id=777)])

    answer = await patch(marta, sale["sale_id"], {"customer_id": 5, "version": 1})

    assert answer.status == 200
    assert answer.json["sync_status"] == "error"
    assert answer.json["error"] == "Item #0: Producto con id=777 no existe"


async def test_a_corrected_sale_belongs_to_its_cashier(ana: Till, marta: Till) -> None:
    upload = make_sale(customer_id=999)
    sale = (await ana.upload(upload)).result
    await patch(marta, sale["sale_id"], {"customer_id": 5, "version": 1})

    result = (await ana.upload({**upload, "customer_id": 5})).result

    assert (result["status"], result["message"]) == ("success", "Sale already synced")
    assert (await ana.sale(sale["sale_id"]))["created_by"] == "ana"


async def test_statuses_of_a_held_sale_are_kept_through_its_cure(
    ana: Till, marta: Till, stopped: Daemon
) -> None:
    sale = await held(ana)
    edited = await patch(
        marta,
        sale["sale_id"],
        {"payment_status": "paid", "fiscal_status": "not_required", "version": 1},
    )
    await stopped.gateway.import_rows(
        "customers", [type(CUSTOMERS[0])(999, "Cliente nuevo", "", True)]
    )

    await step(stopped.gateway)

    shown = await ana.sale(sale["sale_id"])
    assert edited.json["sync_status"] == "error"
    assert edited.json["payment_status"] == "paid"
    assert shown["sync_status"] == "synced"
    assert (shown["payment_status"], shown["fiscal_status"]) == ("paid", "not_required")


async def test_an_edit_of_a_held_sale_that_changes_nothing_is_no_attempt(
    ana: Till, marta: Till, clock: Clock
) -> None:
    sale = await held(ana)
    before = await ana.sale(sale["sale_id"])
    clock.advance(1)

    answer = await patch(marta, sale["sale_id"], {"customer_id": 999, "version": 1})

    assert (answer.status, answer.json) == (200, before)


async def test_an_edit_of_a_queued_sale_judges_it_at_once(ana: Till, marta: Till) -> None:
    sale = await held(ana)
    await ana.post(f"{SYNC}/retry/", {"sale_ids": [sale["sale_id"]]})

    answer = await patch(marta, sale["sale_id"], {"customer_id": 5, "version": 1})

    assert answer.json["sync_status"] == "synced"


async def test_a_stale_edit_of_a_held_sale_is_refused(ana: Till, marta: Till) -> None:
    sale = await held(ana)

    answer = await patch(marta, sale["sale_id"], {"customer_id": 5, "version": 2})

    assert (answer.status, answer.json["code"]) == (409, "stale_version")
    assert answer.json["sale"]["sync_status"] == "error"


async def test_a_corrected_payload_keeps_everything_else_word_for_word(
    ana: Till, marta: Till
) -> None:
    upload = make_sale(customer_id=999, items=[make_item(quantity="0", tax_percentage=21.10)])
    await ana.upload({**upload, "own_key": {"b": [1.50, None], "a": "ñ"}})
    sale = await ana.sale(upload["local_id"])

    answer = await patch(marta, sale["id"], {"customer_id": 5, "version": 1})

    assert answer.json["sync_status"] == "error"
    kept = answer.json["payload"]
    assert kept["customer_id"] == 5
    assert {**kept, "customer_id": 999} == sale["payload"]
    assert '"own_key":{"b":[1.5,null],"a":"\\u00f1"}' in answer.text


async def test_the_held_content_before_a_correction_is_known_again(ana: Till, marta: Till) -> None:
    eva_upload = make_sale(customer_id=999, notes="a")
    sale = (await ana.upload(eva_upload)).result
    await patch(marta, sale["sale_id"], {"customer_id": 5, "version": 1})

    result = (await ana.upload(eva_upload)).result

    # Row 12: what is stored stays as it was.
    assert (result["status"], result["error"]) == ("error", NO_CUSTOMER)
    assert (await ana.sale(sale["sale_id"]))["sync_status"] == "synced"


@pytest.mark.parametrize("said", [{}, {"payment_status": "paid"}])
async def test_an_edit_of_a_held_sale_that_says_nothing_of_its_content_is_no_attempt(
    ana: Till, marta: Till, said: Json
) -> None:
    sale = await held(ana)
    before = await ana.sale(sale["sale_id"])

    answer = await patch(marta, sale["sale_id"], {**said, "version": 1})

    assert answer.status == 200
    assert answer.json == {**before, **said}


async def test_a_correction_that_is_wrong_itself_is_refused_and_changes_nothing(
    daemon: Daemon,
) -> None:
    ana = await daemon.till("ana")
    marta = await daemon.till("marta", "manager")
    held = (await ana.upload(make_sale(customer_id=999))).result
    before = await marta.sale(held["sale_id"])

    wrong = {"version": 1, "status": "foo"}
    answer = await marta.send("PATCH", f"/api/v1/sales/{held['sale_id']}/", json=wrong)

    assert answer.status == 400
    assert answer.json["code"] == "status_invalid"
    assert await marta.sale(held["sale_id"]) == before

"""The contract's checks of an upload: order, texts, numbers, amounts, limits, numbering."""

import re
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from bulonera_sync.gateway import open_gateway
from bulonera_sync.store.drivers import sqlite3
from tests.conftest import StartDaemon, make_settings
from tests.factories import Json, make_item, make_sale
from tests.http import SYNC, Daemon, Till, running_daemon

SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


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


def without(sale: Json, *names: str) -> Json:
    return {name: value for name, value in sale.items() if name not in names}


def with_item(**said: Any) -> Json:
    return make_sale(items=[make_item(**said)])


async def judge(till: Till, *sales: object) -> list[Json]:
    """Upload sales in bodies of at most 200; return every result, each error's form checked."""
    results: list[Json] = []
    for start in range(0, len(sales), 200):
        results += (await till.upload(*sales[start : start + 200])).json["results"]
    for result in results:
        assert result["status"] in {"success", "error"}, result
        if result["status"] == "error":
            check_form(result)
    return results


def check_form(result: Json) -> None:
    """An error names its first problem, lists all, and has stable codes."""
    first = result["errors"][0]
    assert result["error"] == first["message"]
    assert result["code"] == first["code"]
    assert isinstance(result["retryable"], bool)
    for problem in result["errors"]:
        assert problem.keys() == {"field", "code", "message"}
        assert SNAKE_CASE.fullmatch(problem["code"])
        assert all(isinstance(text, str) and text for text in problem.values())


async def accepted(till: Till, sales: dict[str, Json]) -> dict[str, str | None]:
    """Upload sales by name; return the error of each that was refused."""
    results = await judge(till, *sales.values())
    told = dict(zip(sales, results, strict=True))
    return {name: r["error"] for name, r in told.items() if r["status"] != "success"}


# The local_id

UUID_FORMS = {
    "v1": "c232ab00-9414-11ec-b3c8-9f6bdeced846",
    "v4": "550e8400-e29b-41d4-a716-446655440000",
    "v7": "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
    "no version": "00000000-0000-0000-0000-000000000001",
    "max": "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "capitals": "650E8400-E29B-41D4-A716-446655440000",
    "mixed": "750e8400-E29b-41d4-A716-446655440000",
}

NO_UUIDS: dict[str, object] = {
    "nil": "00000000-0000-0000-0000-000000000000",
    "braces": "{550e8400-e29b-41d4-a716-446655440001}",
    "urn": "urn:uuid:550e8400-e29b-41d4-a716-446655440001",
    "no dashes": "550e8400e29b41d4a716446655440001",
    "blank before": " 550e8400-e29b-41d4-a716-446655440001",
    "blank after": "550e8400-e29b-41d4-a716-446655440001 ",
    "line break": "550e8400-e29b-41d4-a716-446655440001\n",
    "NUL": "550e8400-e29b-41d4-a716-446655440001\0",
    "surrogate": "550e8400-e29b-41d4-a716-44665544000\ud800",
    "other digits": "\u066550e8400-e29b-41d4-a716-446655440001",
    "not hexadecimal": "g50e8400-e29b-41d4-a716-446655440001",
    "too short": "550e8400-e29b-41d4-a716-44665544000",
    "dashes elsewhere": "550e84-00e29b-41d4-a716-446655440001",
    "words": "invalid-uuid",
    "markup": "<script>alert(1)</script>",
}


async def test_every_canonical_uuid_is_taken_and_kept_in_small_letters(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    results = await judge(ana, *(make_sale(local_id=text) for text in UUID_FORMS.values()))

    assert [r["status"] for r in results] == ["success"] * len(UUID_FORMS)
    assert [r["local_id"] for r in results] == [text.lower() for text in UUID_FORMS.values()]
    assert (await ana.status(UUID_FORMS["capitals"]))["sale_id"] == results[5]["sale_id"]


async def test_what_is_no_canonical_uuid_is_refused_and_echoed(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    results = await judge(ana, *(make_sale(local_id=text) for text in NO_UUIDS.values()))

    for name, result in zip(NO_UUIDS, results, strict=True):
        text = "local_id debe ser UUID válido (RFC 4122), recibido: "
        assert result["error"].startswith(text), name
        assert result["errors"][0]["field"] == "local_id"
        assert result["code"] == results[0]["code"]
        assert result["retryable"] is False
        assert (result["sale_id"], result["sale_number"]) == (None, None), name
    assert results[13]["local_id"] == "invalid-uuid"
    assert results[13]["error"].endswith("recibido: invalid-uuid")


async def test_a_local_id_that_is_no_text_is_refused(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    values: list[object] = [5, 0, True, False, 1.5, [], {}, ["550e8400"]]

    results = await judge(ana, *(make_sale(local_id=value) for value in values))

    assert [r["status"] for r in results] == ["error"] * len(values)
    assert all(r["error"].startswith("local_id ") for r in results)
    assert all(isinstance(r["local_id"], str) for r in results)


async def test_a_missing_local_id_is_told_as_missing(daemon: Daemon, store_url: str) -> None:
    ana = await daemon.till("ana")
    sales = [without(make_sale(), "local_id"), make_sale(local_id=None), make_sale(local_id="")]

    answer = await ana.upload(*sales)

    assert answer.status == 400
    for result in answer.json["results"]:
        assert result["local_id"] == "MISSING"
        assert result["error"] == "local_id requerido y no puede estar vacío"
        assert result["sale_id"] is None
    # Three ways to say the same are three payloads.
    assert len(await query(store_url, "SELECT id FROM quarantine")) == 3


async def test_a_long_local_id_is_shortened_in_the_error(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    [result] = await judge(ana, make_sale(local_id="x" * 10_000))

    assert len(result["error"]) < 300
    assert len(result["local_id"]) <= 10_000


async def test_what_is_no_sale_at_all_loses_no_other(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    things: list[object] = [None, 5, "sale", True, [], [make_sale()], {}]

    answer = await ana.upload(make_sale(), *things, make_sale())

    assert answer.status == 200
    before, *between, after = answer.json["results"]
    assert (before["status"], after["status"]) == ("success", "success")
    assert [r["status"] for r in between] == ["error"] * len(things)
    assert {r["local_id"] for r in between} == {"MISSING"}
    assert [r["index"] for r in between] == list(range(1, 8))


async def test_the_quarantine_keeps_the_same_words_of_a_user_once(
    daemon: Daemon, store_url: str
) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    lost, other = without(make_sale(notes="one"), "local_id"), make_sale(local_id="other")

    await ana.upload(lost, lost, other)
    await ana.upload(lost)
    await eva.upload(lost)

    rows = await query(store_url, "SELECT user_id, payload, times FROM quarantine ORDER BY id")
    assert len(rows) == 3
    assert "one" in rows[0][1]
    assert [times for _, _, times in rows] == [3, 1, 1]


# The customer


async def test_a_customer_id_is_required(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sales = [
        without(make_sale(), "customer_id"),
        make_sale(customer_id=None),
        make_sale(customer_id=""),
    ]

    results = await judge(ana, *sales)

    assert [r["error"] for r in results] == ["customer_id requerido"] * 3
    assert {r["errors"][0]["field"] for r in results} == {"customer_id"}
    assert {r["retryable"] for r in results} == {False}


async def test_a_customer_id_is_an_integer(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    forms = {
        "5.0": 5.0,
        "5.5": "5.5",
        "true": True,
        "abc": "abc",
        "+5": "+5",
        "1e1": "1e1",
        "5,0": "5,0",
        "-5": "-5",
    }

    results = await judge(ana, *(make_sale(customer_id=value) for value in forms.values()))

    told = [r["error"] for r in results]
    assert told == [f"customer_id debe ser un entero, recibido: {text}" for text in forms]
    assert {r["retryable"] for r in results} == {False}


async def test_other_things_are_no_customer_id(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    things: list[object] = [
        [5],
        {"id": 5},
        False,
        " 5",
        "5 ",
        "5\n",
        "\u0665",
        "\uff15",
        "5\0",
        "\ud800",
    ]

    results = await judge(ana, *(make_sale(customer_id=thing) for thing in things))

    assert [r["status"] for r in results] == ["error"] * len(things)
    assert {r["errors"][0]["field"] for r in results} == {"customer_id"}


async def test_an_unknown_or_inactive_customer_is_told_and_can_come_later(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    ids = {"999": 999, "998": "998", "90": 90, "9223372036854775807": 2**63 - 1}

    results = await judge(ana, *(make_sale(customer_id=value) for value in ids.values()))

    told = [r["error"] for r in results]
    assert told == [f"Customer con id={text} no existe en base de datos" for text in ids]
    assert {r["retryable"] for r in results} == {True}
    assert (await ana.sale(1))["customer"] == 999


async def test_an_id_beyond_any_customer_is_an_error(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    beyond = [2**63, 10**30, "9" * 4000, 0, "0", -1]

    results = await judge(ana, *(make_sale(customer_id=value) for value in beyond))

    assert [r["status"] for r in results] == ["error"] * len(beyond)
    assert {r["errors"][0]["field"] for r in results} == {"customer_id"}
    assert [r["sale_id"] for r in results] == [1, 2, 3, 4, 5, 6]
    assert max(len(r["error"]) for r in results) < 300


# The items


async def test_a_sale_has_at_least_one_item(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sales = [without(make_sale(), "items"), make_sale(items=None), make_sale(items=[])]

    results = await judge(ana, *sales)

    assert [r["error"] for r in results] == ["Sale debe tener al menos 1 item"] * 3


async def test_items_are_a_list(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    things: list[object] = ["x", 5, {}, {"0": make_item()}, True]

    results = await judge(ana, *(make_sale(items=thing) for thing in things))

    assert [r["errors"][0]["field"] for r in results] == ["items"] * len(things)


async def test_an_item_is_an_object(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    things: list[object] = [None, 5, "x", [], True]

    results = await judge(ana, *(make_sale(items=[make_item(), thing]) for thing in things))

    for result in results:
        assert result["error"].startswith("Item #1: ")
        assert result["errors"][0]["field"].startswith("items[1]")


async def test_a_sale_has_at_most_500_items(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    results = await judge(
        ana, make_sale(items=[make_item()] * 500), make_sale(items=[make_item()] * 501)
    )

    assert results[0]["status"] == "success"
    assert results[1]["error"] == "Sale admite hasta 500 items"
    assert len((await ana.sale(1))["items"]) == 500


async def test_the_limits_are_configurable(start_daemon: StartDaemon) -> None:
    async with start_daemon(max_sales=2, max_items=2) as daemon:
        ana = await daemon.till("ana")

        [long] = await judge(ana, make_sale(items=[make_item()] * 3))
        answer = await ana.upload(make_sale(), make_sale(), make_sale())

        assert long["error"] == "Sale admite hasta 2 items"
        assert answer.status == 400
        assert answer.json["status"] == "error"
        assert "2" in answer.json["error"]
        assert "3" in answer.json["error"]


async def test_a_product_is_required_and_exists(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    good = make_item()
    sales = [
        make_sale(items=[without(good, "product_id")]),
        with_item(product_id=None),
        with_item(product_id=777),
        with_item(product_id="777"),
        with_item(product_id=990),
        make_sale(items=[good, good, make_item(product_id=778)]),
    ]

    results = await judge(ana, *sales)

    assert [r["error"] for r in results] == [
        "Item #0: product_id requerido",
        "Item #0: product_id requerido",
        "Item #0: Producto con id=777 no existe",
        "Item #0: Producto con id=777 no existe",
        "Item #0: Producto con id=990 no existe",
        "Item #2: Producto con id=778 no existe",
    ]
    assert [r["errors"][0]["field"] for r in results] == ["items[0].product_id"] * 5 + [
        "items[2].product_id"
    ]
    assert [r["retryable"] for r in results] == [False, False, True, True, True, True]


async def test_other_things_are_no_product_id(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    things: list[object] = [5.0, True, "", "x", "1.0", "+1", " 1", "\uff11", [1], {}, 0, -1, 10**30]

    results = await judge(ana, *(with_item(product_id=thing) for thing in things))

    assert {r["errors"][0]["field"] for r in results} == {"items[0].product_id"}
    assert all(r["error"].startswith("Item #0: ") for r in results)


async def test_an_unknown_item_key_is_named(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    silent = {**without(make_item(), "quantity"), "qty": "100"}

    results = await judge(ana, with_item(qty="100"), make_sale(items=[silent]), make_sale(qty=1))

    assert results[0]["error"].startswith("Item #0: ")
    assert "qty" in results[0]["error"]
    assert results[0]["errors"][0]["field"] == "items[0].qty"
    assert results[1]["error"] == "Item #0: quantity requerido"
    assert [e["field"] for e in results[1]["errors"]] == ["items[0].quantity", "items[0].qty"]
    assert results[2]["status"] == "success"


# Numbers: what every field takes, what it refuses

GOOD_NUMBERS: dict[str, list[object]] = {
    "quantity": [
        "5", "5.0", "5.000", "5.0000", "5.00000000000000000000", "0.001", "0.0010", "00005",
        "000000000000000000000000000005", "999999999999", "999999999.999", "100000000000",
        "999999999999.000", 5, 5.5, 0.001, 999999999999,
    ],
    "unit_price": [
        "0", "0.00", "0.0001", "25.50", "25.5000", "25.50000", "99999999.9999", "999999999999",
        0, 25.5, 0.0001, 12345678.1234,
    ],
    "tax_percentage": ["0", "0.00", "21", "21.0", "10.5", "10.55", "100", "100.00", 21, 10.5, 0],
}  # fmt: skip

NO_NUMBERS: list[object] = [
    "NaN", "nan", "Infinity", "-Infinity", "inf", "1e1", "1E1", "1e-1", "1,5", "1.000,5", "+5",
    ".5", "5.", "--5", "5.5.5", " 5", "5 ", "5\n", "\t5", " ",
    "5\u00a0", "\u0665", "\uff15", "²", "0x10", "1_0",
    "1'000", "cinco", "5\0", "5\ud800", "$5", "5%", True, False, [], [5], {}, {"a": 1},
    "1e1000000", "9" * 13, "9" * 5000, "1234567890.123", "0." + "0" * 20 + "1", 1234567890123,
]  # fmt: skip

BAD_NUMBERS: dict[str, list[object]] = {
    "quantity": ["0", "0.000", 0, "-1", -1, "-0.001", "0.0001", "5.0001", 5.0001, None],
    "unit_price": ["-1", -1, "-0.0001", "0.00001", 0.00001, "999999999.9999", None],
    "tax_percentage": ["-1", "-0.01", "100.01", 100.01, "101", "10.555", "21.001"],
}


@pytest.mark.parametrize("field", GOOD_NUMBERS)
async def test_numbers_that_are_taken(daemon: Daemon, field: str) -> None:
    ana = await daemon.till("ana")

    refused = await accepted(ana, {repr(v): with_item(**{field: v}) for v in GOOD_NUMBERS[field]})

    assert refused == {}


@pytest.mark.parametrize("field", BAD_NUMBERS)
async def test_numbers_that_are_refused_by_field_and_value(daemon: Daemon, field: str) -> None:
    ana = await daemon.till("ana")
    values = BAD_NUMBERS[field] + NO_NUMBERS

    results = await judge(ana, *(with_item(**{field: value}) for value in values))

    for value, result in zip(values, results, strict=True):
        assert result["status"] == "error", value
        assert result["error"].startswith(f"Item #0: {field} "), value
        assert [e["field"] for e in result["errors"]] == [f"items[0].{field}"], value
        assert result["retryable"] is False
        if isinstance(value, str) and value.isprintable() and len(value) < 20:
            assert value in result["error"]
        assert len(result["error"]) < 300


async def test_the_texts_of_a_quantity(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sales = [
        make_sale(items=[without(make_item(), "quantity")]),
        with_item(quantity=None),
        with_item(quantity="abc"),
        with_item(quantity="1,5"),
        with_item(quantity="NaN"),
        with_item(quantity="0"),
        with_item(quantity=-3),
        with_item(quantity="-0.5"),
    ]

    results = await judge(ana, *sales)

    assert [r["error"] for r in results] == [
        "Item #0: quantity requerido",
        "Item #0: quantity requerido",
        "Item #0: quantity debe ser número válido, recibido: abc",
        "Item #0: quantity debe ser número válido, recibido: 1,5",
        "Item #0: quantity debe ser número válido, recibido: NaN",
        "Item #0: quantity debe ser mayor a 0, recibido: 0",
        "Item #0: quantity debe ser mayor a 0, recibido: -3",
        "Item #0: quantity debe ser mayor a 0, recibido: -0.5",
    ]


async def test_a_price_is_required(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    [result] = await judge(ana, make_sale(items=[without(make_item(), "unit_price")]))

    assert result["error"] == "Item #0: unit_price requerido"


async def test_an_exponent_is_refused_in_a_json_number_too(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    for text in ("1e1", "5E0", "1e400", "1e1000000", "-1e5", "1e-5"):
        body = '{"sales": [{"local_id": "550e8400-e29b-41d4-a716-446655440000", "customer_id": 5, '
        body += f'"items": [{{"product_id": 10, "quantity": {text}, "unit_price": 1}}]}}]}}'

        answer = await ana.post_bytes(f"{SYNC}/upload/", body.encode())

        assert answer.status == 400
        told = f"Item #0: quantity debe ser número válido, recibido: {text}"
        assert answer.result["error"] == told


# Discount


def discount(kind: object, value: object = ...) -> Json:
    item = without(make_item(discount_type=kind), "discount_value")
    return make_sale(items=[item if value is ... else {**item, "discount_value": value}])


async def test_discounts_that_are_taken(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sales = {
        "none": discount("none"),
        "none 0": discount("none", 0),
        "none 0.00": discount("none", "0.00"),
        "percentage 0": discount("percentage", "0"),
        "percentage 10.55": discount("percentage", 10.55),
        "percentage 100": discount("percentage", "100.00"),
        "fixed 0": discount("fixed", "0"),
        "fixed 127.50, the subtotal": discount("fixed", "127.50"),
        "nothing said": make_sale(items=[without(make_item(), "discount_type", "discount_value")]),
        "value 0 alone": make_sale(items=[without(make_item(), "discount_type")]),
        "fixed up to the rounded subtotal": make_sale(
            items=[
                make_item(
                    quantity=1, unit_price="0.005", discount_type="fixed", discount_value="0.01"
                )
            ]
        ),
    }

    assert await accepted(ana, sales) == {}


async def test_discounts_that_are_refused(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    refused = {
        "items[0].discount_type": [
            discount("NONE", "0"),
            discount("", "0"),
            discount(1, "0"),
            discount(True, "0"),
            discount([], "0"),
            discount({}, "0"),
            discount("none\0", "0"),
            discount("\ud800", "0"),
        ],
        "items[0].discount_value": [
            discount("percentage"),
            discount("fixed"),
            discount("none", "1"),
            discount("none", "0.01"),
            discount("percentage", "100.01"),
            discount("percentage", "-1"),
            discount("percentage", "10.555"),
            discount("fixed", "127.51"),
            discount("fixed", "-0.01"),
            discount("fixed", "1.001"),
            *(discount("percentage", thing) for thing in NO_NUMBERS),
            *(discount("none", thing) for thing in NO_NUMBERS),
            make_sale(items=[without(make_item(discount_value="5"), "discount_type")]),
        ],
    }

    for field, sales in refused.items():
        results = await judge(ana, *sales)

        for sale, result in zip(sales, results, strict=True):
            assert result["status"] == "error", sale["items"]
            assert result["errors"][0]["field"] == field, sale["items"]
            assert result["error"].startswith("Item #0: "), sale["items"]


async def test_a_fixed_discount_of_a_wrong_quantity_is_no_fault_of_its_own(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    results = await judge(
        ana,
        with_item(quantity="x", discount_type="fixed", discount_value="1"),
        with_item(unit_price="x", discount_type="fixed", discount_value="1"),
    )

    assert [[e["field"] for e in r["errors"]] for r in results] == [
        ["items[0].quantity"],
        ["items[0].unit_price"],
    ]


# The sale's own fields


async def test_sale_fields_that_are_taken(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    statuses = ("draft", "confirmed", "in_preparation", "ready", "delivered", "cancelled")
    sales = {
        **{f"status {status}": make_sale(status=status) for status in statuses},
        "notes of 2000": make_sale(notes="n" * 2000),
        "notes of 2000 emoji": make_sale(notes="🔩" * 2000),
        "notes null": make_sale(notes=None),
        "notes with line breaks": make_sale(notes="a\r\n\tb\u2028\u202ec"),
        "version 7": make_sale(version=7),
        "version of a million": make_sale(version=1_000_000),
        "bare": without(make_sale(), "status", "notes", "version"),
        "created_at Z": make_sale(created_at="2026-02-16T10:30:00Z"),
        "created_at offset": make_sale(created_at="2026-02-16T07:30:00-03:00"),
        "created_at fraction": make_sale(created_at="2026-02-16T10:30:00.123Z"),
        "created_at micro": make_sale(created_at="2026-02-16T10:30:00.123456+00:00"),
    }

    assert await accepted(ana, sales) == {}
    assert (await ana.sale(8))["notes"] == "🔩" * 2000
    assert (await ana.sale(10))["notes"] == "a\r\n\tb\u2028\u202ec"
    sold_at = [(await ana.sale(i))["sold_at"] for i in range(13, 18)]
    assert sold_at == [None, *["2026-02-16T10:30:00Z"] * 4]


SALE_FIELDS_REFUSED: dict[str, list[object]] = {
    "status": ["Draft", "x", "", " draft", 1, True, [], {}, "draft\0", "\ud800"],
    "notes": ["n" * 2001, 5, True, [], {}, ["a"], "a\0b", "\ud800", "\udfff x"],
    "version": [0, -1, 1.5, True, False, "abc", "", "1.0", [], {}, "-1", "+1", "\u0661", "1e3"],
    "created_at": [
        "2026-02-16T10:30:00", "2026-02-16", "ayer", "", 5, True, [], {}, "2026-02-30T10:30:00Z",
        "2026-02-16T25:30:00Z", "2026-02-16T10:30:00+99:00", "\0", "\ud800", "9" * 500,
        "2026-02-16T10:30:00Z\n", "\u0662026-02-16T10:30:00Z",
    ],
}  # fmt: skip


@pytest.mark.parametrize("field", SALE_FIELDS_REFUSED)
async def test_sale_fields_that_are_refused(daemon: Daemon, field: str) -> None:
    ana = await daemon.till("ana")
    values = SALE_FIELDS_REFUSED[field]

    results = await judge(ana, *(make_sale(**{field: value}) for value in values))

    for value, result in zip(values, results, strict=True):
        assert result["status"] == "error", value
        assert [e["field"] for e in result["errors"]] == [field], value
        assert result["retryable"] is False


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_at_the_ends_of_the_calendar_fails_nothing(daemon: Daemon, at: str) -> None:
    ana = await daemon.till("ana")

    answer = await ana.upload(make_sale(created_at=at), make_sale())

    assert answer.status == 200
    assert answer.json["results"][1]["status"] == "success"


# Order, all the problems, what a retry can cure


async def test_every_problem_is_told_in_the_guides_order(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    worst = {
        "quantity": "0",
        "qty": 1,
        "tax_percentage": "101",
        "discount_type": "percentage",
        "discount_value": "200",
        "unit_price": "-1",
    }
    sale = {
        "created_at": "x",
        "version": 0,
        "notes": 5,
        "status": "x",
        "items": [worst, make_item(product_id=777, quantity=None)],
        "local_id": make_sale()["local_id"],
    }

    [result] = await judge(ana, sale)

    assert [e["field"] for e in result["errors"]] == [
        "customer_id",
        "items[0].product_id",
        "items[0].quantity",
        "items[0].unit_price",
        "items[0].discount_value",
        "items[0].tax_percentage",
        "items[0].qty",
        "items[1].product_id",
        "items[1].quantity",
        "status",
        "notes",
        "version",
        "created_at",
    ]
    assert result["error"] == "customer_id requerido"
    assert result["retryable"] is False
    assert (await ana.status(1))["error"] == "customer_id requerido"
    assert (await ana.status(1))["errors"] == result["errors"]


async def test_only_what_new_data_alone_can_cure_is_retryable(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sales = [
        make_sale(customer_id=999),
        make_sale(customer_id=999, items=[make_item(product_id=777)]),
        make_sale(customer_id=999, items=[make_item(quantity="0")]),
        make_sale(items=[make_item(product_id=777), make_item(quantity="0")]),
        make_sale(customer_id=999, version=0),
    ]

    results = await judge(ana, *sales)

    assert [r["retryable"] for r in results] == [True, True, False, False, False]
    due = [(await ana.status(i))["next_attempt_at"] is not None for i in range(1, 6)]
    assert due == [True, True, False, False, False]


async def test_the_http_status_is_400_only_when_every_result_is_an_error(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    bad, good = with_item(quantity="0"), make_sale()
    await ana.upload(good)
    ahead = {**good, "notes": "ahead", "version": 9}

    statuses = [
        (await ana.upload(*sales)).status
        for sales in ([bad], [bad, bad], [bad, make_sale()], [ahead], [bad, ahead])
    ]

    assert statuses == [400, 400, 200, 200, 200]


KINDS_OF_BAD: list[Json] = [
    {"customer_id": None},
    {"customer_id": 999},
    {"customer_id": "x"},
    {"customer_id": 5.0},
    {"items": []},
    {"items": "x"},
    {"items": [5]},
    {"items": [make_item()] * 501},
    {"items": [make_item(product_id=None)]},
    {"items": [make_item(product_id=777)]},
    {"items": [make_item(quantity="0")]},
    {"items": [make_item(quantity="9" * 400)]},
    {"items": [make_item(unit_price="1e1000000")]},
    {"items": [make_item(discount_type="x")]},
    {"items": [make_item(tax_percentage="101")]},
    {"items": [make_item(qty=1)]},
    {"status": "x"},
    {"notes": "a\0b"},
    {"notes": "\ud800"},
    {"created_at": "ayer", "version": 10**40},
]


async def test_20_bad_sales_of_200_leave_180_stored_and_20_kept(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sales = [make_sale(**KINDS_OF_BAD[i // 10] if i % 10 == 3 else {}) for i in range(200)]

    answer = await ana.upload(*sales)

    assert answer.status == 200
    assert answer.json["summary"] == {
        "total": 200,
        "successful": 180,
        "conflicts": 0,
        "errors": 20,
    }
    results = answer.json["results"]
    assert [r["index"] for r in results] == list(range(200))
    assert [r["local_id"] for r in results] == [s["local_id"] for s in sales]
    assert [r["index"] for r in results if r["status"] == "error"] == list(range(3, 200, 10))
    assert [r["sale_id"] for r in results] == list(range(1, 201))
    keys = {"local_ids": [s["local_id"] for s in sales]}
    rows = (await ana.post(f"{SYNC}/status/", keys)).json["results"]
    states = [row["sync_status"] for row in rows]
    assert (states.count("synced"), states.count("error")) == (180, 20)
    assert (await ana.get(f"{SYNC}/pending/")).json["total"] == 20


UNTOLD_TEXTS = ["\0", "a\0b", "\ud800", "\udc00\ud800", "🔩\ud83d"]


async def test_a_nul_or_a_lone_surrogate_anywhere_hurts_its_own_sale_only(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sales = [
        sale
        for text in UNTOLD_TEXTS
        for sale in (
            make_sale(notes=text),
            make_sale(status=text),
            make_sale(customer_id=text),
            make_sale(created_at=text),
            make_sale(local_id=text),
            with_item(product_id=text),
            with_item(quantity=text),
            with_item(unit_price=text),
            with_item(discount_type=text),
            with_item(tax_percentage=text),
            with_item(**{text: 1}),
            make_sale(),
        )
    ]

    answer = await ana.upload(*sales)

    assert answer.status == 200
    results = answer.json["results"]
    assert [r["status"] for r in results] == [*["error"] * 11, "success"] * len(UNTOLD_TEXTS)


async def test_a_nul_in_a_key_that_nobody_reads_loses_no_other_sale(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    sales = [make_sale(mine="\0"), make_sale(**{"\ud800": 1}), make_sale()]

    answer = await ana.upload(*sales)

    assert answer.status == 200
    assert answer.json["results"][2]["status"] == "success"


# Amounts


def untaxed(quantity: str, price: str) -> Json:
    return {"quantity": quantity, "unit_price": price, "tax_percentage": 0}


# What is said; its subtotal, discount, tax and total.
AMOUNTS: list[tuple[Json, tuple[str, str, str, str]]] = [
    ({"quantity": "5", "unit_price": "25.50"}, ("127.50", "0.00", "26.78", "154.28")),
    (
        {"quantity": "3", "unit_price": "100", "discount_type": "percentage", "discount_value": 10},
        ("300.00", "30.00", "56.70", "326.70"),
    ),
    (
        {"quantity": "3", "unit_price": 100, "discount_type": "fixed", "discount_value": "0.01"},
        ("300.00", "0.01", "63.00", "362.99"),
    ),
    # Half up, not to even: 0.005 -> 0.01, 1.005 -> 1.01, 2.675 -> 2.68.
    (untaxed("1", "0.005"), ("0.01", "0.00", "0.00", "0.01")),
    (untaxed("1", "0.0049"), ("0.00",) * 4),
    (untaxed("3", "0.335"), ("1.01", "0.00", "0.00", "1.01")),
    (untaxed("1", "2.675"), ("2.68", "0.00", "0.00", "2.68")),
    (untaxed("1", "0.125"), ("0.13", "0.00", "0.00", "0.13")),
    # 21% of 0.50 is 0.105.
    ({"quantity": "1", "unit_price": "0.50"}, ("0.50", "0.00", "0.11", "0.61")),
    # The discount is of the rounded subtotal: 50.5% of 1.00, not of 0.996.
    (
        {
            "quantity": "1",
            "unit_price": "0.996",
            "discount_type": "percentage",
            "discount_value": "50.5",
            "tax_percentage": "0",
        },
        ("1.00", "0.51", "0.00", "0.49"),
    ),
    # The tax is of what the rounded discount leaves: 50% of 0.49, not of 0.4975.
    (
        {
            "quantity": "1",
            "unit_price": "0.995",
            "discount_type": "percentage",
            "discount_value": "50.5",
            "tax_percentage": "50",
        },
        ("1.00", "0.51", "0.25", "0.74"),
    ),
    (
        {"quantity": "1", "unit_price": "10", "discount_type": "percentage", "discount_value": 100},
        ("10.00", "10.00", "0.00", "0.00"),
    ),
    ({"quantity": "0.001", "unit_price": "0.0001"}, ("0.00",) * 4),
    (
        {"quantity": "999999999999", "unit_price": "999999999999", "tax_percentage": "100"},
        (
            "999999999998000000000001.00",
            "0.00",
            "999999999998000000000001.00",
            "1999999999996000000000002.00",
        ),
    ),
    (
        {"quantity": "999999999.999", "unit_price": "99999999.9999", "tax_percentage": "0"},
        ("99999999999800000.00", "0.00", "0.00", "99999999999800000.00"),
    ),
]  # fmt: skip


async def test_amounts_are_rounded_half_up_line_by_line(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    results = await judge(ana, *(with_item(**said) for said, _ in AMOUNTS))

    for result, (said, expected) in zip(results, AMOUNTS, strict=True):
        assert result["status"] == "success", said
        shown = await ana.sale(result["sale_id"])
        [line] = shown["items"]
        for told in (shown, line):
            amounts = (told["subtotal"], told["discount"], told["tax"], told["total"])
            assert amounts == expected, said


async def test_a_sales_amounts_are_the_sums_of_its_lines(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    # Rounded once at the end this would be 0.02.
    items = [make_item(quantity=1, unit_price="0.005", tax_percentage="0")] * 3

    await ana.upload(make_sale(items=items))

    assert (await ana.sale(1))["total"] == "0.03"


async def test_500_huge_items_fail_nothing(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    huge = make_item(quantity="9" * 12, unit_price="9" * 12, tax_percentage="100")

    [result] = await judge(ana, make_sale(items=[huge] * 500))

    assert result["status"] == "success"
    shown = await ana.sale(1)
    assert shown["subtotal"] == "499999999999000000000000500.00"
    assert shown["total"] == "999999999998000000000001000.00"
    assert shown["items"][499]["total"] == "1999999999996000000000002.00"


async def test_a_held_sale_shows_the_total_that_can_be_computed(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    await ana.upload(with_item(product_id=777), with_item(quantity="x"), make_sale(items=[]))

    rows = (await ana.get(f"{SYNC}/pending/")).json["results"]
    assert [row["total"] for row in rows] == ["154.28", "0.00", "0.00"]


async def test_numbers_leave_in_one_form(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    prices = {"1": "1.00", "1.5": "1.50", "1.255": "1.255", "1.2555": "1.2555", "0": "0.00"}
    item = {"product_id": "10", "quantity": "5", "tax_percentage": "10.5"}

    await ana.upload(make_sale(items=[{**item, "unit_price": price} for price in prices]))

    items = (await ana.sale(1))["items"]
    assert [i["unit_price"] for i in items] == list(prices.values())
    assert {i["quantity"] for i in items} == {"5.000"}
    assert {i["tax_percentage"] for i in items} == {"10.50"}
    assert {i["product_id"] for i in items} == {10}
    assert [i["line"] for i in items] == [0, 1, 2, 3, 4]


# The body


async def test_a_body_without_sales(daemon: Daemon) -> None:
    ana = await daemon.till("ana")

    bodies: list[Json] = [{}, {"sales": []}, {"sales": None}, {"ventas": [1]}]

    for body in bodies:
        answer = await ana.post(f"{SYNC}/upload/", body)

        assert answer.status == 400
        assert answer.json == {"status": "error", "error": "No sales data provided"}, body


async def test_a_body_of_another_shape(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    bodies = (b"[]", b"[{}]", b"5", b'"x"', b"null", b"true", b'{"sales": {}}', b'{"sales": "x"}')

    for body in bodies:
        answer = await ana.post_bytes(f"{SYNC}/upload/", body)

        assert answer.status == 400, body
        assert answer.json.keys() in ({"status", "error"}, {"detail"})


async def test_more_than_200_sales_are_refused_whole(daemon: Daemon, store_url: str) -> None:
    ana = await daemon.till("ana")

    answer = await ana.upload(*(make_sale() for _ in range(201)))

    assert answer.status == 400
    assert answer.json.keys() == {"status", "error"}
    assert answer.json["status"] == "error"
    assert "200" in answer.json["error"]
    assert "201" in answer.json["error"]
    assert await query(store_url, "SELECT id FROM sales") == []


# Numbers of sales


async def test_numbers_follow_the_request_held_sales_included(daemon: Daemon) -> None:
    ana, eva = await daemon.till("ana"), await daemon.till("eva")
    year = datetime.now(UTC).year

    first = await judge(ana, make_sale(), with_item(quantity=0), {"no": "local_id"}, make_sale())
    second = await judge(eva, make_sale(), make_sale())

    numbers = [r["sale_number"] for r in first + second]
    assert [n and n[-6:] for n in numbers] == [
        "-00001", "-00002", None, "-00003", "-00004", "-00005",
    ]  # fmt: skip
    assert all(re.fullmatch(r"VTA-\d{4}-\d{5}", n) for n in numbers if n)
    assert abs(int(numbers[0][4:8]) - year) <= 1


async def test_the_prefix_is_configurable(start_daemon: StartDaemon) -> None:
    async with start_daemon(number_prefix="SUC2") as daemon:
        [result] = await judge(await daemon.till("ana"), make_sale())

        assert result["sale_number"].startswith("SUC2-")


async def test_the_year_is_that_of_the_stores_time_zone(store_url: str) -> None:
    now = datetime(2027, 1, 1, 2, 30, tzinfo=UTC)
    numbers: list[str] = []
    for zone in ("America/Argentina/Buenos_Aires", "UTC", "America/Argentina/Buenos_Aires"):
        settings = make_settings(store_url, timezone=zone)
        async with (
            open_gateway(settings, clock=lambda: now) as gateway,
            running_daemon(gateway) as daemon,
        ):
            till = await daemon.till(f"till{len(numbers)}")
            [result] = await judge(till, make_sale(created_at="2020-01-01T00:00:00Z"))
            numbers.append(result["sale_number"])

    assert numbers == ["VTA-2026-00001", "VTA-2027-00001", "VTA-2026-00002"]


async def test_a_number_grows_wider_past_99999(daemon: Daemon, store_url: str) -> None:
    ana = await daemon.till("ana")
    await judge(ana, make_sale())
    # Whatever the counters are called, the year's is the one whose name has its digits.
    await query(store_url, "UPDATE counters SET value = 99998 WHERE name LIKE '%20__%'")

    results = await judge(ana, make_sale(), make_sale(), make_sale())

    assert [r["sale_number"][9:] for r in results] == ["99999", "100000", "100001"]


async def test_the_times_of_a_sale_are_the_servers(daemon: Daemon) -> None:
    ana = await daemon.till("ana")
    before = datetime.now(UTC).replace(microsecond=0)

    await ana.upload(make_sale(created_at="2001-01-01T00:00:00+03:00"))

    shown = await ana.sale(1)
    assert shown["sold_at"] == "2000-12-31T21:00:00Z"
    for name in ("created_at", "updated_at", "sync_succeeded_at", "sync_last_attempt"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown[name])
        assert datetime.fromisoformat(shown[name]) >= before

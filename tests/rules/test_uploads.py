"""Reading what a till said: any JSON value becomes a sale or its problems, never a fault."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulonera_sync.bodies import Number, dump_exactly, parse_body, parse_kept
from bulonera_sync.sales import DISCOUNT_TYPES, STATUSES, Content, Problem
from bulonera_sync.uploads import (
    ITEM_KEYS,
    MAX_NOTES,
    MAX_VERSION,
    SaleUpload,
    read_by_field,
    read_local_id,
    read_sale,
)
from tests.factories import Json, as_parsed, make_item, make_sale

LOCAL_ID = "3f1d2c4b-5a69-4788-9a0b-c1d2e3f40516"
TAXES = {10: Decimal("21.00"), 11: Decimal("10.50")}

HOSTILE = st.sampled_from(
    [
        "", " ", "\0", "\ud800", "a\udc00b", "\u202eabc",
        "٣", "\uff15", "1e999999", "NaN", "-0", "1,5",
        "x" * 5_000, "9" * 5_000, "0" * 5_000, "\x1b[2J", "\n", "null", LOCAL_ID, LOCAL_ID.upper(),
        "{" + LOCAL_ID + "}", "urn:uuid:" + LOCAL_ID, LOCAL_ID.replace("-", ""), "draft", "DRAFT",
        "cancelled", "percentage", "fixed", "2026-01-02T03:04:05Z", "2026-02-30T00:00:00Z",
        "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-02", "5", "10", "0.01",
    ]
)  # fmt: skip
NUMBERS = st.sampled_from(
    ["0", "-0", "-1", "1", "5", "5.0", "10", "0.5", "1e5", "1E-5", "9" * 30, "9" * 5_000, "0.12345"]
).map(Number)
LEAVES = st.none() | st.booleans() | HOSTILE | NUMBERS | st.text(max_size=8)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(sorted(ITEM_KEYS)), inner, max_size=4
        )
    ),
    max_leaves=8,
)
SALE_KEYS = ["local_id", "customer_id", "status", "items", "notes", "version", "created_at"]


@st.composite
def mutated_sales(draw: st.DrawFn) -> object:
    """A valid sale in which anything may have been replaced, left out or added."""
    [sale] = as_parsed(make_sale(local_id=LOCAL_ID, items=[make_item(), make_item()]))
    assert isinstance(sale, dict)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from([sale, *[i for i in sale["items"] if isinstance(i, dict)]]))
        keys = SALE_KEYS[:3] + SALE_KEYS[4:] if place is sale else sorted(ITEM_KEYS)
        key = draw(st.sampled_from(keys) | st.text(max_size=4))
        if draw(st.booleans()):
            place[key] = draw(ANYTHING)
        else:
            place.pop(key, None)
    if draw(st.integers(0, 9)) == 0:
        sale["items"] = draw(ANYTHING)
    return sale


def problems_in(upload: SaleUpload) -> list[Problem]:
    """Every problem of an upload, in the order of its fields."""
    found = [upload.local_id_problem, upload.customer_problem, upload.items_problem]
    for item in upload.items:
        found += [item.product_problem, *item.other_problems]
    return [problem for problem in (*found, *upload.last_problems) if problem]


def read(raw: object, **options: Any) -> SaleUpload:
    return read_sale(raw, index=0, **options)


def read_one(**said: Any) -> SaleUpload:
    [raw] = as_parsed(make_sale(**{"local_id": LOCAL_ID, **said}))
    return read(raw)


def read_item(**said: Any) -> SaleUpload:
    return read_one(items=[make_item(**said)])


def content_of(upload: SaleUpload) -> Content:
    content = upload.content(TAXES)
    assert content is not None, problems_in(upload)
    return content


@settings(deadline=None, max_examples=300)
@given(ANYTHING | mutated_sales())
def test_any_value_is_read_into_fields_or_problems(raw: object) -> None:
    upload = read(raw)

    problems = problems_in(upload)
    assert (upload.local_id is None) == (upload.local_id_problem is not None)
    assert (upload.customer_id is None) == (upload.customer_problem is not None)
    assert bool(upload.items) == (upload.items_problem is None)
    assert upload.status in STATUSES
    assert 1 <= upload.version <= MAX_VERSION
    assert upload.sold_at is None or upload.sold_at.utcoffset() == timedelta(0)
    content = upload.content(dict.fromkeys(upload.product_ids, Decimal(21)))
    assert (content is not None) == (not problems)


@settings(deadline=None, max_examples=300)
@given(ANYTHING | mutated_sales())
def test_what_is_told_and_kept_of_any_value_can_be_stored(raw: object) -> None:
    upload = read(raw)

    content = upload.content(dict.fromkeys(upload.product_ids, Decimal(21)))
    told = [text for p in problems_in(upload) for text in (p.field, p.message, p.code)]
    if content is not None:
        told.append(content.notes)
    for text in told:
        assert "\0" not in text
        assert text.encode("utf-8").decode() == text
    for problem in problems_in(upload):
        assert problem.message.isprintable()
        assert len(problem.message) < 300
    assert parse_kept(dump_exactly(upload.raw)) == raw
    assert len(upload.echo) <= 200


@settings(deadline=None)
@given(ANYTHING | mutated_sales())
def test_a_kept_sale_is_read_again_as_it_was_the_first_time(raw: object) -> None:
    first = read(raw)

    again = read(parse_kept(dump_exactly(first.raw)))

    assert again == first


@settings(deadline=None)
@given(mutated_sales(), mutated_sales())
def test_fingerprints_are_equal_if_and_only_if_contents_are(one: object, other: object) -> None:
    contents = [read(each).content(TAXES) for each in (one, other)]

    if None in contents:
        return
    first, second = contents
    assert first is not None
    assert second is not None
    assert (first.fingerprint() == second.fingerprint()) == (first == second)


CONTENTS = st.builds(
    read_one,
    customer_id=st.integers(1, 2),
    status=st.sampled_from(STATUSES[:2]),
    notes=st.sampled_from(["", "a", "ñ"]),
    items=st.lists(
        st.builds(
            make_item,
            product_id=st.sampled_from([10, 11]),
            quantity=st.sampled_from(["5", "5.000", "0.5"]),
            unit_price=st.sampled_from(["25.5", "25.50", "25.5000", "25.51"]),
            tax_percentage=st.sampled_from([None, "21", "10.5"]),
        ),
        min_size=1,
        max_size=2,
    ),
).map(content_of)


@settings(deadline=None)
@given(CONTENTS, CONTENTS)
def test_two_contents_are_the_same_sale_exactly_when_they_print_alike(
    one: Content, other: Content
) -> None:
    assert (one.fingerprint() == other.fingerprint()) == (one == other)
    assert (json.dumps(one.document()) == json.dumps(other.document())) == (one == other)


@settings(deadline=None)
@given(CONTENTS)
def test_a_kept_content_is_the_same_content(content: Content) -> None:
    again = Content.from_document(json.loads(json.dumps(content.document())))

    assert again == content
    assert again.fingerprint() == content.fingerprint()


@pytest.mark.parametrize(
    "said",
    [
        {"version": 7},
        {"created_at": "2026-01-02T03:04:05-03:00"},
        {"notes": None},
        {"local_id": LOCAL_ID.upper()},
        {"customer_id": "5"},
        {"customer_id": "005"},
        {"retries": 3, "client": {"os": "x"}, "total": "1.00"},
        {"items": [make_item(quantity=5)]},
        {"items": [make_item(quantity="5")]},
        {"items": [make_item(quantity="05.0")]},
        {"items": [make_item(unit_price="25.5000")]},
        {"items": [make_item(unit_price=25.5)]},
        {"items": [make_item(product_id="10")]},
        {"items": [make_item(tax_percentage="21.00")]},
        {"items": [make_item(discount_type=None, discount_value=None)]},
        {"items": [make_item(discount_value="-0")]},
    ],
    ids=str,
)
def test_another_way_to_say_the_same_is_the_same_sale(said: Json) -> None:
    plain = read_one()

    upload = read_one(**said)

    assert content_of(upload) == content_of(plain)
    assert upload.said == plain.said


@pytest.mark.parametrize(
    "said",
    [
        {"customer_id": 6},
        {"status": "confirmed"},
        {"notes": "x"},
        {"notes": " "},
        {"items": [make_item(), make_item()]},
        {"items": [make_item(product_id=11)]},
        {"items": [make_item(quantity="5.001")]},
        {"items": [make_item(unit_price="25.5001")]},
        {"items": [make_item(discount_type="fixed", discount_value="0")]},
        {"items": [make_item(discount_type="percentage", discount_value="0")]},
        {"items": [make_item(tax_percentage="20.99")]},
    ],
    ids=str,
)
def test_another_content_is_another_sale(said: Json) -> None:
    plain = read_one()

    upload = read_one(**said)

    assert content_of(upload).fingerprint() != content_of(plain).fingerprint()
    assert upload.said != plain.said


def test_omitted_optionals_are_their_defaults() -> None:
    item = {"product_id": 11, "quantity": 1, "unit_price": 1}
    [raw] = as_parsed({"local_id": LOCAL_ID, "customer_id": 5, "items": [item]})

    upload = read(raw)

    content = content_of(upload)
    assert (content.status, content.notes, upload.version) == ("draft", "", 1)
    assert upload.sold_at is None
    [line] = content.items
    assert (line.discount_type, line.discount_value) == ("none", Decimal(0))
    assert line.tax_percentage == TAXES[11]


def test_an_omitted_tax_of_an_unknown_product_is_no_content_yet() -> None:
    upload = read_one(items=[make_item(product_id=12, tax_percentage=None)])

    assert problems_in(upload) == []
    assert upload.content(TAXES) is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "local_id requerido y no puede estar vacío"),
        ("", "local_id requerido y no puede estar vacío"),
        ("  \t", "local_id requerido y no puede estar vacío"),
        ("abc", "local_id debe ser UUID válido (RFC 4122), recibido: abc"),
        (7, "local_id debe ser UUID válido (RFC 4122), recibido: 7"),
        (True, "local_id debe ser UUID válido (RFC 4122), recibido: true"),
        ([LOCAL_ID], f'local_id debe ser UUID válido (RFC 4122), recibido: ["{LOCAL_ID}"]'),
        (
            "00000000-0000-0000-0000-000000000000",
            "local_id debe ser UUID válido (RFC 4122), recibido: "
            "00000000-0000-0000-0000-000000000000",
        ),
    ],
    ids=repr,
)
def test_a_wrong_local_id_is_named_in_the_guides_words(value: object, message: str) -> None:
    upload = read_one(local_id=value)

    assert upload.local_id is None
    assert upload.local_id_problem is not None
    assert upload.local_id_problem.message == message


@pytest.mark.parametrize(
    "text",
    [
        "{" + LOCAL_ID + "}",
        "urn:uuid:" + LOCAL_ID,
        LOCAL_ID.replace("-", ""),
        LOCAL_ID + "\n",
        " " + LOCAL_ID,
        LOCAL_ID[:-1] + "g",
        LOCAL_ID[:-1] + "٣",
        LOCAL_ID[:-1] + "K",
        LOCAL_ID[:-1],
        LOCAL_ID + "0",
    ],
)
def test_a_uuid_has_its_canonical_form_alone(text: str) -> None:
    assert read_local_id(text) is None


@settings(deadline=None)
@given(st.uuids())
def test_every_uuid_but_the_nil_one_is_kept_in_lower_case(local_id: object) -> None:
    assert read_local_id(str(local_id)) == str(local_id)
    assert read_local_id(str(local_id).upper()) == str(local_id)


@pytest.mark.parametrize(
    ("said", "field", "message"),
    [
        ({"customer_id": None}, "customer_id", "customer_id requerido"),
        ({"customer_id": ""}, "customer_id", "customer_id requerido"),
        ({"customer_id": "abc"}, "customer_id", "customer_id debe ser un entero, recibido: abc"),
        ({"customer_id": 5.0}, "customer_id", "customer_id debe ser un entero, recibido: 5.0"),
        ({"customer_id": True}, "customer_id", "customer_id debe ser un entero, recibido: true"),
        ({"customer_id": 0}, "customer_id", "customer_id debe ser un entero, recibido: 0"),
        ({"customer_id": -5}, "customer_id", "customer_id debe ser un entero, recibido: -5"),
        (
            {"customer_id": "\u0665"},
            "customer_id",
            "customer_id debe ser un entero, recibido: \u0665",
        ),
        ({"customer_id": []}, "customer_id", "customer_id debe ser un entero, recibido: []"),
        ({"items": []}, "items", "Sale debe tener al menos 1 item"),
        ({"items": None}, "items", "Sale debe tener al menos 1 item"),
        ({"items": {}}, "items", "Sale debe tener al menos 1 item"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named_in_the_guides_words(said: Json, field: str, message: str) -> None:
    upload = read_one(**said)

    [problem] = problems_in(upload)
    assert (problem.field, problem.message) == (field, message)


@pytest.mark.parametrize(
    ("said", "field", "message"),
    [
        ({"product_id": None}, "product_id", "product_id requerido"),
        ({"product_id": ""}, "product_id", "product_id requerido"),
        ({"quantity": None}, "quantity", "quantity requerido"),
        ({"quantity": "abc"}, "quantity", "quantity debe ser número válido, recibido: abc"),
        ({"quantity": ""}, "quantity", "quantity debe ser número válido, recibido: "),
        ({"quantity": "1,5"}, "quantity", "quantity debe ser número válido, recibido: 1,5"),
        ({"quantity": True}, "quantity", "quantity debe ser número válido, recibido: true"),
        ({"quantity": "NaN"}, "quantity", "quantity debe ser número válido, recibido: NaN"),
        ({"quantity": "0"}, "quantity", "quantity debe ser mayor a 0, recibido: 0"),
        ({"quantity": 0.000}, "quantity", "quantity debe ser mayor a 0, recibido: 0.0"),
        ({"quantity": -5}, "quantity", "quantity debe ser mayor a 0, recibido: -5"),
        ({"unit_price": None}, "unit_price", "unit_price requerido"),
        (
            {"unit_price": "-0.01"},
            "unit_price",
            "unit_price debe ser mayor o igual a 0, recibido: -0.01",
        ),
        (
            {"discount_type": "percentage", "discount_value": None},
            "discount_value",
            "discount_value requerido",
        ),
        ({"discount_type": "fixed", "discount_value": None}, "discount_value",
         "discount_value requerido"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_item_is_named_by_its_place(said: Json, field: str, message: str) -> None:
    upload = read_one(items=[make_item(), make_item(**said)])

    [problem] = problems_in(upload)
    assert problem.field == f"items[1].{field}"
    assert problem.message == f"Item #1: {message}"


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"quantity": "0.0001"}, "quantity"),
        ({"quantity": "1000000000.001"}, "quantity"),
        ({"quantity": 1e16}, "quantity"),
        ({"unit_price": "0.00001"}, "unit_price"),
        ({"unit_price": "1e2"}, "unit_price"),
        ({"discount_type": "percent"}, "discount_type"),
        ({"discount_type": "none", "discount_value": "0.01"}, "discount_value"),
        ({"discount_type": None, "discount_value": "5"}, "discount_value"),
        ({"discount_type": "percentage", "discount_value": "100.01"}, "discount_value"),
        ({"discount_type": "percentage", "discount_value": "-1"}, "discount_value"),
        ({"discount_type": "percentage", "discount_value": "1.001"}, "discount_value"),
        ({"discount_type": "fixed", "discount_value": "127.51"}, "discount_value"),
        ({"discount_type": "fixed", "discount_value": "-0.01"}, "discount_value"),
        ({"tax_percentage": "100.01"}, "tax_percentage"),
        ({"tax_percentage": "-0.01"}, "tax_percentage"),
        ({"tax_percentage": "21%"}, "tax_percentage"),
        ({"tax_percentage": ""}, "tax_percentage"),
        ({"qty": 100}, "qty"),
    ],
    ids=str,
)
def test_nothing_of_an_item_is_rounded_or_ignored_in_silence(said: Json, field: str) -> None:
    upload = read_item(**said)

    [problem] = problems_in(upload)
    assert problem.field == f"items[0].{field}"
    assert field in problem.message


@pytest.mark.parametrize(
    "said",
    [
        {"quantity": "0.001"},
        {"quantity": "999999999.999"},
        {"quantity": "5.000000000"},
        {"unit_price": "0"},
        {"unit_price": "99999999.9999"},
        {"discount_type": "percentage", "discount_value": "100"},
        {"discount_type": "percentage", "discount_value": "0"},
        {"discount_type": "fixed", "discount_value": "127.50"},
        {"discount_type": "fixed", "discount_value": "127.5000"},
        {"tax_percentage": "0"},
        {"tax_percentage": "100.00"},
    ],
    ids=str,
)
def test_the_bounds_themselves_are_right(said: Json) -> None:
    upload = read_item(**said)

    assert problems_in(upload) == []


@pytest.mark.parametrize("kind", DISCOUNT_TYPES)
def test_each_kind_of_discount_is_taken(kind: str) -> None:
    upload = read_item(discount_type=kind, discount_value="0")

    assert content_of(upload).items[0].discount_type == kind


@pytest.mark.parametrize(
    "said",
    [
        {"status": "sold"},
        {"status": "Draft"},
        {"status": ""},
        {"status": 1},
        {"notes": "x" * (MAX_NOTES + 1)},
        {"notes": 5},
        {"notes": ["x"]},
        {"notes": "a\0b"},
        {"notes": "a\ud800b"},
        {"version": 0},
        {"version": -1},
        {"version": 1.0},
        {"version": True},
        {"version": 2**31},
        {"version": 10**4_000},
        {"created_at": "2026-01-02"},
        {"created_at": "2026-01-02T03:04:05"},
        {"created_at": "2026-13-02T03:04:05Z"},
        {"created_at": "2026-01-02T03:04:05+25:00"},
        {"created_at": "0001-01-01T00:00:00+23:59"},
        {"created_at": "9999-12-31T23:59:59-23:59"},
        {"created_at": "2026-W01-1T00:00Z"},
        {"created_at": "ayer"},
        {"created_at": 1_767_323_045},
        {"created_at": ""},
    ],
    ids=lambda said: str(said)[:60],
)
def test_a_wrong_last_field_is_an_error_of_its_own(said: Json) -> None:
    upload = read_one(**said)

    [problem] = problems_in(upload)
    assert [problem.field] == list(said)
    assert problem.field in problem.message


@pytest.mark.parametrize(
    "said",
    [
        {"notes": "x" * MAX_NOTES},
        {"notes": "\N{GRINNING FACE}" * MAX_NOTES},
        {"notes": "\u202erenglón\n\tdos"},
        {"version": MAX_VERSION},
        *({"status": status} for status in STATUSES),
    ],
    ids=lambda said: str(said)[:30],
)
def test_the_bounds_of_the_last_fields_are_right(said: Json) -> None:
    upload = read_one(**said)

    assert problems_in(upload) == []


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02t03:04:05z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T00:04:05-03:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T00:04:05-0300", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04+00:00", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123Z", datetime(2026, 1, 2, 3, 4, 5, 123_000, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123_456, tzinfo=UTC)),
    ],
)
def test_a_time_with_its_offset_is_read(text: str, time: datetime) -> None:
    upload = read_one(created_at=text)

    assert upload.sold_at == time


def test_every_unknown_item_key_is_named() -> None:
    upload = read_item(qty=1, precio="2", **{"\0": 3})

    fields = [problem.field for problem in problems_in(upload)]
    assert fields == ["items[0].qty", "items[0].precio", "items[0].\\x00"]


def test_more_items_than_allowed_are_one_problem() -> None:
    raw = as_parsed(make_sale(items=[make_item(quantity=0)] * 4))[0]

    upload = read(raw, max_items=3)

    [problem] = problems_in(upload)
    assert problem.message.startswith("Sale admite hasta 3 items")
    assert upload.items == ()


def test_all_that_is_wrong_is_told_item_by_item_and_the_last_fields_last() -> None:
    items = [make_item(quantity=0, unit_price="x"), make_item(product_id=None, tax_percentage=-1)]

    upload = read_one(customer_id="x", status="x", notes=1, version=0, created_at=1, items=items)

    assert [problem.field for problem in problems_in(upload)] == [
        "customer_id",
        "items[0].quantity",
        "items[0].unit_price",
        "items[1].product_id",
        "items[1].tax_percentage",
        "status",
        "notes",
        "version",
        "created_at",
    ]


@pytest.mark.parametrize("wrong", ["no list", {"local_id": 1}, 5, None, [], "x" * 1_000], ids=str)
def test_an_element_that_is_no_sale_is_a_sale_without_local_id(wrong: object) -> None:
    [raw] = as_parsed(wrong)

    upload = read(raw)

    assert upload.local_id is None
    assert parse_kept(dump_exactly(upload.raw)) == raw


def _calls_for(function: Callable[[], object]) -> int:
    """Return how many Python functions ran: a measure that no busy machine disturbs."""
    calls = 0

    def count(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize(
    "make",
    [
        lambda n: make_sale(items=[make_item()] * n),
        lambda n: make_sale(items=[make_item(quantity="x", qty=1)] * n),
        lambda n: make_sale(items=[{f"k{i}": i for i in range(n)}]),
        lambda n: make_sale(items=[[]] * n),
        lambda n: {"items": [make_item(product_id={f"k{i}": [i]}) for i in range(n)]},
        lambda n: make_sale(**{f"k{i}": [i] for i in range(n)}),
    ],
    ids=["right", "wrong", "keys", "lists", "deep", "unknown"],
)
def test_reading_costs_as_much_as_was_said(make: Callable[[int], object]) -> None:
    small, large = (parse_body(json.dumps(make(size)).encode()) for size in (100, 400))

    once, fourfold = (_calls_for(lambda raw=raw: read(raw)) for raw in (small, large))  # type: ignore[misc]

    assert fourfold <= 5 * once


@pytest.mark.parametrize("key", ["local_id", "customer_id", "status", "notes", "created_at"])
@pytest.mark.parametrize("character", ["0", "1", "-", " ", "a", "\0", "ñ"], ids=repr)
def test_a_megabyte_of_one_character_is_settled_at_once(key: str, character: str) -> None:
    # Were any of it quadratic, or an int() of it, this would take minutes.
    upload = read_one(**{key: character * 1_000_000})

    assert problems_in(upload)
    assert all(len(problem.message) < 300 for problem in problems_in(upload))


@pytest.mark.parametrize("key", sorted(ITEM_KEYS))
@pytest.mark.parametrize("character", ["0", "1", "."])
def test_a_megabyte_in_an_item_is_settled_at_once(key: str, character: str) -> None:
    upload = read_item(**{key: character * 1_000_000})

    # Zeros that say nothing are no digits: a million of them are a nought.
    is_nought = character == "0" and key in ("unit_price", "discount_value", "tax_percentage")
    assert (problems_in(upload) == []) == is_nought


def test_a_flood_of_unknown_keys_is_told_in_few_words() -> None:
    flood = {f"k{number}": 0 for number in range(100_000)}

    upload = read_item(**flood)

    # Each is said in 8 bytes and would be told, and stored, in a hundred.
    told = problems_in(upload)
    assert told[0].field == "items[0].k0"
    assert len(told) <= 1_000


WORDS = NUMBERS | st.sampled_from(
    ["0", "5", "5.00", "-1", "101", "0.001", "1e3", "", "\u0663", "none"]
)
KINDS = st.sampled_from(["none", "percentage", "fixed", ""])


@st.composite
def nearly_right_items(draw: st.DrawFn) -> dict[str, Any]:
    """A right item in which a field or two were replaced, left out or added."""
    discount = draw(
        st.just({}) | st.fixed_dictionaries({"discount_type": KINDS, "discount_value": WORDS})
    )
    [item] = as_parsed(make_item(**discount))
    assert isinstance(item, dict)
    for name in draw(st.lists(st.sampled_from([*sorted(ITEM_KEYS), "more"]), max_size=2)):
        item[name] = draw(st.sampled_from(["0", "-0", "-1", "100", "101"]) | WORDS | LEAVES)
        if draw(st.booleans()):
            del item[name]
    return item


@settings(max_examples=400)
@given(nearly_right_items())
def test_the_short_way_to_read_an_item_finds_what_the_long_one_does(item: dict[str, Any]) -> None:
    [read] = read_sale({"items": [item]}, index=0).items

    assert read == read_by_field(item, 0)

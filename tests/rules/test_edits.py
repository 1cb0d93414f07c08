"""Changing a sale field by field: what is said is checked, what is not said stays."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bulonera_sync.changes import Circumstances
from bulonera_sync.checks import Known
from bulonera_sync.decisions import Policy
from bulonera_sync.edits import (
    EDITABLE_FIELDS,
    corrected_payload,
    edit,
    overlaid,
    problems_with_held,
    read_overlay,
    unknown_fields,
    whole,
)
from bulonera_sync.retries import RetryPolicy
from bulonera_sync.sales import Actor, Content, Fingerprints, Item, Product, Sale
from tests.factories import as_parsed, make_item

NOON = datetime(2026, 2, 16, 12, tzinfo=UTC)
AT = Circumstances(Actor("manager", 2), NOON, RetryPolicy(), 1.0)
CONTENT = Content(
    5,
    "draft",
    (Item(10, Decimal(5), Decimal("25.5"), "none", Decimal(0), Decimal(21)),),
    "a",
)
SALE = Sale(
    id=7,
    number="VTA-2026-00007",
    local_id="3f1d2c4b-5a69-4788-9a0b-c1d2e3f40516",
    user_id=1,
    sync_status="synced",
    status="draft",
    version=3,
    fingerprints=Fingerprints.of(CONTENT),
    created_at=NOON,
    updated_at=NOON,
    content=CONTENT,
    tax_defaults={10: Decimal(21)},
)
PRODUCTS = {each: Product(each, Decimal("25.5"), Decimal("10.5")) for each in (10, 11)}


def known(*, customers: frozenset[int] = frozenset({5, 6})) -> Known:
    return Known(1, customers, PRODUCTS, None, Fingerprints(""), sale=SALE)


def said(**fields: Any) -> dict[str, object]:
    [parsed] = as_parsed(fields)
    assert isinstance(parsed, dict)
    return parsed


def test_what_is_not_said_stays() -> None:
    words = said(notes="b")
    upload = read_overlay(CONTENT, words, max_items=500)

    edited = overlaid(SALE, upload, words, known())

    assert edited.content == replace(CONTENT, notes="b")


def test_nothing_said_is_the_same_content() -> None:
    upload = read_overlay(CONTENT, {}, max_items=500)

    edited = overlaid(SALE, upload, {}, known())

    assert edited.content == CONTENT


def test_an_omitted_tax_is_the_default_of_the_first_receipt_else_of_today() -> None:
    items = [make_item(), make_item(product_id=11)]
    for item in items:
        del item["tax_percentage"]
    words = said(items=items)
    upload = read_overlay(CONTENT, words, max_items=500)

    edited = overlaid(SALE, upload, words, known())

    assert edited.content is not None
    taxes = [item.tax_percentage for item in edited.content.items]
    assert taxes == [Decimal(21), Decimal("10.5")]


def test_a_customer_that_left_is_no_problem_of_another_field() -> None:
    words = said(notes="b")
    upload = read_overlay(CONTENT, words, max_items=500)
    nobody = known(customers=frozenset())

    edited, checked = overlaid(SALE, upload, words, nobody), whole(SALE, upload, words, nobody)

    assert edited.content is not None
    assert [problem.field for problem in checked.problems] == ["customer_id"]


@pytest.mark.parametrize("name", ["customer_id", "status", "items"])
def test_null_is_no_default_here(name: str) -> None:
    words = said(**{name: None})
    upload = read_overlay(CONTENT, words, max_items=500)

    edited = overlaid(SALE, upload, words, known())

    assert edited.content is None
    assert edited.problems[0].field == name


def test_an_edit_counts_a_version_and_keeps_the_former_content() -> None:
    content = replace(CONTENT, notes="b")

    change = edit(SALE, content, said(notes="b"), known(), Policy(), AT)

    assert change is not None
    assert (change.after.version, change.after.content) == (4, content)
    [copy] = change.copies
    assert (copy.version, Content.from_document(json.loads(copy.text))) == (3, CONTENT)
    [event] = change.events
    assert (event.kind, event.from_version, event.to_version) == ("edited", 3, 4)
    assert event.detail == {"fields": ["notes"]}


@pytest.mark.parametrize("words", [{}, {"notes": "a"}, {"payment_status": "unpaid"}])
def test_an_edit_that_changes_nothing_is_none(words: dict[str, object]) -> None:
    assert edit(SALE, CONTENT, words, known(), Policy(), AT) is None


def test_a_payment_leaves_the_content_the_tills() -> None:
    change = edit(SALE, CONTENT, {"payment_status": "paid"}, known(), Policy(), AT)

    assert change is not None
    assert (change.after.payment_status, change.after.version) == ("paid", 4)
    assert change.after.is_content_uploaded
    assert change.after.fingerprints == SALE.fingerprints


HELD = replace(
    SALE,
    sync_status="error",
    content=None,
    payload='{"customer_id":999,"own":1.50,"notes":"a"}',
)


def test_a_corrected_payload_keeps_every_other_word() -> None:
    assert corrected_payload(HELD, said(customer_id=5)) == (
        '{"customer_id":5,"own":1.50,"notes":"a"}'
    )


@pytest.mark.parametrize("words", [{}, {"notes": "a"}, {"payment_status": "paid"}])
def test_a_correction_that_changes_nothing_is_none(words: dict[str, object]) -> None:
    assert corrected_payload(HELD, words) is None


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"customer_id": None}, "customer_id"),
        ({"payment_status": "later"}, "payment_status"),
        ({"fiscal_status": None}, "fiscal_status"),
    ],
)
def test_what_can_not_even_be_held(words: dict[str, object], field: str) -> None:
    assert [problem.field for problem in problems_with_held(words)] == [field]


def test_unknown_fields_are_named_on_one_printable_line() -> None:
    named = unknown_fields({"notes": 1, "id": 1, "evil\n\x1b": 1}, EDITABLE_FIELDS)

    assert named[0] == "id"
    assert len(named) == 2
    assert named[1].isprintable()

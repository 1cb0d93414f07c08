"""Money, times and lists: exact and the same on both engines."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Dialect, TypeDecorator, bindparam, insert, select

from bulonera_sync.gateway import Gateway
from bulonera_sync.sales import User
from bulonera_sync.store import schema
from bulonera_sync.store.catalog import CatalogProduct
from bulonera_sync.store.dialect import POSTGRES, SQLITE
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Statement
from bulonera_sync.store.types import Amount, Flag, Scaled, UtcTime
from tests.factories import as_parsed, make_item, make_sale
from tests.store.databases import opened, run_sql

ENGINES = pytest.mark.parametrize("engine", [SQLITE, POSTGRES], ids=["sqlite", "postgres"])
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def across(kind: TypeDecorator[Any], value: object, dialect: Dialect) -> object:
    """The value as it comes back after it was stored."""
    return kind.process_result_value(kind.process_bind_param(value, dialect), dialect)


@ENGINES
@settings(deadline=None)
@given(st.integers(0, 10**12 - 1), st.sampled_from([2, 3, 4]))
def test_a_number_comes_back_exactly(engine: Dialect, scaled: int, places: int) -> None:
    number = Decimal(scaled).scaleb(-places)

    back = across(Scaled(places), number, engine)

    assert back == number
    assert str(back) == str(number)


@ENGINES
@settings(deadline=None)
@given(st.integers(0, 10**31))
def test_an_amount_of_any_size_comes_back_to_the_cent(engine: Dialect, cents: int) -> None:
    amount = Decimal(f"{cents // 100}.{cents % 100:02d}")

    back = across(Amount(), amount, engine)

    assert str(back) == str(amount)


@settings(deadline=None)
@given(st.integers(0, 10**31), st.integers(0, 10**31))
def test_amounts_sort_as_text_as_they_do_as_numbers(one: int, other: int) -> None:
    amounts = [Decimal(f"{each // 100}.{each % 100:02d}") for each in (one, other)]

    texts = [Amount().process_bind_param(each, SQLITE) for each in amounts]

    assert (texts[0] < texts[1]) == (amounts[0] < amounts[1])


@ENGINES
@pytest.mark.parametrize("kind", [Scaled(2), Amount()], ids=["scaled", "amount"])
@pytest.mark.parametrize("value", [1.5, 2, "3.00"], ids=repr)
def test_money_that_is_no_decimal_is_refused(
    engine: Dialect, kind: TypeDecorator[Any], value: object
) -> None:
    with pytest.raises(TypeError, match="money is Decimal"):
        kind.process_bind_param(value, engine)


@ENGINES
@pytest.mark.parametrize("kind", [Scaled(2), Amount()], ids=["scaled", "amount"])
def test_no_decimal_is_dropped_in_silence(engine: Dialect, kind: TypeDecorator[Any]) -> None:
    with pytest.raises(ValueError, match="more than 2 decimals"):
        kind.process_bind_param(Decimal("1.005"), engine)


@ENGINES
@pytest.mark.parametrize("kind", [Scaled(2), Amount(), UtcTime(), Flag()], ids=repr)
def test_nothing_stays_nothing(engine: Dialect, kind: TypeDecorator[Any]) -> None:
    assert across(kind, None, engine) is None


@ENGINES
def test_a_time_without_its_offset_is_refused(engine: Dialect) -> None:
    with pytest.raises(TypeError, match="offset"):
        UtcTime().process_bind_param(datetime(2026, 3, 1), engine)  # noqa: DTZ001 - the point


@ENGINES
@settings(deadline=None)
@given(
    st.datetimes(
        min_value=datetime(1, 1, 2),  # noqa: DTZ001 - Hypothesis adds the offset
        max_value=datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))),
    )
)
def test_any_aware_time_comes_back_as_the_same_moment_in_utc(
    engine: Dialect, time: datetime
) -> None:
    back = across(UtcTime(), time, engine)

    assert isinstance(back, datetime)
    assert back == time
    assert back.utcoffset() == timedelta(0)


@settings(deadline=None)
@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_times_sort_as_text_as_they_do_as_moments(one: datetime, other: datetime) -> None:
    texts = [UtcTime().process_bind_param(each, SQLITE) for each in (one, other)]

    assert (texts[0] < texts[1]) == (one < other)


PRODUCT_NUMBERS = Statement(
    select(schema.products.c.price, schema.products.c.tax_percentage).where(
        schema.products.c.id == bindparam("product_id")
    )
)


@pytest.mark.parametrize("price", ["0.0001", "99999999.9999", "0.1000", "33.3300"])
async def test_a_price_is_the_same_number_in_the_database(gateway: Gateway, price: str) -> None:
    await gateway.import_rows(
        "products", [CatalogProduct(500, "", "x", Decimal(price), Decimal("10.50"), True)]
    )

    rows, _ = await gateway.list_catalog("products", limit=1_000)

    [found] = [each for each in rows if each.id == 500]
    assert isinstance(found, CatalogProduct)
    assert (str(found.price), str(found.tax_percentage)) == (price, "10.50")


async def test_the_largest_sale_keeps_its_cents(gateway: Gateway, cashier: User) -> None:
    line = make_item(quantity="999999999999", unit_price="999999999999", tax_percentage="100")
    cents = make_item(quantity="1", unit_price="0.01", tax_percentage="0")

    [outcome] = await gateway.upload(cashier, as_parsed(make_sale(items=[line] * 499 + [cents])))

    assert outcome.sale_id is not None
    sale = (await gateway.find_sale(cashier, outcome.sale_id)).sale
    assert str(sale.total) == f"{2 * 999999999999**2 * 499}.01"
    assert sale.content is not None
    assert sale.content.amounts().total == sale.total


async def test_sales_sort_by_their_amount_in_the_database(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    prices = ["9", "10", "0.5", "99999999.9999", "100", "0", "2"]
    sold = [
        make_sale(items=[make_item(quantity="1", unit_price=each, tax_percentage="0")])
        for each in prices
    ]
    await gateway.upload(cashier, as_parsed(*sold))
    by_total = Statement(select(schema.sales.c.total).order_by(schema.sales.c.total))

    async with opened(store_url) as store:
        rows = await store.read(lambda session: session.fetch(by_total))

    totals = [total for (total,) in rows]
    assert totals == sorted(totals)
    assert str(totals[0]) == "0.00"
    assert str(totals[-1]) == "100000000.00"


async def test_a_time_is_stored_in_utc_and_comes_back_aware(
    gateway: Gateway, cashier: User
) -> None:
    [outcome] = await gateway.upload(
        cashier, as_parsed(make_sale(created_at="2026-03-01T09:30:00.123456-03:00"))
    )

    assert outcome.sale_id is not None
    sale = (await gateway.find_sale(cashier, outcome.sale_id)).sale
    assert sale.sold_at == datetime(2026, 3, 1, 12, 30, 0, 123_456, tzinfo=UTC)
    for time in (sale.sold_at, sale.created_at, sale.updated_at, sale.sync_succeeded_at):
        assert time is not None
        assert time.utcoffset() == timedelta(0)


async def test_a_flag_comes_back_as_a_bool(gateway: Gateway, cashier: User) -> None:
    [account] = await gateway.list_accounts()

    assert account.is_active is True


ADD_USER = Statement(
    insert(schema.users)
    .values(
        username=bindparam("username"),
        role=bindparam("role"),
        is_active=bindparam("is_active"),
        created_at=bindparam("created_at", type_=UtcTime()),
    )
    .returning(schema.users.c.id)
)


async def test_an_id_is_never_used_again(store_url: str) -> None:
    async def add(session: Session) -> int:
        values = {"username": "u", "role": "cashier", "is_active": True, "created_at": NOW}
        [(user_id,)] = await session.fetch(ADD_USER, **values)
        return int(user_id)

    async with opened(store_url) as store:
        first = await store.write(add)
        await run_sql(store_url, "DELETE FROM users")
        second = await store.write(add)

    assert second > first


async def test_a_sales_id_and_number_are_never_used_again(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    [first] = await gateway.upload(cashier, as_parsed(make_sale()))
    await run_sql(store_url, "DELETE FROM events", "DELETE FROM sale_items", "DELETE FROM sales")

    [second] = await gateway.upload(cashier, as_parsed(make_sale()))

    assert first.sale_id is not None
    assert second.sale_id == first.sale_id + 1
    assert str(first.sale_number) < str(second.sale_number)

"""What is read in one statement: a sale with its items, a page with how many there are in all."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from bulonera_sync.gateway import Gateway
from bulonera_sync.gateway.edits import find_mine
from bulonera_sync.sales import Sale, User
from bulonera_sync.store import listings
from bulonera_sync.store.listings import PendingSale
from bulonera_sync.store.sessions import Session, Store
from tests.factories import as_parsed, make_item, make_sale
from tests.store.databases import opened, run_sql
from tests.store.test_plans import CountingSession

Page = tuple[list[PendingSale], int]
Ask = Callable[[Session], Awaitable[object]]


async def counted(store: Store, work: Ask) -> int:
    """Run the unit; return how many calls the database had."""

    async def count(session: Session) -> int:
        counting = CountingSession(session)
        await work(counting)
        return counting.calls

    return await store.look_up(count)


async def page(gateway: Gateway, user: User, *, after_id: int = 0, limit: int = 50) -> Page:
    rows, total = await gateway.pending(
        sync_statuses=["error"], user_id=user.id, after_id=after_id, limit=limit
    )
    return list(rows), total


async def test_a_sales_items_come_in_their_order_and_to_the_last_decimal(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    items = [
        make_item(product_id=1 + line, quantity=f"{line + 1}.{line:03}", unit_price="0.0001")
        for line in range(12)
    ]
    [outcome] = await gateway.upload(cashier, as_parsed(make_sale(items=items)))
    # Whatever the order in which a table happens to keep them.
    first = "SELECT * FROM sale_items WHERE line = 0"
    await run_sql(
        store_url,
        f"CREATE TABLE aside AS {first}",
        "DELETE FROM sale_items WHERE line = 0",
        "INSERT INTO sale_items SELECT * FROM aside",
    )

    found = await gateway.find_state(cashier, outcome.sale_id or 0)

    assert found.content is not None
    assert not found.is_damaged
    told = [(item.product_id, item.quantity, item.unit_price) for item in found.content.items]
    assert told == [
        (1 + line, Decimal(f"{line + 1}.{line:03}"), Decimal("0.0001")) for line in range(12)
    ]


async def test_sales_found_together_have_each_its_own_items(
    gateway: Gateway, cashier: User
) -> None:
    sold = [make_sale(items=[make_item(product_id=1 + place)] * place) for place in range(1, 4)]
    held = make_sale(items=[])
    await gateway.upload(cashier, as_parsed(*sold, held))

    found = await gateway.find_sales(cashier, [sale["local_id"] for sale in (*sold, held)])

    def told(sale: Sale) -> list[int] | None:
        return [item.product_id for item in sale.content.items] if sale.content else None

    assert [told(found[sale["local_id"]]) for sale in sold] == [[2], [3, 3], [4, 4, 4]]
    assert told(found[held["local_id"]]) is None


async def test_a_sale_and_a_first_page_are_one_call_each(
    gateway: Gateway, cashier: User, store_url: str
) -> None:
    await gateway.upload(cashier, as_parsed(make_sale(), make_sale(customer_id=777)))

    async def find(session: Session) -> object:
        return await find_mine(session, cashier, 1)

    def listing(after_id: int) -> Ask:
        async def ask(session: Session) -> object:
            return await listings.list_pending(
                session, sync_statuses=["error"], user_id=cashier.id, after_id=after_id, limit=50
            )

        return ask

    async with opened(store_url) as store:
        calls = [await counted(store, ask) for ask in (find, listing(0), listing(1))]

    assert calls == [1, 1, 1]


@pytest.mark.parametrize("held", [0, 3], ids="{} held".format)
async def test_every_page_tells_how_many_there_are_in_all(
    gateway: Gateway, cashier: User, held: int
) -> None:
    await gateway.upload(
        cashier, as_parsed(make_sale(), *(make_sale(customer_id=777) for _ in range(held)))
    )

    pages = [
        await page(gateway, cashier, limit=2),
        await page(gateway, cashier, after_id=3, limit=2),
        await page(gateway, cashier, after_id=99),
        await page(gateway, cashier, after_id=-1),
    ]

    assert [total for _, total in pages] == [held] * 4
    assert [[row.id for row in rows] for rows, _ in pages] == (
        [[2, 3], [4], [], [2, 3, 4]] if held else [[], [], [], []]
    )

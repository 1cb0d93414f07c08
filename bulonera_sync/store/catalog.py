"""The catalogue as rows: what an upload may name, and how an import brings it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Literal

from sqlalchemy import Integer, Table, and_, bindparam, func, select, true, update

from bulonera_sync.sales import Product
from bulonera_sync.store import schema
from bulonera_sync.store.dialect import among, gathered, upsert
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Statement

MAX_STORED_ID = 2**63 - 1

CatalogKind = Literal["customers", "products"]

_customers = schema.customers
_products = schema.products


@dataclass(frozen=True, slots=True)
class CatalogCustomer:
    """A customer as imported and listed."""

    id: int
    name: str
    tax_id: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class CatalogProduct:
    """A product as imported and listed; price net of tax."""

    id: int
    code: str
    name: str
    price: Decimal | None
    tax_percentage: Decimal | None
    is_active: bool


CatalogRow = CatalogCustomer | CatalogProduct

CUSTOMER_NAMES = Statement(
    select(_customers.c.id, _customers.c.name).where(among(_customers.c.id, "ids"))
)
PRODUCT_NAMES = Statement(
    select(_products.c.id, _products.c.name).where(among(_products.c.id, "ids"))
)
# One statement, and one row: a round trip to Postgres less for every upload, and SQLite finds all
# of it while another thread works, instead of asking for the interpreter after every row.
ACTIVE = Statement(
    select(
        gathered(
            _customers.c.id,
            table=_customers,
            belonging=and_(
                among(_customers.c.id, "customer_ids"), _customers.c.is_active == true()
            ),
        ),
        gathered(
            _products.c.id,
            _products.c.price,
            _products.c.tax_percentage,
            table=_products,
            belonging=and_(among(_products.c.id, "product_ids"), _products.c.is_active == true()),
        ),
    )
)


_TABLES: Mapping[CatalogKind, Table] = {"customers": _customers, "products": _products}


@cache
def _upsert(kind: CatalogKind, columns: frozenset[str] | None) -> Statement:
    table = _TABLES[kind]
    names = [column.name for column in table.columns]
    insert = upsert(table).values({name: bindparam(name) for name in names})
    renewed = {
        name: getattr(insert.excluded, name)
        for name in names
        if name != "id" and (columns is None or name in columns)
    }
    return Statement(insert.on_conflict_do_update(index_elements=["id"], set_=renewed))


DEACTIVATE_MISSING = {
    kind: Statement(
        update(table)
        .where(~table.c.id.in_(select(table.c.id).where(among(table.c.id, "ids"))))
        .where(table.c.is_active == true())
        .values(is_active=bindparam("inactive"))
    )
    for kind, table in _TABLES.items()
}
LISTS = {
    kind: Statement(select(table).order_by(table.c.id).limit(bindparam("limit", type_=Integer)))
    for kind, table in _TABLES.items()
}
COUNTS = {
    kind: Statement(select(func.count()).select_from(table)) for kind, table in _TABLES.items()
}


def storable(ids: Iterable[int]) -> set[int]:
    """Return those of these ids that a row can have: 64 bits."""
    return {each for each in ids if abs(each) <= MAX_STORED_ID}


async def active(
    session: Session, *, customer_ids: Collection[int], product_ids: Collection[int]
) -> tuple[frozenset[int], Mapping[int, Product]]:
    """Return which of these customers, and those of these products, that exist and are active."""
    customers, products = sorted(storable(customer_ids)), sorted(storable(product_ids))
    if not customers and not products:
        return frozenset(), {}
    [(active_customers, active_products)] = await session.fetch(
        ACTIVE, customer_ids=customers, product_ids=products
    )
    return (
        frozenset(row[0] for row in active_customers),
        {row[0]: Product(*row) for row in active_products if _is_sound(*row)},
    )


def _is_sound(product_id: int, price: object, tax_percentage: object) -> bool:
    # Damaged on disk, it is as good as missing, until an import brings it anew.
    return (price is None or type(price) is Decimal) and (
        tax_percentage is None or type(tax_percentage) is Decimal
    )


async def customer_names(session: Session, ids: Collection[int]) -> Mapping[int, str]:
    """Return the names of these customers, active or not."""
    rows = await session.fetch(CUSTOMER_NAMES, ids=sorted(storable(ids)))
    return dict(rows)


async def product_names(session: Session, ids: Collection[int]) -> Mapping[int, str]:
    """Return the names of these products, active or not."""
    rows = await session.fetch(PRODUCT_NAMES, ids=sorted(storable(ids)))
    return dict(rows)


async def import_rows(
    session: Session,
    kind: CatalogKind,
    rows: Sequence[CatalogRow],
    *,
    columns: frozenset[str] | None = None,
    deactivate_missing: bool,
) -> int:
    """Insert or update every row; return how many absent ones were made inactive.

    Of a row that is there, `columns` are updated, all of them for None.
    """
    await session.execute_many(_upsert(kind, columns), [_values(row) for row in rows])
    if not deactivate_missing:
        return 0
    ids = [row.id for row in rows]
    return await session.execute(DEACTIVATE_MISSING[kind], ids=ids, inactive=False)


def _values(row: CatalogRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}


async def list_rows(
    session: Session, kind: CatalogKind, *, limit: int
) -> tuple[list[CatalogRow], int]:
    """Return the first rows by id, and how many there are in all."""
    rows = await session.fetch(LISTS[kind], limit=limit)
    [(total,)] = await session.fetch(COUNTS[kind])
    make = CatalogCustomer if kind == "customers" else CatalogProduct
    return [make(*row) for row in rows], total

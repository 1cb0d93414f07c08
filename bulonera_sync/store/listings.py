"""What did not arrive: the unsynced sales, oldest first, a page at a time."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from sqlalchemy import ColumnElement, Integer, bindparam, func, literal_column, select, text

from bulonera_sync.sales import SYNC_STATUSES, Problem
from bulonera_sync.store.sale_rows import load_problems, mended
from bulonera_sync.store.schema import UNSYNCED, sales
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Row, Statement
from bulonera_sync.store.types import BigId


class PendingSale(NamedTuple):
    """A row of the pending listing (contract 4).

    `customer_said` is JSON text, an id or whatever was sent in its place, None where nothing was.
    """

    id: int
    number: str
    local_id: str
    user_id: int
    sync_status: str
    status: str
    payment_status: str
    fiscal_status: str
    version: int
    customer_said: str | None
    total: Decimal
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    is_dead: bool
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


# As the fields above, the customer of accepted sales last.
_COLUMNS = (
    *(sales.c[name] for name in PendingSale._fields),
    sales.c.customer_id,
)
_NAMES = tuple(column.name for column in _COLUMNS)
_CUSTOMER_SAID = PendingSale._fields.index("customer_said")
_BEFORE, _AFTER = slice(_CUSTOMER_SAID), slice(_CUSTOMER_SAID + 1, -3)


@cache
def _statements(sync_statuses: frozenset[str], *, of_one_user: bool) -> tuple[Statement, Statement]:
    # Spelt out: of a bound list each row that is counted would be looked up in it.
    words: list[ColumnElement[str]] = [
        literal_column(f"'{word}'") for word in SYNC_STATUSES if word in sync_statuses
    ]
    matches: list[ColumnElement[bool]] = [
        # As written in the index: with a bound value SQLite would not use it.
        text(UNSYNCED),  # type: ignore[list-item]
        sales.c.sync_status.in_(words),
    ]
    if of_one_user:
        matches.append(sales.c.user_id == bindparam("user_id", type_=BigId))
    count = select(func.count()).select_from(sales).where(*matches)
    page = (
        # Counted once a statement, not once a row.
        select(*_COLUMNS, count.correlate(None).scalar_subquery())
        .where(*matches, sales.c.id > bindparam("after_id", type_=BigId))
        .order_by(sales.c.id)
        .limit(bindparam("limit", type_=Integer))
    )
    return Statement(page), Statement(count)


async def list_pending(
    session: Session,
    *,
    sync_statuses: Collection[str],
    user_id: int | None,
    after_id: int,
    limit: int,
) -> tuple[Sequence[PendingSale], int]:
    """Return a page of unsynced sales, of one user or of all, and how many match in all.

    The first page is one statement: with `after_id` below 1, no id is left out.
    """
    page, count = _statements(frozenset(sync_statuses), of_one_user=user_id is not None)
    owner = {} if user_id is None else {"user_id": user_id}
    rows = await session.fetch(page, **owner, after_id=after_id, limit=limit)
    if rows:
        return [_pending(row) for row in rows], rows[0][-1]
    if after_id < 1:
        return [], 0
    [(total,)] = await session.fetch(count, **owner)
    return [], total


def _pending(counted: Row) -> PendingSale:
    row = mended(_NAMES, counted[:-1])
    problems, warnings, customer_id = row[-3:]
    said = row[_CUSTOMER_SAID] if customer_id is None else str(customer_id)
    reasons = load_problems(problems), load_problems(warnings)
    return PendingSale._make((*row[_BEFORE], said, *row[_AFTER], *reasons))

"""What did not arrive: the unsynced sales, oldest first, a page at a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache

from sqlalchemy import ColumnElement, Integer, bindparam, func, select, text

from bulonera_sync.sales import Problem
from bulonera_sync.store.dialect import among
from bulonera_sync.store.sale_rows import load_problems
from bulonera_sync.store.schema import UNSYNCED, sales
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Row, Statement
from bulonera_sync.store.types import BigId


@dataclass(frozen=True, slots=True)
class PendingSale:
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


_COLUMNS = (
    sales.c.id,
    sales.c.number,
    sales.c.local_id,
    sales.c.user_id,
    sales.c.sync_status,
    sales.c.status,
    sales.c.payment_status,
    sales.c.fiscal_status,
    sales.c.version,
    sales.c.customer_said,
    sales.c.customer_id,
    sales.c.total,
    sales.c.created_at,
    sales.c.attempts,
    sales.c.next_attempt_at,
    sales.c.is_dead,
    sales.c.problems,
    sales.c.warnings,
)
_NAMES = tuple(each.name for each in _COLUMNS)


@cache
def _statements(*, of_one_user: bool) -> tuple[Statement, Statement]:
    matches: list[ColumnElement[bool]] = [
        # As written in the index: with a bound value SQLite would not use it.
        text(UNSYNCED),  # type: ignore[list-item]
        among(sales.c.sync_status, "sync_statuses"),
    ]
    if of_one_user:
        matches.append(sales.c.user_id == bindparam("user_id", type_=BigId))
    page = (
        select(*_COLUMNS)
        .where(*matches, sales.c.id > bindparam("after_id", type_=BigId))
        .order_by(sales.c.id)
        .limit(bindparam("limit", type_=Integer))
    )
    return Statement(page), Statement(select(func.count()).select_from(sales).where(*matches))


async def list_pending(
    session: Session,
    *,
    sync_statuses: Collection[str],
    user_id: int | None,
    after_id: int,
    limit: int,
) -> tuple[Sequence[PendingSale], int]:
    """Return a page of unsynced sales, of one user or of all, and how many match in all."""
    page, count = _statements(of_one_user=user_id is not None)
    matching = {"sync_statuses": sorted(sync_statuses)}
    owner = {} if user_id is None else {"user_id": user_id}
    rows = await session.fetch(page, **matching, **owner, after_id=after_id, limit=limit)
    [(total,)] = await session.fetch(count, **matching, **owner)
    return [_pending(row) for row in rows], total


def _pending(row: Row) -> PendingSale:
    facts = dict(zip(_NAMES, row, strict=True))
    customer_id = facts.pop("customer_id")
    if customer_id is not None:
        facts["customer_said"] = str(customer_id)
    for name in ("problems", "warnings"):
        facts[name] = load_problems(facts[name])
    return PendingSale(**facts)

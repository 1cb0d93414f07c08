"""What no local_id names, as rows for support."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, Select, bindparam, func, select

from bulonera_sync.sales import Problem
from bulonera_sync.store import schema
from bulonera_sync.store.sale_rows import load_problems
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Row, Statement
from bulonera_sync.store.types import BigId

_quarantine = schema.quarantine
_users = schema.users


@dataclass(frozen=True, slots=True)
class QuarantinedSale:
    """A sale in quarantine: what was sent, word for word, why it was refused and how often."""

    id: int
    username: str
    payload: str
    problems: tuple[Problem, ...]
    received_at: datetime
    last_received_at: datetime
    times: int


_SELECT: Select[tuple[object, ...]] = select(
    _quarantine.c.id,
    _users.c.username,
    _quarantine.c.payload,
    _quarantine.c.problems,
    _quarantine.c.received_at,
    _quarantine.c.last_received_at,
    _quarantine.c.times,
).join(_users, _quarantine.c.user_id == _users.c.id)

LIST = Statement(_SELECT.order_by(_quarantine.c.id.desc()).limit(bindparam("limit", type_=Integer)))
COUNT = Statement(select(func.count()).select_from(_quarantine))
ONE = Statement(_SELECT.where(_quarantine.c.id == bindparam("id", type_=BigId)))


async def list_quarantine(session: Session, *, limit: int) -> tuple[Sequence[QuarantinedSale], int]:
    """Return the latest in quarantine, newest first, and how many there are in all."""
    rows = await session.fetch(LIST, limit=limit)
    [(total,)] = await session.fetch(COUNT)
    return [_quarantined(*row) for row in rows], total


async def find_quarantined(session: Session, quarantine_id: int) -> QuarantinedSale | None:
    rows: list[Row] = await session.fetch(ONE, id=quarantine_id)
    return _quarantined(*rows[0]) if rows else None


def _quarantined(
    quarantine_id: int,
    username: str,
    payload: str,
    problems: str,
    received_at: datetime,
    last_received_at: datetime,
    times: int,
) -> QuarantinedSale:
    return QuarantinedSale(
        quarantine_id,
        username,
        payload,
        load_problems(problems),
        received_at,
        last_received_at,
        times,
    )

"""A sale's history as rows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select

from bulonera_sync.store import schema
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Statement
from bulonera_sync.store.types import BigId

_events = schema.events
_users = schema.users


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One change of a sale; `username` is None for the scheduler and the command line."""

    at: datetime
    kind: str
    actor: str
    username: str | None
    from_version: int | None
    to_version: int | None
    detail: Mapping[str, object]


HISTORY = Statement(
    select(
        _events.c.at,
        _events.c.kind,
        _events.c.actor,
        _users.c.username,
        _events.c.from_version,
        _events.c.to_version,
        _events.c.detail,
    )
    .outerjoin(_users, _events.c.user_id == _users.c.id)
    .where(_events.c.sale_id == bindparam("sale_id", type_=BigId))
    .order_by(_events.c.id)
)


async def history_of(session: Session, sale_id: int) -> list[HistoryEntry]:
    """Return a sale's changes, oldest first."""
    rows = await session.fetch(HISTORY, sale_id=sale_id)
    return [_entry(*row) for row in rows]


def _entry(at: datetime, kind: str, actor: str, username: str | None, *rest: Any) -> HistoryEntry:
    from_version, to_version, detail = rest
    return HistoryEntry(at, kind, actor, username, from_version, to_version, json.loads(detail))

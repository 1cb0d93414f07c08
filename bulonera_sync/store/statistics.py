"""How it stands, in few and cheap queries: nothing here reads all sales."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select, text, true

from bulonera_sync.store import schema
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Statement
from bulonera_sync.store.types import UtcTime

LATELY = timedelta(days=7)

_sales = schema.sales
_UNSYNCED = text(schema.UNSYNCED)

# Before a counter's name: how many of it nobody has, and nobody will; see `backups`.
SKIPPED = "skipped "


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of the store; `sales` counts by sync_status.

    Nothing leaves the quarantine: `quarantined_lately` counts what came, or came again, within a
    week, and is what somebody should still look at.
    """

    sales: Mapping[str, int]
    oldest_unsynced: datetime | None
    due: int
    dead: int
    quarantined: int
    quarantined_lately: int
    last_uploads: Mapping[str, datetime | None]


UNSYNCED = Statement(
    select(_sales.c.sync_status, func.count()).where(_UNSYNCED).group_by(_sales.c.sync_status)
)
# Ids are given out without a gap and no sale is ever removed: the last one is the count, but for
# those that a restored backup left unused.
LAST_ID = Statement(select(schema.counters.c.value).where(schema.counters.c.name == "sale id"))
SKIPPED_IDS = Statement(
    select(schema.counters.c.value).where(schema.counters.c.name == f"{SKIPPED}sale id")
)
OLDEST = Statement(select(_sales.c.created_at).where(_UNSYNCED).order_by(_sales.c.id).limit(1))
DUE = Statement(
    select(func.count())
    .select_from(_sales)
    .where(text(schema.DUE), _sales.c.next_attempt_at <= bindparam("now", type_=UtcTime()))
)
DEAD = Statement(
    select(func.count()).select_from(_sales).where(_UNSYNCED, _sales.c.is_dead == true())
)
QUARANTINED = Statement(select(func.count()).select_from(schema.quarantine))
QUARANTINED_SINCE = Statement(
    select(func.count())
    .select_from(schema.quarantine)
    .where(schema.quarantine.c.last_received_at >= bindparam("since", type_=UtcTime()))
)
LAST_UPLOADS = Statement(
    select(schema.users.c.username, schema.users.c.last_upload_at).order_by(schema.users.c.id)
)


async def standing(session: Session, *, now: datetime) -> Standing:
    """Return how it stands now."""
    unsynced: dict[str, int] = dict(await session.fetch(UNSYNCED))
    last, skipped = await session.fetch(LAST_ID), await session.fetch(SKIPPED_IDS)
    total = sum(value for (value,) in last) - sum(value for (value,) in skipped)
    oldest = await session.fetch(OLDEST)
    counts = {status: unsynced.get(status, 0) for status in ("pending", "error", "conflict")}
    return Standing(
        sales={"synced": total - sum(counts.values()), **counts},
        oldest_unsynced=oldest[0][0] if oldest else None,
        due=(await session.fetch(DUE, now=now))[0][0],
        dead=(await session.fetch(DEAD))[0][0],
        quarantined=(await session.fetch(QUARANTINED))[0][0],
        quarantined_lately=(await session.fetch(QUARANTINED_SINCE, since=now - LATELY))[0][0],
        last_uploads=dict(await session.fetch(LAST_UPLOADS)),
    )

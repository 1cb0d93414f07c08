"""Trying again: on request, and when it is due. The same rules judge as at the upload."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bulonera_sync.bodies import parse_kept
from bulonera_sync.changes import Change, Circumstances, queue
from bulonera_sync.damage import SENTENCE, as_told
from bulonera_sync.gateway.uploads import Submission
from bulonera_sync.retries import RetryPolicy
from bulonera_sync.sales import Actor, Sale, User
from bulonera_sync.store import sales
from bulonera_sync.store.sessions import Session
from bulonera_sync.uploads import SaleUpload, read_sale

logger = logging.getLogger("bulonera_sync")

SCHEDULER = Actor("scheduler")

# One transaction's worth, short enough for an upload to wait behind.
BATCH = 20

RetryStatus = Literal["queued", "not_found", "already_synced", "conflict", "damaged"]


@dataclass(frozen=True, slots=True)
class RetryResult:
    """What became of one sale that somebody asked to retry; `key` is as it was asked for."""

    key: int | str
    status: RetryStatus
    sale: Sale | None


async def queue_all(
    session: Session, user: User, keys: Sequence[int | str], at: Circumstances
) -> list[RetryResult]:
    """Queue those of these sales that are held; return a result a key, in order."""
    ids = [key for key in keys if isinstance(key, int)]
    local_ids = [key for key in keys if isinstance(key, str)]
    by_id = await sales.find_by_ids(session, ids)
    by_local_id = await sales.find_by_local_ids(session, local_ids)
    found: list[tuple[int | str, Sale]] = [*by_id.items(), *by_local_id.items()]
    mine = {key: sale for key, sale in found if user.may_see(sale)}
    changes = {sale.id: queue(sale, at) for sale in mine.values() if sale.is_held}
    await sales.save(session, [change for change in changes.values() if change is not None])
    return [_result(key, mine.get(key), changes) for key in keys]


def _result(key: int | str, sale: Sale | None, changes: Mapping[int, Change | None]) -> RetryResult:
    if sale is None:
        return RetryResult(key, "not_found", None)
    if sale.is_damaged and not sale.is_held:
        return RetryResult(key, "damaged", as_told(sale))
    if sale.is_held:
        change = changes[sale.id]
        return RetryResult(key, "queued", change.after if change else sale)
    return RetryResult(
        key, "conflict" if sale.sync_status == "conflict" else "already_synced", sale
    )


def _kept_upload(sale: Sale, index: int, max_items: int) -> SaleUpload:
    assert sale.payload is not None
    kept = parse_kept(sale.payload)
    return read_sale(kept, index=index, max_items=max_items, text=sale.payload)


async def claim(
    session: Session,
    *,
    now: datetime,
    policy: RetryPolicy,
    chance: Callable[[], float],
    max_items: int,
) -> list[Submission]:
    """Return what is due, each sale as its owner's submission of what it was kept with.

    What is damaged is set aside: nobody knows any more what it said.
    """
    claimed = await sales.claim_due(session, now=now, limit=BATCH)
    due = [sale for sale in claimed if not sale.is_damaged]
    if len(due) < len(claimed):
        damaged = [sale for sale in claimed if sale.is_damaged]
        await sales.set_aside(session, damaged)
        for sale in damaged:
            logger.error(SENTENCE, extra={"sale_id": sale.id, "sale_number": sale.number})
    return [
        Submission(
            _kept_upload(sale, index, max_items),
            sale.user_id,
            # A chance for each: what failed together must not come back together.
            Circumstances(SCHEDULER, now, policy, chance(), sale.retry_cause or "schedule"),
        )
        for index, sale in enumerate(due)
    ]

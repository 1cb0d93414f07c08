"""Sales as rows: looked up by set, written by set, whatever a batch holds."""

from collections.abc import Collection, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Integer, bindparam, delete, select, text, update

from bulonera_sync.changes import Change, NewId, Quarantined
from bulonera_sync.damage import STORED_DAMAGED
from bulonera_sync.sales import (
    Sale,
)
from bulonera_sync.store import schema
from bulonera_sync.store.catalog import storable
from bulonera_sync.store.dialect import among, gathered, upsert
from bulonera_sync.store.sale_rows import (
    FIXED,
    NAMES,
    copy_record,
    dump_problems,
    event_record,
    item_records,
    record_of,
    sale_of,
    update_of,
)
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Insert, Row, Statement
from bulonera_sync.store.types import BigId, UtcTime

_sales = schema.sales

_items = schema.sale_items

_counters = schema.counters

_ID_COUNTER = "sale id"

_SALE_COLUMNS = tuple(column for column in _sales.columns)

# A sale with its items, in one statement: those of one whose row is its own at the same moment.
_WHOLE_SALE = (
    *_SALE_COLUMNS,
    gathered(
        *(column for column in _items.columns if column.name not in {"sale_id", "line"}),
        table=_items,
        belonging=_items.c.sale_id == _sales.c.id,
        in_order_of=_items.c.line,
    ),
)

BY_LOCAL_ID = Statement(select(*_WHOLE_SALE).where(among(_sales.c.local_id, "local_ids")))

BY_ID = Statement(select(*_WHOLE_SALE).where(among(_sales.c.id, "ids")))

# A range, since under most collations LIKE is not answered from the index.
BY_NUMBERS_BEGINNING = Statement(
    select(_sales.c.number, _sales.c.sync_status)
    .where(_sales.c.number >= bindparam("beginning"), _sales.c.number <= bindparam("end"))
    .order_by(_sales.c.number.desc())
    .limit(bindparam("limit", type_=Integer))
)


def _one_by(column: ColumnElement[Any]) -> Statement:
    # One key, not a list of one: Postgres would plan such a statement anew each time it is run.
    return Statement(select(*_WHOLE_SALE).where(column == bindparam("key")))


ONE_BY_ID = _one_by(_sales.c.id)
ONE_BY_LOCAL_ID = _one_by(_sales.c.local_id)
ONE_BY_NUMBER = _one_by(_sales.c.number)

# Both in one statement: a round trip to Postgres less for every upload.
_TAKING = upsert(_counters).values(
    [
        {"name": _ID_COUNTER, "value": bindparam("step", type_=BigId)},
        {"name": bindparam("number_counter"), "value": bindparam("step", type_=BigId)},
    ]
)
TAKE = Statement(
    _TAKING.on_conflict_do_update(
        index_elements=["name"],
        set_={"value": _counters.c.value + _TAKING.excluded.value},
    ).returning(_counters.c.name, _counters.c.value)
)

INSERT_SALE = Insert(_sales)

UPDATE_SALE = Statement(
    update(_sales)
    .where(_sales.c.id == bindparam("sale_id", type_=BigId))
    .values({name: bindparam(name) for name in NAMES if name not in FIXED})
)

INSERT_ITEM = Insert(_items)

INSERT_COPY = Insert(schema.copies, without="id")

INSERT_EVENT = Insert(schema.events, without="id")

INSERT_WAIT = Insert(schema.waits)

_DUE = (
    select(_sales.c.id)
    .where(
        # As written in the index, which SQLite would not use otherwise.
        text(schema.DUE),
        _sales.c.next_attempt_at <= bindparam("now", type_=UtcTime()),
    )
    .order_by(_sales.c.next_attempt_at)
)

ANY_DUE = Statement(_DUE.limit(1))
# What somebody asked for goes before what the schedule and imports have due.
REQUESTED = Statement(
    select(_sales.c.id)
    .where(
        text(schema.QUEUED),
        _sales.c.next_attempt_at <= bindparam("now", type_=UtcTime()),
    )
    .order_by(_sales.c.next_attempt_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
)

DUE = Statement(_DUE.limit(bindparam("limit", type_=Integer)).with_for_update(skip_locked=True))

# By the index of what they wait for: an import costs the sales it heals.
HEAL = Statement(
    update(_sales)
    .where(
        _sales.c.id.in_(
            select(schema.waits.c.sale_id).where(
                schema.waits.c.kind == bindparam("kind"),
                among(schema.waits.c.missing_id, "ids"),
            )
        ),
        _sales.c.sync_status == "error",
    )
    .values(
        next_attempt_at=bindparam("now", type_=UtcTime()),
        retry_cause=bindparam("cause"),
        automatic_attempts=bindparam("attempts"),
        is_dead=bindparam("is_dead"),
    )
)

# Its own payload can't be judged: only an upload can say again what it was.
SET_ASIDE = Statement(
    update(_sales)
    .where(among(_sales.c.id, "ids"))
    .values(
        sync_status="error",
        problems=bindparam("problems"),
        next_attempt_at=bindparam("never", type_=UtcTime()),
        retry_cause=bindparam("cause"),
        is_dead=bindparam("is_dead"),
    )
)

DELETE_ITEMS = Statement(delete(_items).where(among(_items.c.sale_id, "ids")))

DELETE_WAITS = Statement(delete(schema.waits).where(among(schema.waits.c.sale_id, "ids")))

QUARANTINE = Statement(
    upsert(schema.quarantine)
    .values(
        {
            column.name: bindparam(column.name)
            for column in schema.quarantine.columns
            if column.name != "id"
        }
    )
    .on_conflict_do_update(
        index_elements=["user_id", "digest"],
        set_={
            "times": schema.quarantine.c.times + 1,
            "last_received_at": bindparam("last_received_at", type_=UtcTime()),
        },
    )
)


async def find_by_local_ids(session: Session, local_ids: Collection[str]) -> dict[str, Sale]:
    """Return the sales under these local_ids, whosever they are, by local_id."""
    if not local_ids:
        return {}
    rows = await session.fetch(BY_LOCAL_ID, local_ids=sorted(set(local_ids)))
    return {sale.local_id: sale for sale in map(_sale, rows)}


async def find_by_ids(session: Session, ids: Collection[int]) -> dict[int, Sale]:
    """Return the sales under these ids, whosever they are, by id."""
    wanted = sorted(storable(ids))
    if not wanted:
        return {}
    return {sale.id: sale for sale in map(_sale, await session.fetch(BY_ID, ids=wanted))}


async def numbers_beginning(
    session: Session, beginning: str, *, limit: int
) -> list[tuple[str, str]]:
    """Return the last numbers that begin so, each with its sale's sync_status."""
    # Whatever the collation, nothing that a number goes on with comes after this.
    end = f"{beginning}zz"
    rows = await session.fetch(BY_NUMBERS_BEGINNING, beginning=beginning, end=end, limit=limit)
    # Some collations pass over hyphens, and have others in this range.
    return [(number, status) for number, status in rows if number.startswith(beginning)]


async def find_one(session: Session, key: int | str) -> Sale | None:
    """Return the sale of this id, local_id or number, whosever it is, or None."""
    if isinstance(key, int):
        return await _first(session, ONE_BY_ID, key) if storable([key]) else None
    found = await _first(session, ONE_BY_LOCAL_ID, key)
    return found if found is not None else await _first(session, ONE_BY_NUMBER, key)


async def _first(session: Session, statement: Statement, key: int | str) -> Sale | None:
    return next(map(_sale, await session.fetch(statement, key=key)), None)


def _sale(row: Row) -> Sale:
    *values, lines = row
    return sale_of(values, lines)


async def take_ids(session: Session, count: int, *, prefix: str, year: int) -> list[NewId]:
    """Set aside `count` ids and numbers in this transaction; none is ever given out twice."""
    if not count:
        return []
    number_counter = f"number {year}"
    taken: dict[str, int] = dict(
        await session.fetch(TAKE, number_counter=number_counter, step=count)
    )
    last_id, last = taken[_ID_COUNTER], taken[number_counter]
    return [
        NewId(last_id - back, f"{prefix}-{year:04d}-{last - back:05d}")
        for back in reversed(range(count))
    ]


async def save(session: Session, changes: Sequence[Change]) -> None:
    """Write all changes, a statement per table; no sale may be in it twice."""
    new = [change for change in changes if change.before is None]
    known = [change for change in changes if change.before and change.before != change.after]
    await session.insert(INSERT_SALE, [record_of(change.after) for change in new])
    await session.execute_many(UPDATE_SALE, [update_of(change.after) for change in known])
    await _save_items(session, changes)
    await _save_waits(session, changes)
    await session.insert(INSERT_COPY, [copy_record(c, copy) for c in changes for copy in c.copies])
    await session.insert(
        INSERT_EVENT, [event_record(c, each) for c in changes for each in c.events]
    )


async def _save_items(session: Session, changes: Sequence[Change]) -> None:
    renewed = [change for change in changes if change.has_new_content]
    outdated = [c.after.id for c in renewed if c.before and c.before.content]
    if outdated:
        await session.execute(DELETE_ITEMS, ids=outdated)
    rows = [record for change in renewed for record in item_records(change.after)]
    await session.insert(INSERT_ITEM, rows)


async def _save_waits(session: Session, changes: Sequence[Change]) -> None:
    waited = [c.after.id for c in changes if c.before and c.waits_for is not None]
    if waited:
        await session.execute(DELETE_WAITS, ids=waited)
    await session.insert(
        INSERT_WAIT,
        [
            (missing.kind, missing.id, change.after.id)
            for change in changes
            for missing in change.waits_for or ()
            # No row can ever have a larger id: there is nothing to wait for.
            if storable([missing.id])
        ],
    )


async def put_in_quarantine(session: Session, kept: Sequence[Quarantined]) -> None:
    """Keep what no local_id names; the same words of the same user are counted, not kept again."""
    await session.execute_many(
        QUARANTINE,
        [
            {
                "user_id": each.user_id,
                "digest": sha256(each.payload.encode()).hexdigest(),
                "payload": each.payload,
                "problems": dump_problems(each.problems),
                "received_at": each.at,
                "last_received_at": each.at,
                "times": 1,
            }
            for each in kept
        ],
    )


async def is_any_due(session: Session, *, now: datetime) -> bool:
    """Say whether a held sale's next attempt is due."""
    return bool(await session.fetch(ANY_DUE, now=now))


async def claim_due(session: Session, *, now: datetime, limit: int) -> list[Sale]:
    """Return held sales whose next attempt is due: the requested ones, then the longest overdue.

    They are this transaction's until it ends: no other gateway takes the same ones.
    """
    requested = await session.fetch(REQUESTED, now=now, limit=limit)
    overdue = await session.fetch(DUE, now=now, limit=limit)
    ids = list(dict.fromkeys(sale_id for (sale_id,) in (*requested, *overdue)))[:limit]
    found = await find_by_ids(session, ids) if ids else {}
    return [found[sale_id] for sale_id in ids]


async def set_aside(session: Session, damaged: Collection[Sale]) -> None:
    """Let damaged held sales rest in error, dead, for a person to see."""
    ids = sorted(sale.id for sale in damaged)
    problems = dump_problems([STORED_DAMAGED])
    await session.execute(
        SET_ASIDE, ids=ids, problems=problems, never=None, cause=None, is_dead=True
    )


async def heal(session: Session, kind: str, ids: Collection[int], *, now: datetime) -> int:
    """Make the sales that wait for any of these ids due at once; return how many."""
    return await session.execute(
        HEAL, kind=kind, ids=sorted(ids), now=now, cause="import", attempts=0, is_dead=False
    )

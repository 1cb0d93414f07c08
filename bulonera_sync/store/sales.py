"""Sales as rows: looked up by set, written by set, whatever a batch holds."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from sqlalchemy import Integer, bindparam, delete, func, insert, or_, select, text, update

from bulonera_sync.changes import Change, NewId, Quarantined
from bulonera_sync.sales import (
    SERVER_COPIES,
    Content,
    Copy,
    Fingerprints,
    Item,
    Parked,
    Problem,
    Sale,
)
from bulonera_sync.store import schema
from bulonera_sync.store.catalog import storable
from bulonera_sync.store.dialect import among, upsert
from bulonera_sync.store.sessions import Session
from bulonera_sync.store.statements import Row, Statement
from bulonera_sync.store.types import BigId, UtcTime

_sales = schema.sales
_items = schema.sale_items
_copies = schema.copies
_counters = schema.counters

_ID_COUNTER = "sale id"

_SALE_COLUMNS = tuple(column for column in _sales.columns)
_NAMES = tuple(column.name for column in _SALE_COLUMNS)
# What never changes after the first receipt.
_FIXED = frozenset({"id", "number", "local_id", "user_id", "created_at"})


def _insert_into(table: Any, *, without: str = "") -> Statement:
    names = [column.name for column in table.columns if column.name != without]
    return Statement(insert(table).values({name: bindparam(name) for name in names}))


BY_LOCAL_ID = Statement(select(*_SALE_COLUMNS).where(among(_sales.c.local_id, "local_ids")))
BY_ID = Statement(select(*_SALE_COLUMNS).where(among(_sales.c.id, "ids")))
BY_NUMBER = Statement(select(*_SALE_COLUMNS).where(_sales.c.number == bindparam("number")))
ITEMS = Statement(
    select(_items).where(among(_items.c.sale_id, "ids")).order_by(_items.c.sale_id, _items.c.line)
)

_COPY_COLUMNS = (
    _copies.c.sale_id,
    _copies.c.kind,
    _copies.c.fingerprint,
    _copies.c.said_fingerprint,
    _copies.c.version,
    _copies.c.text,
)
# Two statements rather than one OR: each is answered by its own index.
COPIES_BY_CONTENT = Statement(
    select(*_COPY_COLUMNS).where(
        among(_copies.c.sale_id, "ids"), among(_copies.c.fingerprint, "fingerprints")
    )
)
COPIES_AS_SAID = Statement(
    select(*_COPY_COLUMNS).where(
        among(_copies.c.sale_id, "ids"), among(_copies.c.said_fingerprint, "fingerprints")
    )
)
BASES = Statement(
    select(_copies.c.sale_id, _copies.c.version, _copies.c.text).where(
        among(_copies.c.sale_id, "ids"),
        or_(*(_copies.c.kind == kind for kind in sorted(SERVER_COPIES))),
        among(_copies.c.version, "versions"),
    )
)
FOREIGN_COPIES = Statement(
    select(_copies.c.sale_id, func.count())
    .where(among(_copies.c.sale_id, "ids"), _copies.c.kind == "foreign")
    .group_by(_copies.c.sale_id)
)
TAKE = Statement(
    upsert(_counters)
    .values(name=bindparam("name"), value=bindparam("step", type_=BigId))
    .on_conflict_do_update(
        index_elements=["name"],
        set_={"value": _counters.c.value + bindparam("step", type_=BigId)},
    )
    .returning(_counters.c.value)
)
INSERT_SALE = _insert_into(_sales)
UPDATE_SALE = Statement(
    update(_sales)
    .where(_sales.c.id == bindparam("sale_id", type_=BigId))
    .values({name: bindparam(name) for name in _NAMES if name not in _FIXED})
)
INSERT_ITEM = _insert_into(_items)
INSERT_COPY = _insert_into(_copies, without="id")
INSERT_EVENT = _insert_into(schema.events, without="id")
INSERT_WAIT = _insert_into(schema.waits)
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
    rows = await session.fetch(BY_LOCAL_ID, local_ids=sorted(set(local_ids)))
    return {sale.local_id: sale for sale in await _with_items(session, rows)}


async def find_by_ids(session: Session, ids: Collection[int]) -> dict[int, Sale]:
    """Return the sales under these ids, whosever they are, by id."""
    rows = await session.fetch(BY_ID, ids=sorted(storable(ids)))
    return {sale.id: sale for sale in await _with_items(session, rows)}


async def find_one(session: Session, key: int | str) -> Sale | None:
    """Return the sale of this id, local_id or number, whosever it is, or None."""
    if isinstance(key, int):
        return (await find_by_ids(session, [key])).get(key)
    found = (await find_by_local_ids(session, [key])).get(key)
    if found is not None:
        return found
    rows = await session.fetch(BY_NUMBER, number=key)
    return next(iter(await _with_items(session, rows)), None)


async def _with_items(session: Session, rows: Sequence[Row]) -> list[Sale]:
    """Make sales of rows, each accepted one with its content: one more query for all."""
    records = [dict(zip(_NAMES, row, strict=True)) for row in rows]
    accepted = [record["id"] for record in records if not _held(record)]
    items: defaultdict[int, list[Item]] = defaultdict(list)
    for sale_id, _line, *values in await session.fetch(ITEMS, ids=accepted) if accepted else ():
        items[sale_id].append(Item(*values))
    return [_sale(record, items.get(record["id"], ())) for record in records]


def _held(record: Mapping[str, Any]) -> bool:
    return record["sync_status"] in ("error", "pending")


async def copies_of(
    session: Session, prints: Mapping[int, Fingerprints]
) -> Mapping[int, tuple[Copy, ...]]:
    """Return, by sale id, the kept copies that these prints match."""
    if not prints:
        return {}
    ids = sorted(prints)
    contents = [each.content for each in prints.values() if each.content]
    rows = {
        *await session.fetch(COPIES_BY_CONTENT, ids=ids, fingerprints=contents),
        *await session.fetch(
            COPIES_AS_SAID, ids=ids, fingerprints=[each.said for each in prints.values()]
        ),
    }
    found: defaultdict[int, list[Copy]] = defaultdict(list)
    for sale_id, kind, fingerprint, said, version, kept in rows:
        copy = Copy(kind, Fingerprints(said, fingerprint), version, kept)
        if copy.fingerprints.match(prints[sale_id]):
            found[sale_id].append(copy)
    return {sale_id: tuple(copies) for sale_id, copies in found.items()}


async def bases_of(session: Session, versions: Mapping[int, int]) -> Mapping[int, Content]:
    """Return, by sale id, the server's content at the version given for it, where it is kept."""
    if not versions:
        return {}
    rows = await session.fetch(BASES, ids=sorted(versions), versions=sorted(set(versions.values())))
    return {
        sale_id: Content.from_document(json.loads(text))
        for sale_id, version, text in rows
        if versions[sale_id] == version
    }


async def count_foreign_copies(session: Session, ids: Collection[int]) -> Mapping[int, int]:
    """Return how many other users' payloads are kept with each of these sales."""
    if not ids:
        return {}
    return dict(await session.fetch(FOREIGN_COPIES, ids=sorted(ids)))


async def take_ids(session: Session, count: int, *, prefix: str, year: int) -> list[NewId]:
    """Set aside `count` ids and numbers in this transaction; none is ever given out twice."""
    if not count:
        return []
    [(last_id,)] = await session.fetch(TAKE, name=_ID_COUNTER, step=count)
    [(last,)] = await session.fetch(TAKE, name=f"number {year}", step=count)
    return [
        NewId(last_id - back, f"{prefix}-{year:04d}-{last - back:05d}")
        for back in reversed(range(count))
    ]


async def save(session: Session, changes: Sequence[Change]) -> None:
    """Write all changes, a statement per table; no sale may be in it twice."""
    new = [change for change in changes if change.before is None]
    known = [change for change in changes if change.before and change.before != change.after]
    await session.execute_many(INSERT_SALE, [_record(change.after) for change in new])
    await session.execute_many(UPDATE_SALE, [_update(change.after) for change in known])
    await _save_items(session, changes)
    await _save_waits(session, changes)
    await session.execute_many(
        INSERT_COPY, [_copy_record(c, copy) for c in changes for copy in c.copies]
    )
    await session.execute_many(
        INSERT_EVENT, [_event_record(c, place) for c in changes for place in range(len(c.events))]
    )


async def _save_items(session: Session, changes: Sequence[Change]) -> None:
    renewed = [change for change in changes if change.has_new_content]
    outdated = [c.after.id for c in renewed if c.before and c.before.content]
    if outdated:
        await session.execute(DELETE_ITEMS, ids=outdated)
    rows = [row for change in renewed for row in _item_records(change.after)]
    await session.execute_many(INSERT_ITEM, rows)


async def _save_waits(session: Session, changes: Sequence[Change]) -> None:
    waited = [c.after.id for c in changes if c.before and c.waits_for is not None]
    if waited:
        await session.execute(DELETE_WAITS, ids=waited)
    await session.execute_many(
        INSERT_WAIT,
        [
            {"kind": missing.kind, "missing_id": missing.id, "sale_id": change.after.id}
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
                "problems": _dump_problems(each.problems),
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
    """Return the held sales whose next attempt is due, the longest overdue first.

    They are this transaction's until it ends: no other gateway takes the same ones.
    """
    ids = [sale_id for (sale_id,) in await session.fetch(DUE, now=now, limit=limit)]
    found = await find_by_ids(session, ids) if ids else {}
    return [found[sale_id] for sale_id in ids]


async def heal(session: Session, kind: str, ids: Collection[int], *, now: datetime) -> int:
    """Make the sales that wait for any of these ids due at once; return how many."""
    return await session.execute(
        HEAL, kind=kind, ids=sorted(ids), now=now, cause="import", attempts=0, is_dead=False
    )


def _record(sale: Sale) -> dict[str, Any]:
    content = sale.content
    return {
        "id": sale.id,
        "number": sale.number,
        "local_id": sale.local_id,
        "user_id": sale.user_id,
        "sync_status": sale.sync_status,
        "status": sale.status,
        "version": sale.version,
        "fingerprint": sale.fingerprints.content,
        "said_fingerprint": sale.fingerprints.said,
        "is_content_uploaded": sale.is_content_uploaded,
        "customer_id": content.customer_id if content else None,
        "customer_said": sale.customer_said,
        "notes": content.notes if content else "",
        "total": sale.total,
        "payment_status": sale.payment_status,
        "fiscal_status": sale.fiscal_status,
        "tax_defaults": _dump_defaults(sale.tax_defaults),
        "sold_at": sale.sold_at,
        "created_at": sale.created_at,
        "updated_at": sale.updated_at,
        "sync_succeeded_at": sale.sync_succeeded_at,
        "sync_last_attempt": sale.sync_last_attempt,
        "attempts": sale.attempts,
        "automatic_attempts": sale.automatic_attempts,
        "retry_cause": sale.retry_cause,
        "next_attempt_at": sale.next_attempt_at,
        "is_dead": sale.is_dead,
        "payload": sale.payload,
        "problems": _dump_problems(sale.problems),
        "parked": _dump_parked(sale.parked),
        "conflict_resolution": sale.conflict_resolution,
        "resolution_words": sale.resolution_words,
        "warnings": _dump_problems(sale.warnings),
    }


def _update(sale: Sale) -> dict[str, Any]:
    record = {name: value for name, value in _record(sale).items() if name not in _FIXED}
    return {**record, "sale_id": sale.id}


def _sale(record: Mapping[str, Any], items: Sequence[Item]) -> Sale:
    content = None
    if not _held(record):
        content = Content(record["customer_id"], record["status"], tuple(items), record["notes"])
    return Sale(
        id=record["id"],
        number=record["number"],
        local_id=record["local_id"],
        user_id=record["user_id"],
        sync_status=record["sync_status"],
        status=record["status"],
        version=record["version"],
        fingerprints=Fingerprints(record["said_fingerprint"], record["fingerprint"]),
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        content=content,
        is_content_uploaded=record["is_content_uploaded"],
        customer_said=record["customer_said"],
        total=record["total"],
        payment_status=record["payment_status"],
        fiscal_status=record["fiscal_status"],
        tax_defaults=_load_defaults(record["tax_defaults"]),
        sold_at=record["sold_at"],
        sync_succeeded_at=record["sync_succeeded_at"],
        sync_last_attempt=record["sync_last_attempt"],
        attempts=record["attempts"],
        automatic_attempts=record["automatic_attempts"],
        retry_cause=record["retry_cause"],
        next_attempt_at=record["next_attempt_at"],
        is_dead=record["is_dead"],
        payload=record["payload"],
        problems=load_problems(record["problems"]),
        parked=_load_parked(record["parked"]),
        conflict_resolution=record["conflict_resolution"],
        resolution_words=record["resolution_words"],
        warnings=load_problems(record["warnings"]),
    )


def _item_records(sale: Sale) -> Iterable[dict[str, Any]]:
    for line, item in enumerate(sale.content.items if sale.content else ()):
        yield {
            "sale_id": sale.id,
            "line": line,
            "product_id": item.product_id,
            "quantity": item.quantity,
            "unit_price": item.unit_price,
            "discount_type": item.discount_type,
            "discount_value": item.discount_value,
            "tax_percentage": item.tax_percentage,
        }


def _copy_record(change: Change, copy: Copy) -> dict[str, Any]:
    return {
        "sale_id": change.after.id,
        "kind": copy.kind,
        "fingerprint": copy.fingerprints.content,
        "said_fingerprint": copy.fingerprints.said,
        "version": copy.version,
        "text": copy.text,
        "created_at": change.events[0].at if change.events else change.after.updated_at,
    }


def _event_record(change: Change, place: int) -> dict[str, Any]:
    event = change.events[place]
    return {
        "sale_id": change.after.id,
        "at": event.at,
        "kind": event.kind,
        "actor": event.actor.kind,
        "user_id": event.actor.user_id,
        "from_version": event.from_version,
        "to_version": event.to_version,
        "detail": json.dumps(event.detail),
    }


def _dump_problems(problems: Sequence[Problem]) -> str | None:
    return json.dumps([asdict(problem) for problem in problems]) if problems else None


def load_problems(text: str | None) -> tuple[Problem, ...]:
    return tuple(Problem(**each) for each in json.loads(text)) if text else ()


def _dump_defaults(defaults: Mapping[int, Decimal]) -> str:
    return json.dumps({str(product_id): str(tax) for product_id, tax in defaults.items()})


def _load_defaults(text: str) -> Mapping[int, Decimal]:
    return {int(product_id): Decimal(tax) for product_id, tax in json.loads(text).items()}


def _dump_parked(parked: Parked | None) -> str | None:
    if parked is None:
        return None
    return json.dumps(
        {
            "content": parked.content.document(),
            "said": parked.fingerprints.said,
            "fingerprint": parked.fingerprints.content,
            "version": parked.version,
            "code": parked.code,
            "parked_at": parked.parked_at.isoformat(),
        }
    )


def _load_parked(text: str | None) -> Parked | None:
    if text is None:
        return None
    document = json.loads(text)
    return Parked(
        content=Content.from_document(document["content"]),
        fingerprints=Fingerprints(document["said"], document["fingerprint"]),
        version=document["version"],
        code=document["code"],
        parked_at=datetime.fromisoformat(document["parked_at"]),
    )

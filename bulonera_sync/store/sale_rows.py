"""A sale as a row of columns, and back: the JSON of its lists, what never changes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import Column, Integer

from bulonera_sync.changes import Change
from bulonera_sync.damage import STORED_DAMAGED, is_damaged
from bulonera_sync.money import ZERO
from bulonera_sync.sales import (
    Content,
    Copy,
    Event,
    Fingerprints,
    Item,
    Parked,
    Problem,
    Sale,
)
from bulonera_sync.store.schema import sales
from bulonera_sync.store.types import Amount, Flag, UtcTime

MAX_CACHED = 400

# A row's values, in the order of its table's columns.
Record = tuple[Any, ...]

NAMES = tuple(column.name for column in sales.columns)

# What never changes after the first receipt.
FIXED = frozenset({"id", "number", "local_id", "user_id", "created_at"})


def is_held(record: Mapping[str, Any]) -> bool:
    return record["sync_status"] in ("error", "pending")


def record_of(sale: Sale) -> Record:
    """Return the values of `schema.sales`' columns, in their order."""
    content = sale.content
    return (
        sale.id,
        sale.number,
        sale.local_id,
        sale.user_id,
        sale.sync_status,
        sale.status,
        sale.version,
        sale.fingerprints.content,
        sale.fingerprints.said,
        sale.is_content_uploaded,
        content.customer_id if content else None,
        sale.customer_said,
        content.notes if content else "",
        sale.total,
        sale.payment_status,
        sale.fiscal_status,
        _dump_defaults(sale.tax_defaults),
        sale.sold_at,
        sale.created_at,
        sale.updated_at,
        sale.sync_succeeded_at,
        sale.sync_last_attempt,
        sale.attempts,
        sale.automatic_attempts,
        sale.retry_cause,
        sale.next_attempt_at,
        sale.is_dead,
        sale.payload,
        dump_problems(sale.problems),
        _dump_parked(sale.parked),
        sale.conflict_resolution,
        sale.resolution_words,
        dump_problems(sale.warnings),
    )


def update_of(sale: Sale) -> dict[str, Any]:
    record = dict(zip(NAMES, record_of(sale), strict=True))
    return {name: value for name, value in record.items() if name not in FIXED} | {
        "sale_id": sale.id
    }


# The columns whose JSON can't be read any more once it is damaged, and what stands for each.
_READABLE = {"tax_defaults": "{}", "problems": None, "parked": None, "warnings": None}
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)

FIRST_VERSION = 1

# What stands for a value that is not even of its column's kind any more, where there must be one;
# a user's id is nobody's then.
_STAND_INS: Mapping[type, Any] = {
    datetime: datetime(1970, 1, 1, tzinfo=UTC),
    Decimal: ZERO,
    bool: False,
    int: 0,
    str: "",
}


def _kind_of(column: Column[Any]) -> type:
    if isinstance(column.type, UtcTime):
        return datetime
    if isinstance(column.type, Amount):
        return Decimal
    if isinstance(column.type, Flag):
        return bool
    return int if isinstance(column.type, Integer) else str


_KINDS = {column.name: (_kind_of(column), bool(column.nullable)) for column in sales.columns}


def mended(names: tuple[str, ...], values: Sequence[Any]) -> Sequence[Any]:
    """Return the values of these columns, each of its column's kind: the same unless damaged."""
    if _are_of_their_kinds(names, tuple(map(type, values))):
        return values
    return [
        value if _is_of_its_kind(name, type(value)) else _stand_in(name)
        for name, value in zip(names, values, strict=True)
    ]


# Rows have a handful of combinations of kinds: what is there and what is null.
@lru_cache(maxsize=1_024)
def _are_of_their_kinds(names: tuple[str, ...], kinds: tuple[type, ...]) -> bool:
    return all(map(_is_of_its_kind, names, kinds))


def _is_of_its_kind(name: str, found: type) -> bool:
    kind, is_nullable = _KINDS[name]
    return found is kind or (found is type(None) and is_nullable)


def _stand_in(name: str) -> Any:
    kind, is_nullable = _KINDS[name]
    if name == "version":
        return FIRST_VERSION
    return None if is_nullable else _STAND_INS[kind]


def sale_of(values: Sequence[Any], lines: Sequence[Sequence[Any]]) -> Sale:
    """Return the sale of a row and its items' rows, marked where it is not what was written.

    Never raises.
    """
    sound = mended(NAMES, values)
    record = dict(zip(NAMES, sound, strict=True))
    # A held sale has none; what damage left beside one is not its content.
    items = () if is_held(record) else [Item(*line) for line in lines]
    try:
        sale = _sale_of(record, items)
        is_sound = sound is values and not is_damaged(sale)
        return sale if is_sound else replace(sale, is_damaged=True)
    except _UNREADABLE:
        return replace(_sale_of({**record, **_READABLE}, ()), is_damaged=True)


def _sale_of(record: Mapping[str, Any], items: Sequence[Item]) -> Sale:
    content = None
    if not is_held(record):
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


def item_records(sale: Sale) -> Iterable[Record]:
    """Yield the values of `schema.sale_items`' columns, in their order, of each item."""
    for line, item in enumerate(sale.content.items if sale.content else ()):
        # An item's fields are the columns that are left, in their order.
        yield (sale.id, line, *item)


def copy_record(change: Change, copy: Copy) -> Record:
    """Return the values of `schema.copies`' columns but the id, in their order."""
    return (
        change.after.id,
        copy.kind,
        copy.fingerprints.content,
        copy.fingerprints.said,
        copy.version,
        copy.text,
        change.events[0].at if change.events else change.after.updated_at,
    )


def event_record(change: Change, event: Event) -> Record:
    """Return the values of `schema.events`' columns but the id, in their order."""
    return (
        change.after.id,
        event.at,
        event.kind,
        event.actor.kind,
        event.actor.user_id,
        event.from_version,
        event.to_version,
        _dump_detail(event.detail),
    )


def _dump_detail(detail: Mapping[str, object]) -> str:
    try:
        return to_json(detail).decode()
    except PydanticSerializationError:
        # A lone surrogate, as in a login that is no UTF-8.
        return json.dumps(detail)


def dump_problems(problems: Sequence[Problem]) -> str | None:
    return json.dumps([asdict(problem) for problem in problems]) if problems else None


def load_problems(text: str | None) -> tuple[Problem, ...]:
    """Return the problems of a column; one that can't be read any more is told as damage."""
    if not text:
        return ()
    return _load_common(text) if len(text) <= MAX_CACHED else _load(text)


def _load(text: str) -> tuple[Problem, ...]:
    try:
        return tuple(Problem(**each) for each in json.loads(text))
    except _UNREADABLE:
        return (STORED_DAMAGED,)


# Every till asks again and again for what is pending, with the same reasons.
_load_common = lru_cache(maxsize=2_048)(_load)


def load_copy(text: str, fingerprint: str | None) -> Content | None:
    """Return the content of a copy, or None where it is not what was written."""
    try:
        content = Content.from_document(json.loads(text))
        return content if content.fingerprint() == fingerprint else None
    except _UNREADABLE:
        return None


def _dump_defaults(defaults: Mapping[int, Decimal]) -> str:
    # By hand: json takes longer than the rest of the row.
    members = [f'"{product_id}": "{tax!s}"' for product_id, tax in defaults.items()]
    return "{" + ", ".join(members) + "}"


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

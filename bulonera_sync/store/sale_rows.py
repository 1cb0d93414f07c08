"""A sale as a row of columns, and back: the JSON of its lists, what never changes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from bulonera_sync.changes import Change
from bulonera_sync.damage import STORED_DAMAGED, is_damaged
from bulonera_sync.sales import (
    Content,
    Copy,
    Fingerprints,
    Item,
    Parked,
    Problem,
    Sale,
)

MAX_CACHED = 400

# What never changes after the first receipt.
FIXED = frozenset({"id", "number", "local_id", "user_id", "created_at"})


def is_held(record: Mapping[str, Any]) -> bool:
    return record["sync_status"] in ("error", "pending")


def record_of(sale: Sale) -> dict[str, Any]:
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
        "problems": dump_problems(sale.problems),
        "parked": _dump_parked(sale.parked),
        "conflict_resolution": sale.conflict_resolution,
        "resolution_words": sale.resolution_words,
        "warnings": dump_problems(sale.warnings),
    }


def update_of(sale: Sale) -> dict[str, Any]:
    record = {name: value for name, value in record_of(sale).items() if name not in FIXED}
    return {**record, "sale_id": sale.id}


# The columns whose JSON can't be read any more once it is damaged, and what stands for each.
_READABLE = {"tax_defaults": "{}", "problems": None, "parked": None, "warnings": None}
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


def sale_of(record: Mapping[str, Any], items: Sequence[Item]) -> Sale:
    """Return the sale of a row, marked where it is not what was written. Never raises."""
    try:
        sale = _sale_of(record, items)
        return replace(sale, is_damaged=True) if is_damaged(sale) else sale
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


def item_records(sale: Sale) -> Iterable[dict[str, Any]]:
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


def copy_record(change: Change, copy: Copy) -> dict[str, Any]:
    return {
        "sale_id": change.after.id,
        "kind": copy.kind,
        "fingerprint": copy.fingerprints.content,
        "said_fingerprint": copy.fingerprints.said,
        "version": copy.version,
        "text": copy.text,
        "created_at": change.events[0].at if change.events else change.after.updated_at,
    }


def event_record(change: Change, place: int) -> dict[str, Any]:
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

"""What leaves, as documents: the guide's names and forms, the same over HTTP and from a command."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, assert_never, cast

from bulonera_sync.bodies import parse_kept
from bulonera_sync.checks import is_curable
from bulonera_sync.conflicts import conflict_of
from bulonera_sync.gateway.forms import (
    AmountsForm,
    ConflictForm,
    ConflictResult,
    ErrorResult,
    LineForm,
    PendingRow,
    ProblemForm,
    ResolvedSale,
    RetryRow,
    SaleFields,
    SaleForm,
    StatusForm,
    SuccessResult,
    UnseenStatus,
    UploadResult,
)
from bulonera_sync.gateway.gateway import FoundSale
from bulonera_sync.gateway.retries import RetryResult
from bulonera_sync.money import Amounts, sum_amounts
from bulonera_sync.outcomes import ConflictFound, Failure, Outcome, Success
from bulonera_sync.sales import Item, Problem, Sale, differing_fields
from bulonera_sync.store.events import HistoryEntry
from bulonera_sync.store.listings import PendingSale
from bulonera_sync.times import time_text
from bulonera_sync.uploads import read_sale

Document = Mapping[str, Any]


def upload_result(outcome: Outcome) -> UploadResult:
    match outcome.verdict:
        case Success() as success:
            return _success(outcome, success)
        case Failure() as failure:
            return _failure(outcome, failure)
        case ConflictFound() as conflict:
            return _conflict(outcome, conflict)
        case _ as missing:
            assert_never(missing)


def _success(outcome: Outcome, success: Success) -> SuccessResult:
    assert outcome.sale_id is not None
    assert outcome.sale_number is not None
    result: SuccessResult = {
        "index": outcome.index,
        "local_id": outcome.local_id,
        "status": "success",
        "sale_id": outcome.sale_id,
        "sale_number": outcome.sale_number,
        "version": outcome.version,
        "message": success.message,
    }
    if success.content is not None:
        result["sale"] = success.content.document()
    if success.warnings:
        result["warnings"] = problem_list(success.warnings)
    return result


def _failure(outcome: Outcome, failure: Failure) -> ErrorResult:
    return {
        "index": outcome.index,
        "local_id": outcome.local_id,
        "status": "error",
        "error": failure.problems[0].message,
        "errors": problem_list(failure.problems),
        "code": failure.problems[0].code,
        "retryable": failure.is_retryable,
        "sale_id": outcome.sale_id,
        "sale_number": outcome.sale_number,
        "version": outcome.version,
        "message": None,
    }


def _conflict(outcome: Outcome, conflict: ConflictFound) -> ConflictResult:
    assert outcome.sale_id is not None
    assert outcome.sale_number is not None
    assert outcome.version is not None
    return {
        "index": outcome.index,
        "local_id": outcome.local_id,
        "status": "conflict",
        "sale_id": outcome.sale_id,
        "sale_number": outcome.sale_number,
        "version": outcome.version,
        "code": conflict.code,
        "message": conflict.message,
        "conflict_data": conflict_data(conflict),
    }


def conflict_data(conflict: ConflictFound) -> ConflictForm:
    return {
        "server_version": conflict.server_version,
        "client_version": conflict.client_version,
        "fields": list(differing_fields(conflict.server, conflict.client)),
        "server": conflict.server.document(),
        "client": conflict.client.document(),
        "base": conflict.base.document() if conflict.base else None,
    }


def problem_list(problems: Sequence[Problem]) -> list[ProblemForm]:
    return [{"field": p.field, "code": p.code, "message": p.message} for p in problems]


def pending_row(row: PendingSale) -> PendingRow:
    document: PendingRow = {
        "id": row.id,
        "number": row.number,
        "status": row.status,
        "payment_status": row.payment_status,
        "fiscal_status": row.fiscal_status,
        "customer": customer_as_sent(row.customer_said),
        "total": str(row.total),
        "created_at": time_text(row.created_at),
        "sync_status": row.sync_status,
        "local_id": row.local_id,
        "version": row.version,
        "error": row.problems[0].message if row.problems else None,
        "sync_attempt_count": row.attempts,
        "next_attempt_at": time_text(row.next_attempt_at),
        "dead": row.is_dead,
    }
    if row.warnings:
        document["warnings"] = problem_list(row.warnings)
    return document


def customer_as_sent(said: str | None) -> object:
    if said is None:
        return None
    if said.isascii() and said.isdigit():
        return int(said)
    try:
        return json.loads(said)
    except ValueError:
        # Damaged on disk: the row is told all the same.
        return None


def status_document(sale: Sale) -> StatusForm:
    """A sale's sync state (contract 6, guide 5)."""
    return {
        "sale_id": sale.id,
        "sale_number": sale.number,
        "local_id": sale.local_id,
        "sync_status": sale.sync_status,
        "sync_succeeded_at": time_text(sale.sync_succeeded_at),
        "sync_last_attempt": time_text(sale.sync_last_attempt),
        "sync_attempt_count": sale.attempts,
        "version": sale.version,
        "conflict_resolution": sale.conflict_resolution,
        "error": sale.error,
        "errors": problem_list(sale.problems),
        "retryable": is_curable(sale.problems),
        "next_attempt_at": time_text(sale.next_attempt_at),
        "dead": sale.is_dead,
    }


def unseen_status(local_id: str, sync_status: Literal["unknown", "invalid"]) -> UnseenStatus:
    """The state of what the server never saw ("unknown") or of what is no UUID ("invalid")."""
    return {
        "sale_id": None,
        "sale_number": None,
        "local_id": local_id,
        "sync_status": sync_status,
        "sync_succeeded_at": None,
        "sync_last_attempt": None,
        "sync_attempt_count": 0,
        "version": None,
        "conflict_resolution": None,
        "error": None,
        "errors": [],
        "retryable": False,
        "next_attempt_at": None,
        "dead": False,
    }


def sale_document(found: FoundSale) -> SaleForm:
    sale = found.sale
    items = _items_of(sale)
    amounts = sum_amounts(item.amounts() for item in items)
    fields: SaleFields = {
        **status_document(sale),
        "id": sale.id,
        "number": sale.number,
        "status": sale.status,
        "payment_status": sale.payment_status,
        "fiscal_status": sale.fiscal_status,
        "customer": _customer(sale),
        "customer_id": _customer(sale),
        "notes": _notes(sale),
        "items": [item_document(line, item) for line, item in enumerate(items)],
        **amounts_document(amounts),
        "created_by": found.username,
        "created_at": time_text(sale.created_at),
        "sold_at": time_text(sale.sold_at),
        "updated_at": time_text(sale.updated_at),
        "warnings": problem_list(sale.warnings),
    }
    document = cast(SaleForm, fields)
    if sale.parked is not None:
        document["conflict_data"] = conflict_data(conflict_of(sale, sale.parked, found.base))
    if sale.payload is not None:
        document["payload"] = parse_kept(sale.payload)
    return document


def item_document(line: int, item: Item) -> LineForm:
    return {"line": line, **item.document(), **amounts_document(item.amounts())}


def amounts_document(amounts: Amounts) -> AmountsForm:
    return {
        "subtotal": str(amounts.subtotal),
        "discount": str(amounts.discount),
        "tax": str(amounts.tax),
        "total": str(amounts.total),
    }


def _items_of(sale: Sale) -> tuple[Item, ...]:
    if sale.content is not None:
        return sale.content.items
    if sale.payload is None:
        return ()
    upload = read_sale(parse_kept(sale.payload), index=0)
    return upload.built_items(sale.tax_defaults) or ()


def _customer(sale: Sale) -> object:
    return sale.content.customer_id if sale.content else customer_as_sent(sale.customer_said)


def _notes(sale: Sale) -> str:
    if sale.content is not None:
        return sale.content.notes
    return read_sale(parse_kept(sale.payload), index=0).notes if sale.payload else ""


def retry_row(result: RetryResult) -> RetryRow:
    if result.sale is None:
        if isinstance(result.key, int):
            return {"sale_id": result.key, "status": "not_found"}
        return {"local_id": result.key, "status": "not_found"}
    return {
        "sale_id": result.sale.id,
        "sale_number": result.sale.number,
        "local_id": result.sale.local_id,
        "status": result.status,
        "attempt": result.sale.attempts,
    }


def resolved_sale(sale: Sale) -> ResolvedSale:
    """The guide's sale of a resolution, plus its content (null while there is none)."""
    content = sale.content
    return {
        "id": sale.id,
        "number": sale.number,
        "local_id": sale.local_id,
        "sync_status": sale.sync_status,
        "sync_succeeded_at": time_text(sale.sync_succeeded_at),
        "version": sale.version,
        "conflict_resolution": sale.conflict_resolution,
        "customer_id": content.customer_id if content else None,
        "status": content.status if content else sale.status,
        "items": [item.document() for item in content.items] if content else [],
        "notes": content.notes if content else "",
    }


def history_entry(entry: HistoryEntry) -> Document:
    """One change of a sale (contract 8)."""
    return {
        "at": time_text(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "user": entry.username,
        "from_version": entry.from_version,
        "to_version": entry.to_version,
        "detail": dict(entry.detail),
    }

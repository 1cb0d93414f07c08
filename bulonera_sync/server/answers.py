"""What leaves: the documents of the guide and the one place that picks their HTTP status."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, assert_never

from aiohttp import web

from bulonera_sync.bodies import dump_exactly, parse_kept
from bulonera_sync.changes import conflict_of
from bulonera_sync.decisions import is_curable
from bulonera_sync.gateway import FoundSale, Moved, PendingSale, RetryResult, Settled
from bulonera_sync.money import Amounts, sum_amounts
from bulonera_sync.outcomes import ConflictFound, Failure, Outcome, Success, summarise
from bulonera_sync.resolutions import Invalid, Refused
from bulonera_sync.sales import Item, Problem, Sale, differing_fields
from bulonera_sync.uploads import read_sale

Document = Mapping[str, Any]


def respond(
    document: Document,
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return a JSON response; a text that is no UTF-8 (a lone surrogate) leaves escaped."""
    text = dump_readably(document)
    return web.Response(
        body=text,
        status=status,
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )


def dump_readably(document: Document) -> bytes:
    try:
        return json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(document).encode()


def detail(text: str, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """A refusal of the request as a whole (contract 1)."""
    return respond({"detail": text}, status, headers)


def refusal(text: str, status: int = HTTPStatus.BAD_REQUEST) -> web.Response:
    """An endpoint's refusal of its own arguments (contract 1)."""
    return respond({"status": "error", "error": text}, status)


def time_text(time: datetime | None) -> str | None:
    """ISO 8601 UTC with Z, to the second."""
    return None if time is None else f"{time.replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def answer_upload(outcomes: Sequence[Outcome]) -> web.Response:
    """200, or 400 when every result is an error (contract 2)."""
    summary = summarise(outcomes)
    status = HTTPStatus.BAD_REQUEST if summary.errors == summary.total else HTTPStatus.OK
    document = {
        "results": [upload_result(outcome) for outcome in outcomes],
        "summary": {
            "total": summary.total,
            "successful": summary.successful,
            "conflicts": summary.conflicts,
            "errors": summary.errors,
        },
    }
    return respond(document, status)


def upload_result(outcome: Outcome) -> Document:
    head = {"index": outcome.index, "local_id": outcome.local_id}
    identity = {
        "sale_id": outcome.sale_id,
        "sale_number": outcome.sale_number,
        "version": outcome.version,
    }
    match outcome.verdict:
        case Success(message, content, warnings):
            result = {**head, "status": "success", **identity, "message": message}
            if content is not None:
                result["sale"] = content.document()
            if warnings:
                result["warnings"] = problem_list(warnings)
            return result
        case Failure(problems, is_retryable):
            return {
                **head,
                "status": "error",
                "error": problems[0].message,
                "errors": problem_list(problems),
                "code": problems[0].code,
                "retryable": is_retryable,
                **identity,
                "message": None,
            }
        case ConflictFound() as conflict:
            return {
                **head,
                "status": "conflict",
                **identity,
                "code": conflict.code,
                "message": conflict.message,
                "conflict_data": conflict_data(conflict),
            }
        case _ as missing:
            assert_never(missing)


def conflict_data(conflict: ConflictFound) -> Document:
    return {
        "server_version": conflict.server_version,
        "client_version": conflict.client_version,
        "fields": list(differing_fields(conflict.server, conflict.client)),
        "server": conflict.server.document(),
        "client": conflict.client.document(),
        "base": conflict.base.document() if conflict.base else None,
    }


def problem_list(problems: Sequence[Problem]) -> list[Document]:
    return [{"field": p.field, "code": p.code, "message": p.message} for p in problems]


def answer_retry(results: Sequence[RetryResult]) -> web.Response:
    """200 with a row for each; 404 when none of them is there (guide 3, contract 5)."""
    if all(result.status == "not_found" for result in results):
        return refusal("No sales found with those IDs", HTTPStatus.NOT_FOUND)
    queued = sum(result.status == "queued" for result in results)
    message = "Retry queued successfully" if queued else "Nothing to retry"
    rows = [retry_row(result) for result in results]
    return respond({"message": message, "processed": queued, "results": rows})


def retry_row(result: RetryResult) -> Document:
    if result.sale is None:
        name = "sale_id" if isinstance(result.key, int) else "local_id"
        return {name: result.key, "status": result.status}
    return {
        "sale_id": result.sale.id,
        "sale_number": result.sale.number,
        "local_id": result.sale.local_id,
        "status": result.status,
        "attempt": result.sale.attempts,
    }


def answer_resolution(result: Settled | Moved | Invalid, resolution: str) -> web.Response:
    """200, 400 or 409 (guide 4, contract 6)."""
    match result:
        case Settled(sale):
            if sale.sync_status == "conflict":
                message = "Conflict marked for manual review"
            else:
                message = f"Conflict resolved with {resolution}"
            return respond({"message": message, "sale": resolved_sale(sale)})
        case Moved(refused, sale):
            return moved(refused, resolved_sale(sale))
        case Invalid(problems):
            return invalid(problems)
        case _ as missing:
            assert_never(missing)


def resolved_sale(sale: Sale) -> Document:
    """The guide's sale of a resolution, plus its content (null while there is none)."""
    content = sale.content.document() if sale.content else None
    return {
        "id": sale.id,
        "number": sale.number,
        "local_id": sale.local_id,
        "sync_status": sale.sync_status,
        "sync_succeeded_at": time_text(sale.sync_succeeded_at),
        "version": sale.version,
        "conflict_resolution": sale.conflict_resolution,
        **(content or {"customer_id": None, "status": sale.status, "items": [], "notes": ""}),
    }


def moved(refused: Refused, sale: Document) -> web.Response:
    """409 with the present sale: what was decided about is no longer so."""
    document = {
        "status": "error",
        "error": refused.message,
        "code": refused.code,
        "sale": sale,
    }
    return respond_exactly(document, HTTPStatus.CONFLICT)


def invalid(problems: Sequence[Problem]) -> web.Response:
    """400 with every reason, as an upload's error has them."""
    document = {
        "status": "error",
        "error": problems[0].message,
        "errors": problem_list(problems),
        "code": problems[0].code,
    }
    return respond(document, HTTPStatus.BAD_REQUEST)


def answer_pending(rows: Sequence[PendingSale], *, total: int, limit: int) -> web.Response:
    results = [pending_row(row) for row in rows]
    return respond({"count": len(results), "limit": limit, "total": total, "results": results})


def pending_row(row: PendingSale) -> Document:
    document = {
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
    return None if said is None else json.loads(said)


def status_document(sale: Sale) -> Document:
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


def unseen_status(local_id: str, sync_status: str) -> Document:
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


def answer_sale(found: FoundSale) -> web.Response:
    """The whole sale (contract 7); a held one with its payload, each number as it was sent."""
    return respond_exactly(sale_document(found))


def respond_exactly(document: Document, status: int = HTTPStatus.OK) -> web.Response:
    """Return a JSON response of a document that may hold what a till sent, word for word."""
    text = dump_exactly(document)
    return web.Response(text=text, status=status, content_type="application/json", charset="utf-8")


def sale_document(found: FoundSale) -> Document:
    sale = found.sale
    items = _items_of(sale)
    amounts = sum_amounts(item.amounts() for item in items)
    document = {
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
    if sale.parked is not None:
        document["conflict_data"] = conflict_data(conflict_of(sale, sale.parked, found.base))
    if sale.payload is not None:
        document["payload"] = parse_kept(sale.payload)
    return document


def item_document(line: int, item: Item) -> Document:
    return {"line": line, **item.document(), **amounts_document(item.amounts())}


def amounts_document(amounts: Amounts) -> Document:
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

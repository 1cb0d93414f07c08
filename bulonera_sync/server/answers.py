"""How a document leaves over HTTP, and the one place that picks its status."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import assert_never

from aiohttp import web
from pydantic_core import PydanticSerializationError, to_json

from bulonera_sync.bodies import dump_exactly
from bulonera_sync.gateway import FoundSale, Moved, PendingSale, RetryResult, Settled
from bulonera_sync.gateway.documents import (
    Document,
    pending_row,
    problem_list,
    resolved_sale,
    retry_row,
    sale_document,
    upload_result,
)
from bulonera_sync.outcomes import Outcome, summarise
from bulonera_sync.resolutions import Invalid, Refused
from bulonera_sync.sales import Problem


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
        return to_json(document)
    except PydanticSerializationError:
        return json.dumps(document).encode()


def detail(text: str, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """A refusal of the request as a whole (contract 1)."""
    return respond({"detail": text}, status, headers)


def refusal(text: str, status: int = HTTPStatus.BAD_REQUEST) -> web.Response:
    """An endpoint's refusal of its own arguments (contract 1)."""
    return respond({"status": "error", "error": text}, status)


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


def answer_retry(results: Sequence[RetryResult]) -> web.Response:
    """200 with a row for each; 404 when none of them is there (guide 3, contract 5)."""
    if all(result.status == "not_found" for result in results):
        return refusal("No sales found with those IDs", HTTPStatus.NOT_FOUND)
    queued = sum(result.status == "queued" for result in results)
    message = "Retry queued successfully" if queued else "Nothing to retry"
    rows = [retry_row(result) for result in results]
    return respond({"message": message, "processed": queued, "results": rows})


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


def answer_sale(found: FoundSale) -> web.Response:
    """The whole sale (contract 7); a held one with its payload, each number as it was sent."""
    return respond_exactly(sale_document(found))


def respond_exactly(document: Document, status: int = HTTPStatus.OK) -> web.Response:
    """Return a JSON response of a document that may hold what a till sent, word for word."""
    text = dump_exactly(document)
    return web.Response(text=text, status=status, content_type="application/json", charset="utf-8")

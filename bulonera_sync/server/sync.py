"""The sync endpoints: read, ask the gateway, answer. The guide's sections stand at each."""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from bulonera_sync.bodies import shorten
from bulonera_sync.errors import NotFoundError
from bulonera_sync.gateway import Gateway
from bulonera_sync.gateway.documents import Document, status_document, unseen_status
from bulonera_sync.sales import Sale
from bulonera_sync.server import answers
from bulonera_sync.server.keys import GATEWAY, USER
from bulonera_sync.server.requests import (
    MAX_INTEGER,
    RefusedRequest,
    query_integer,
    read_object,
    read_upload,
    sale_key,
)
from bulonera_sync.uploads import read_local_id

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_LOCAL_IDS = 200
PENDING_STATUSES = ("pending", "error", "conflict")
DEFAULT_STATUSES = ("pending", "error")


async def upload(request: web.Request) -> web.Response:
    """POST upload/ (guide 1, contract 2)."""
    gateway = request.app[GATEWAY]
    body = await read_upload(request)
    sales = body.value.get("sales") if isinstance(body.value, dict) else None
    if not isinstance(sales, list) or not sales:
        return answers.refusal("No sales data provided")
    limit = gateway.settings.sync.max_sales
    if len(sales) > limit:
        return answers.refusal(f"Too many sales: {len(sales)} sent, the limit is {limit}")
    return answers.answer_upload(await gateway.upload(request[USER], sales, body.texts))


async def pending(request: web.Request) -> web.Response:
    """GET pending/ (guide 2, contract 4)."""
    gateway = request.app[GATEWAY]
    limit = min(query_integer(request, "limit", DEFAULT_LIMIT, minimum=1), MAX_LIMIT)
    after_id = query_integer(request, "after_id", 0, minimum=-MAX_INTEGER)
    statuses = _statuses(request.query.get("status", ""))
    user_id = await _whose(request, gateway)
    rows, total = await gateway.pending(
        sync_statuses=statuses, user_id=user_id, after_id=after_id, limit=limit
    )
    return answers.answer_pending(rows, total=total, limit=limit)


def _statuses(said: str) -> tuple[str, ...]:
    if not said:
        return DEFAULT_STATUSES
    words = tuple(word.strip() for word in said.split(","))
    for word in words:
        if word not in PENDING_STATUSES:
            text = f"status debe ser {', '.join(PENDING_STATUSES)}, recibido: {shorten(word)}"
            raise RefusedRequest(answers.refusal(text))
    return words


async def _whose(request: web.Request, gateway: Gateway) -> int | None:
    """Return whose sales are asked for: the asker's own, or for a manager anybody's (None: all)."""
    user = request[USER]
    said = request.query.get("user", "")
    if not said:
        return user.id
    if not user.is_manager:
        raise RefusedRequest(forbidden())
    if said == "all":
        return None
    try:
        return (await gateway.find_account(said)).id
    except NotFoundError as error:
        text = f"user desconocido: {shorten(said)}"
        raise RefusedRequest(answers.refusal(text)) from error


def forbidden() -> web.Response:
    text = "You do not have permission to perform this action."
    return answers.detail(text, HTTPStatus.FORBIDDEN)


async def status(request: web.Request) -> web.Response:
    """GET status/{id or local_id}/ (guide 5, contract 6)."""
    found = await request.app[GATEWAY].find_state(request[USER], path_key(request))
    return answers.respond(status_document(found))


async def sale(request: web.Request) -> web.Response:
    """GET /api/v1/sales/{id}/ (contract 7)."""
    found = await request.app[GATEWAY].find_sale(request[USER], path_key(request))
    return answers.answer_sale(found)


def path_key(request: web.Request) -> int | str:
    """Return the id or local_id of the path; raises `RefusedRequest` (400) for neither."""
    said = request.match_info["sale"]
    key = sale_key(said)
    if key is None:
        text = f"id debe ser el id de la venta o su local_id, recibido: {shorten(said)}"
        raise RefusedRequest(answers.refusal(text))
    return key


async def statuses(request: web.Request) -> web.Response:
    """POST status/ (contract 6): many at the cost of one."""
    body = await read_object(request)
    said = body.get("local_ids")
    if not isinstance(said, list) or not said:
        return answers.refusal("local_ids requerido (lista de UUID)")
    if len(said) > MAX_LOCAL_IDS:
        return answers.refusal(f"local_ids admite hasta {MAX_LOCAL_IDS}, recibidos: {len(said)}")
    local_ids = [read_local_id(each) for each in said]
    wanted = {each for each in local_ids if each is not None}
    found = await request.app[GATEWAY].find_sales(request[USER], wanted)
    results = [
        _status_of(each, shorten(raw, 200), found)
        for each, raw in zip(local_ids, said, strict=True)
    ]
    return answers.respond({"results": results})


def _status_of(local_id: str | None, said: str, found: Mapping[str, Sale]) -> Document:
    if local_id is None:
        return unseen_status(said, "invalid")
    sale = found.get(local_id)
    return status_document(sale) if sale else unseen_status(local_id, "unknown")

"""What comes in: a request's body and query, read strictly, refused in one sentence."""

import asyncio
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web

from bulonera_sync.bodies import BadBodyError, ParsedBody, parse_body, parse_list_body, shorten
from bulonera_sync.server import answers
from bulonera_sync.uploads import read_local_id

_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)

# More than any row's, and still a number that both engines take.
MAX_INTEGER = 2**63 - 1
MAX_KEY_DIGITS = 100
# Beyond so many bytes a thread parses, for others not to wait.
PARSED_AT_ONCE = 64 * 1024

T = TypeVar("T")


class RefusedRequest(Exception):
    """A request that goes no further; `response` is its answer."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


async def read_json(request: web.Request) -> object:
    """Return the body's value (see `bodies.parse_body`).

    Raises `RefusedRequest`: 415 for what is not plain JSON, 400 for what is not strict JSON.
    """
    return await _parsed(request, parse_body)


async def read_upload(request: web.Request) -> ParsedBody:
    """Return the body's value and its sales word for word; raises as `read_json`."""
    return await _parsed(request, lambda body: parse_list_body(body, "sales"))


async def _parsed(request: web.Request, parse: Callable[[bytes], T]) -> T:
    _refuse_other_content(request)
    body = await request.read()
    try:
        if len(body) > PARSED_AT_ONCE:
            return await asyncio.to_thread(parse, body)
        return parse(body)
    except BadBodyError as error:
        text = f"JSON parse error - {error}"
        raise RefusedRequest(answers.detail(text, HTTPStatus.BAD_REQUEST)) from error


def _refuse_other_content(request: web.Request) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        # aiohttp takes a truncated gzip body for a whole one: half a batch would be answered.
        text = "Send the body without Content-Encoding."
        raise RefusedRequest(answers.detail(text, HTTPStatus.UNSUPPORTED_MEDIA_TYPE))
    if "Content-Type" not in request.headers or request.content_type != "application/json":
        said = shorten(request.headers.get("Content-Type", ""))
        text = f'Unsupported media type "{said}" in request.'
        raise RefusedRequest(answers.detail(text, HTTPStatus.UNSUPPORTED_MEDIA_TYPE))
    if (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        text = f"JSON parse error - the charset must be utf-8, not {shorten(request.charset or '')}"
        raise RefusedRequest(answers.detail(text, HTTPStatus.BAD_REQUEST))


async def read_object(request: web.Request) -> Mapping[str, object]:
    """Return the body's object; anything else counts as an empty one."""
    value = await read_json(request)
    return value if isinstance(value, dict) else {}


def query_integer(request: web.Request, name: str, default: int, *, minimum: int) -> int:
    """Return an integer of the query; raises `RefusedRequest` (400) for another word."""
    said = request.query.get(name)
    if said is None:
        return default
    number = _read_integer(said)
    if number is None or number < minimum:
        wanted = f"un entero mayor o igual a {minimum}" if minimum == 1 else "un entero"
        text = f"{name} debe ser {wanted}, recibido: {shorten(said)}"
        raise RefusedRequest(answers.refusal(text))
    return number


def _read_integer(said: str) -> int | None:
    """Return the integer, one beyond the database's as the nearest it takes, or None."""
    if not _INTEGER.fullmatch(said):
        return None
    if len(said) > MAX_KEY_DIGITS:
        return -MAX_INTEGER if said.startswith("-") else MAX_INTEGER
    return max(-MAX_INTEGER, min(int(said), MAX_INTEGER))


def sale_key(said: str) -> int | str | None:
    """Return the id or the local_id that a path says, or None where it is neither."""
    if said.isascii() and said.isdigit() and len(said) <= MAX_KEY_DIGITS:
        return int(said)
    return read_local_id(said)

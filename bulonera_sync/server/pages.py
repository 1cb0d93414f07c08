"""The API's document, for programs and for people: nothing of it comes from another place.

Each page is made when it is first asked for, and kept: a daemon that starts has other things to do.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from bulonera_sync.config import Settings

STATIC = Path(__file__).parent / "static"
ASSETS: Mapping[str, str] = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
# No other origin, nothing inline; Swagger UI's style sheet has its icons as data.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A body that stays the same while the daemon runs."""

    body: bytes
    media_type: str

    @property
    def tag(self) -> str:
        return hashlib.sha256(self.body).hexdigest()[:16]


class Pages:
    """The pages by name, each made once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, Page] = {}

    async def of(self, name: str, make: Callable[[Settings], Page]) -> Page:
        """Return the page, which `make` makes the first time, in a thread."""
        if name not in self._made:
            self._made[name] = await asyncio.to_thread(make, self._settings)
        return self._made[name]


PAGES = web.AppKey("pages", Pages)


async def schema(request: web.Request) -> web.Response:
    """GET /api/schema/ (contract 1)."""
    return _answer(request, await request.app[PAGES].of("schema", _schema))


async def docs(request: web.Request) -> web.Response:
    """GET /api/docs/ (contract 1)."""
    page = await request.app[PAGES].of("docs", lambda _: _file("page.html", "text/html"))
    return _answer(request, page, {"Content-Security-Policy": POLICY})


async def asset(request: web.Request) -> web.Response:
    """GET /api/docs/{file}: what the page is made of."""
    name = request.match_info["file"]
    if name not in ASSETS:
        raise web.HTTPNotFound
    page = await request.app[PAGES].of(name, lambda _: _file(name, ASSETS[name]))
    return _answer(request, page)


def _schema(settings: Settings) -> Page:
    # Imported here: it reads every form, which no till waits for.
    from bulonera_sync.server.openapi import make_document  # noqa: PLC0415

    text = json.dumps(make_document(settings), ensure_ascii=False)
    return Page(text.encode(), "application/json")


def _file(name: str, media_type: str) -> Page:
    return Page((STATIC / name).read_bytes(), media_type)


def _answer(
    request: web.Request, page: Page, headers: Mapping[str, str] | None = None
) -> web.Response:
    """200, or 304 for who has it already."""
    sent = {**HEADERS, **(headers or {}), "ETag": f'"{page.tag}"'}
    known = request.if_none_match or ()
    if any(each.value in (page.tag, "*") for each in known):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=sent)
    return web.Response(body=page.body, headers=sent, content_type=page.media_type, charset="utf-8")

"""Pages on other origins: which of them a browser lets call the gateway (contract 1).

This keeps nobody out: the token does. It tells browsers whose pages may read the answers.
"""

from collections.abc import Iterable
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bulonera_sync.bodies import shorten
from bulonera_sync.server import answers

# A page that holds its preflight's answer this long asks once a morning; Chromium's own limit.
MAX_AGE_SECONDS = 7200
_EXPOSED = "Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
# Every method and header of any route: a page learns of a wrong one by an answer that it can read.
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
}
_PRIVATE_NETWORK = "Access-Control-Request-Private-Network"


def for_origins(origins: Iterable[str]) -> Middleware:
    """Return the middleware that answers pages of these origins, each exactly as browsers say it.

    It must be the outermost: an answer without its headers is one that a page can't read.
    """
    listed = frozenset(origins)

    @web.middleware
    async def answer_origins(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_listed = request.headers.get("Origin") in listed
        if _is_preflight(request):
            response = _preflight(request) if is_listed else _refused(request)
        else:
            response = await handler(request)
        # Also where there is no origin: what a cache keeps must not be given to another page.
        response.headers["Vary"] = ", ".join([*response.headers.getall("Vary", ()), "Origin"])
        if is_listed:
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        return response

    return answer_origins


def _is_preflight(request: web.Request) -> bool:
    names = ("Origin", "Access-Control-Request-Method")
    return request.method == "OPTIONS" and all(name in request.headers for name in names)


def _preflight(request: web.Request) -> web.StreamResponse:
    response = web.Response(status=HTTPStatus.NO_CONTENT, headers=_PREFLIGHT)
    if request.headers.get(_PRIVATE_NETWORK) == "true":
        # A page from the internet may call the box in the back room.
        response.headers["Access-Control-Allow-Private-Network"] = "true"
    return response


def _refused(request: web.Request) -> web.StreamResponse:
    origin = shorten(request.headers["Origin"])
    text = f"The origin {origin} is not in [server] cors_origins."
    return answers.detail(text, HTTPStatus.FORBIDDEN)

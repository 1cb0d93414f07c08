"""Is it up, can it work: for a watchdog, without a token, telling nothing of a sale."""

from http import HTTPStatus

from aiohttp import web

from bulonera_sync.errors import SchemaError, StoreUnavailableError
from bulonera_sync.server import answers
from bulonera_sync.server.keys import GATEWAY


async def healthz(request: web.Request) -> web.Response:
    """The process is up."""
    return answers.respond({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """The database is reachable and its schema current; 503 with the reason otherwise."""
    try:
        await request.app[GATEWAY].check()
    except StoreUnavailableError:
        return _not_ready("the database can't be reached")
    except SchemaError as error:
        return _not_ready(str(error))
    return answers.respond({"status": "ok"})


def _not_ready(reason: str) -> web.Response:
    document = {"status": "error", "error": reason}
    return answers.respond(document, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "2"})
